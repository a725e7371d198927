"""The data stages: screen, review, mix, and the training files of the candidates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import formats, mix, review
from holdfast import screen as screening
from holdfast.errors import InputError
from holdfast.files import atomic_writer, digest_file, digest_folder, read_json
from holdfast.pipeline.context import Context
from holdfast.project import CandidateSection
from holdfast.stages import Finished, run_stage


@dataclass(frozen=True, slots=True)
class Data:
    """Training files and what is known of them.

    Attributes:
        raw: All rows of the user's files, unscreened (for the reference arm only).
        clean: The rows that the screen, and people where they decided, let through.
        mixed: The clean rows with safety rows mixed in.
        safety: The safety rows alone.
        digests: Hash of each of these files.
        screens: The screen's report for each file of the project.
        mixing: The mixing record.
        seconds: Time spent, by stage.
    """

    raw: Path
    clean: Path
    mixed: Path
    safety: Path
    digests: dict[str, str]
    screens: dict[str, Any]
    mixing: dict[str, Any]
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Rows:
    """What one candidate is trained on.

    Attributes:
        file: The training file.
        digest: Its hash.
        mixing: The mixing record, where safety rows were mixed in.
        seconds: Time spent to make it for this candidate alone.
    """

    file: Path
    digest: str
    mixing: dict[str, Any] | None = None
    seconds: float = 0.0


def screen(ctx: Context) -> Finished:
    """Screen every data file, apply the decisions of people, write raw and clean training rows.

    Raises:
        InputError: A file cannot be read, or no row is left to train on.
    """
    project = ctx.project
    sources = [project.path(name) for name in project.data]
    for source in sources:
        if not source.exists():
            raise InputError("no such data file", path=source, fix="correct 'data:' in the project file")
    decisions = project.path(project.decisions) if project.decisions else None
    inputs = {
        "data": {name: _digest(path) for name, path in zip(project.data, sources, strict=True)},
        "config": project.screen.model_dump(mode="json"),
        "decisions": digest_file(decisions) if decisions else "",
    }

    def work(folder: Path) -> None:
        kept: list[Path] = []
        for index, source in enumerate(sources):
            out = folder / f"{index:02d}-{source.name}"
            with ctx.ui.progress(f"screen {source.name}", None) as step:
                screening.screen(source, config=project.screen, out=out, progress=step)
            kept += sorted(out.glob("clean.*"))
            undecided = [path for path in sorted(out.glob("review.*")) if path.stat().st_size]
            if decisions is not None and undecided:
                decided = out / f"decided{undecided[0].name.removeprefix('review')}"
                review.apply(undecided[0], decisions, decided)
                kept.append(decided)
        _write_rows(folder / "raw.jsonl", sources)
        rows = _write_rows(folder / "clean.jsonl", [path for path in kept if path.stat().st_size])
        if rows == 0:
            raise InputError(
                "no row is left to train on: all are in quarantine or wait for review",
                path=folder,
                fix="read screen.html there, decide doubtful rows with holdfast review, or edit 'screen:'",
            )

    done = run_stage(ctx.folder / "screen", inputs, work)
    return done


def blend(ctx: Context, screened: Finished) -> Data:
    """Mix safety rows that the base model itself answers, and gather the training files."""
    clean, digest = screened.folder / "clean.jsonl", screened.outputs["clean.jsonl"]
    done = _mixed(ctx, clean, digest, ctx.project.mixing, ctx.folder / "mix")
    reports = sorted(screened.folder.glob("*/screen.json"))
    return Data(
        raw=screened.folder / "raw.jsonl",
        clean=clean,
        mixed=done.folder / "mixed.jsonl",
        safety=done.folder / "safety.jsonl",
        digests={
            "raw": screened.outputs["raw.jsonl"],
            "clean": digest,
            "mixed": done.outputs["mixed.jsonl"],
            "safety": done.outputs["safety.jsonl"],
        },
        screens={path.parent.name: read_json(path) for path in reports},
        mixing=read_json(done.folder / "mix.json"),
        seconds={"screen": screened.seconds, "mix": done.seconds},
    )


def rows_for(ctx: Context, data: Data, candidate: CandidateSection, home: Path) -> Rows:
    """What a candidate is trained on; a share of its own is mixed in `home`.

    The base's answers are cached, so another share costs no more than the choice of rows.
    """
    if candidate.mix is False:
        return Rows(data.clean, data.digests["clean"])
    if candidate.mix is True:
        return Rows(data.mixed, data.digests["mixed"], data.mixing)
    config = ctx.project.mixing.model_copy(update={"share": candidate.mix, "count": None})
    done = _mixed(ctx, data.clean, data.digests["clean"], config, home / "mix")
    record = read_json(done.folder / "mix.json")
    return Rows(done.folder / "mixed.jsonl", done.outputs["mixed.jsonl"], record, done.seconds)


def _mixed(ctx: Context, clean: Path, digest: str, config: mix.MixConfig, home: Path) -> Finished:
    for path in config.files:
        if not path.is_file():
            raise InputError("no such file", path=path, fix="correct 'mix:' in the project file")
    inputs = {
        "clean": digest,
        "base": ctx.base_digest,
        "requests": [suite.digest for suite in ctx.requests],
        "judge": ctx.project.judges[0],
        "config": config.model_dump(mode="json"),
        "files": [_digest(path) for path in config.files],
    }

    def work(folder: Path) -> None:
        with ctx.ui.progress("base answers safety prompts", None) as step:
            mix.mix(
                clean,
                base=ctx.base,
                requests=ctx.requests,
                judge=ctx.judges[0],
                out=folder,
                config=config,
                progress=step,
            )

    return run_stage(home, inputs, work)


def _digest(path: Path) -> str:
    return digest_folder(path) if path.is_dir() else digest_file(path)


def _write_rows(target: Path, sources: Iterable[Path]) -> int:
    """Write the rows of `sources` as OpenAI messages, the one shape training takes; count them."""
    count = 0
    with atomic_writer(target) as handle:
        for source in sources:
            for row in formats.read(source, on_problem=lambda problem: None):
                handle.write(mix.as_line(row) + b"\n")
                count += 1
    return count
