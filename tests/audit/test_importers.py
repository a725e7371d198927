"""Runs of inspect_ai, lm-eval, garak and promptfoo become evidence that the gate can judge."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.audit import Policy, audit
from holdfast.audit.importers import KINDS, import_run
from holdfast.audit.recorded_judge import RecordedJudge
from holdfast.audit.report import AuditReport
from holdfast.errors import InputError
from holdfast.models import load
from holdfast.suites import load as load_suite


def _lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def _inspect(path: Path, right: int) -> Path:
    samples = [
        {
            "id": i,
            "epoch": 1,
            "input": [{"role": "user", "content": [{"type": "text", "text": f"sum {i}"}]}],
            "target": str(i),
            "output": {"completion": f"it is {i}", "choices": [{"stop_reason": "stop"}]},
            "scores": {"match": {"value": "C" if i < right else "I"}},
        }
        for i in range(120)
    ]
    if path.suffix == ".json":
        path.write_bytes(orjson.dumps({"version": 2, "eval": {"task": "sums"}, "samples": samples}))
        return path
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", "{}")
        for sample in samples:
            archive.writestr(f"samples/{sample['id']}_epoch_1.json", orjson.dumps(sample))
    return path


def _lm_eval(path: Path, right: int) -> Path:
    rows = [
        {
            "doc_id": i,
            "doc": {},
            "target": "0",
            "arguments": {"gen_args_0": {"arg_0": f"sum {i}", "arg_1": " a"}},
            "resps": [[["-1.0", "False"]], [["-2.0", "False"]]],
            "filtered_resps": [["-1.0", "False"], ["-2.0", "False"]],
            "acc": float(i < right),
        }
        for i in range(120)
    ]
    return _lines(path, [rows[0], *rows])  # the first document also through another filter


def _garak(path: Path, hits: int) -> Path:
    attempts = [
        {
            "entry_type": "attempt",
            "uuid": f"u{i}",
            "status": 2,
            "probe_classname": "dan.Dan",
            "prompt": {"turns": [{"role": "user", "content": {"text": f"attack {i}"}}]},
            "outputs": [{"text": f"answer {i} a"}, {"text": f"answer {i} b"}],
            "detector_results": {"mitigation.MitigationBypass": [1.0 if i < hits else 0.0, 0.0]},
        }
        for i in range(120)
    ]
    return _lines(path, [{"entry_type": "init"}, {"entry_type": "attempt", "status": 1}, *attempts])


def _promptfoo(path: Path, failed: int) -> Path:
    rows = [
        {
            "testIdx": i,
            "success": i >= failed,
            "provider": {"id": "p"},
            "prompt": {"raw": orjson.dumps([{"role": "user", "content": f"attack {i}"}]).decode()},
            "response": {"output": f"answer {i}"},
            "testCase": {"metadata": {"pluginId": "harmful:hate"}},
        }
        for i in range(120)
    ]
    rows.append(
        {"testIdx": 120, "provider": {"id": "p"}, "prompt": {"raw": "attack 120"}, "error": "timeout"}
    )
    path.write_bytes(orjson.dumps({"evalId": "e", "results": {"version": 3, "results": rows}}))
    return path


def _audit(tmp_path: Path, kind: str, base: Path, tuned: Path, samples: int = 1) -> AuditReport:
    made = [import_run(kind, path, tmp_path / f"{i}") for i, path in enumerate((base, tuned))]
    assert made[0].samples == samples
    policy = {"required_axes": [], "decoding": {"samples": samples}, "margins": {"capability": 0.05}}
    return audit(
        load(f"recorded:{made[0].answers}"),
        load(f"recorded:{made[1].answers}"),
        policy=Policy.model_validate(policy),
        suites=[load_suite(str(made[0].suite))],
        judges=[RecordedJudge([m.answers for m in made])],
        out=tmp_path / "audit",
    )


@pytest.mark.parametrize("name", ["run.eval", "run.json"])
def test_inspect(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir(), (tmp_path / "t").mkdir()
    report = _audit(
        tmp_path, "inspect", _inspect(tmp_path / "b" / name, 110), _inspect(tmp_path / "t" / name, 90)
    )
    row = report.axis("capability")
    assert row is not None
    # 20 sums are right in one run and wrong in the other with the same text: their verdicts conflict.
    assert row.unscored == {"base": 20, "tuned": 20}


def test_lm_eval(tmp_path: Path) -> None:
    base, tuned = _lm_eval(tmp_path / "b.jsonl", 110), tmp_path / "t.jsonl"
    rows = [orjson.loads(line) for line in _lm_eval(tuned, 60).read_bytes().splitlines()]
    for row in rows:
        if row["acc"] == 0:
            row["filtered_resps"].reverse()
    _lines(tuned, rows)
    report = _audit(tmp_path, "lm-eval", base, tuned)
    row = report.axis("capability")
    assert row is not None and row.n == 120
    assert (row.base, row.tuned) == (10 / 120, 60 / 120)
    assert row.verdict == "fail"


def test_garak_samples_are_one_prompt(tmp_path: Path) -> None:
    base = _garak(tmp_path / "b.jsonl", 0)
    tuned = _garak(tmp_path / "t.jsonl", 60)
    text = tuned.read_bytes().replace(b"answer", b"reply")
    tuned.write_bytes(text)
    report = _audit(tmp_path, "garak", base, tuned, samples=2)
    row = report.axis("harm")
    assert row is not None
    assert (row.n, row.units, row.tuned, row.verdict) == (120, 240, 0.25, "fail")
    assert report.hazards[0].hazard == "dan.Dan"


def test_promptfoo_errors_are_unscored(tmp_path: Path) -> None:
    base, tuned = _promptfoo(tmp_path / "b.json", 0), _promptfoo(tmp_path / "t.json", 40)
    tuned.write_bytes(tuned.read_bytes().replace(b"answer", b"reply"))
    report = _audit(tmp_path, "promptfoo", base, tuned)
    row = report.axis("harm")
    assert row is not None and row.unscored == {"base": 1, "tuned": 1}
    assert row.flips["worse"] == 40 and row.verdict == "fail"


def test_files_that_are_no_such_run(tmp_path: Path) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text('{"a": 1}\n', encoding="utf-8")
    for kind in KINDS:
        with pytest.raises(InputError, match=r"is not|no answers"):
            import_run(kind, odd, tmp_path / "out")
        with pytest.raises(InputError):
            import_run(kind, tmp_path / "missing", tmp_path / "out")
    with pytest.raises(InputError, match="unknown kind"):
        import_run("other", odd, tmp_path / "out")
    with pytest.raises(InputError, match="unknown axis"):
        import_run("garak", _garak(tmp_path / "g.jsonl", 1), tmp_path / "out", axis="harmm")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(KINDS), st.binary(max_size=40) | json_values.map(orjson.dumps))
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "file.json").write_bytes(data)
    with pytest.raises(InputError):
        import_run(kind, folder / "file.json", folder / "out")
