"""`screen`: one call from a file to a report and its output files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.conversation import Conversation
from holdfast.errors import InputError
from holdfast.files import digest_value, folder_lock, write_json
from holdfast.formats import DataFile, open_file
from holdfast.screen.base import Verdict
from holdfast.screen.checkpoint import Checkpoint
from holdfast.screen.config import ScreenConfig
from holdfast.screen.dose import estimate
from holdfast.screen.engine import Engine, Progress, Scan, chunk_bytes, jobs_for, scan
from holdfast.screen.html_page import write_page
from holdfast.screen.memory import Conversations, spool
from holdfast.screen.outputs import row_paths, split_rows, write_findings, write_report
from holdfast.screen.report import ScreenReport
from holdfast.screen.representation import check_ref
from holdfast.screen.sarif import sarif
from holdfast.screen.work import Worker

_WORK = ".screen"
_ANSWERS = ".judge"


def screen(
    source: str | Path | Iterable[Conversation],
    *,
    config: ScreenConfig | None = None,
    out: str | Path | None = None,
    model: str | None = None,
    against: Sequence[str] = (),
    jobs: int | None = None,
    progress: Progress | None = None,
    advance: Progress | None = None,
    engine: str = "local",
) -> ScreenReport:
    """Screen fine-tuning data.

    Args:
        source: A data file or folder, or conversations.
        config: Which rules run and what they ask for.
        out: Folder for the kept, doubtful and quarantined rows and the reports. With it an
            interrupted run goes on where it stopped when it is called again.
        model: Reference of the model to be tuned, for the rules that look into it; wins over
            the configuration's.
        against: Audit suites whose prompts must not be trained on, besides the configuration's.
        jobs: Processes; by default all cores (one for small files).
        progress: Called with the number of rows finished since the last call.
        advance: Called with the bytes of the file (rows, for Parquet) finished since the last
            call; unlike the rows, their total is known beforehand.
        engine: `local` or `ray`.

    Raises:
        InputError: The file or the configuration cannot be used.
        RunError: The output folder cannot be written, or a worker died; finished work is kept.
    """
    config = config or ScreenConfig()
    config = config.model_copy(
        update={"model": model or config.model, "against": (*config.against, *against)}
    )
    if config.model:
        check_ref(config.model)
    started = time.perf_counter()
    folder = None if out is None else Path(out)
    with folder_lock(folder) if folder is not None else nullcontext():
        file, name = _opened(source, folder)
        _check_not_in_place(file, folder)
        jobs = 1 if file.kind == "memory" else jobs_for(file, jobs)
        size = chunk_bytes(file, jobs)
        if folder is not None and config.judge_answers is None:
            config = config.model_copy(update={"judge_answers": folder / _ANSWERS})
        worker = Worker(file, name, config)
        checkpoint = None
        if folder is not None:
            checkpoint = Checkpoint(folder / _WORK, _key(file, worker, size))
        found = scan(
            worker,
            size,
            jobs,
            engine=_engine(engine),
            checkpoint=checkpoint,
            progress=progress,
            advance=advance,
        )
        found.reach(0)
        if folder is not None:
            split_rows(file, folder, found.targets, size)
        report = _report(name, file, found, config, started, folder)
        if folder is not None:
            write_findings(report, folder / "findings.jsonl")
            write_report(report, folder / "screen.json")
            write_json(folder / "screen.sarif", sarif(report))
            write_page(report, folder / "screen.html")
            if checkpoint is not None:
                checkpoint.remove()
            # What stands behind an endpoint may change: its replies do not outlive their run.
            shutil.rmtree(folder / _ANSWERS, ignore_errors=True)
        return report


def _opened(source: str | Path | Iterable[Conversation], folder: Path | None) -> tuple[DataFile, str]:
    if isinstance(source, (str, Path)):
        return open_file(source), str(source)
    if folder is None:
        return Conversations(source), "conversations"
    path = folder / "input.jsonl"
    spool(source, path)
    return open_file(path), str(path)


def _check_not_in_place(file: DataFile, folder: Path | None) -> None:
    if folder is not None and file.path.resolve() in {p.resolve() for p in row_paths(file, folder).values()}:
        raise InputError(
            "this file would be overwritten by the screen's own output",
            path=file.path,
            fix="name another folder with --out",
        )


def _engine(name: str) -> Engine | None:
    if name == "local":
        return None
    if name == "ray":
        from holdfast.screen.ray_engine import RayEngine

        return RayEngine()
    raise InputError(f"unknown engine '{name}'", fix="local or ray")


def _key(file: DataFile, worker: Worker, size: int) -> str:
    """Everything that decides the result of a chunk."""
    config = worker.config.model_dump(mode="json", exclude={"judge_answers"})
    stat = file.path.stat()
    identity = [str(file.path.resolve()), file.size, stat.st_mtime_ns, stat.st_ino]
    return digest_value([__version__, identity, config, worker.rules.codes, size])


def _doses(found: Scan, config: ScreenConfig) -> list[dict[str, Any]]:
    """The dose of each kind of suspicious row, as data, the largest first."""
    findings = [*found.findings, *found.file_findings]
    doses = estimate(findings, found.rows, epochs=config.epochs, learning_rate=config.learning_rate)
    return [
        {"kind": d.kind, "rows": d.rows, "epochs": config.epochs, "ratio": d.ratio, "words": d.words}
        for d in doses
    ]


def _report(
    name: str, file: DataFile, found: Scan, config: ScreenConfig, started: float, folder: Path | None
) -> ScreenReport:
    review, block = found.targets.count(1), found.targets.count(2)
    outputs: dict[str, Path] = {}
    if folder is not None:
        outputs = {
            **row_paths(file, folder),
            "findings": folder / "findings.jsonl",
            "report": folder / "screen.json",
            "sarif": folder / "screen.sarif",
            "page": folder / "screen.html",
        }
    return ScreenReport(
        source=name,
        rows=found.rows,
        findings=tuple(found.findings),
        file_findings=tuple(found.file_findings),
        verdicts={
            Verdict.KEEP: found.rows - review - block,
            Verdict.REVIEW: review,
            Verdict.BLOCK: block,
        },
        counts=dict(sorted(found.counts.items())),
        seconds=time.perf_counter() - started,
        resumed=found.resumed,
        left_out=found.left_out,
        outputs=outputs,
        about={"profile": found.profile, "dose": _doses(found, config)},
        targets=bytes(found.targets),
    )
