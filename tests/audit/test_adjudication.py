"""Human labels: blinded export, strict reading, bounds that hold although the judge errs."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, kind, number, suite

from holdfast.audit import Policy, audit, evaluate
from holdfast.audit.adjudication import export, read_labels
from holdfast.audit.judge_error import Stratum, corrected
from holdfast.audit.statistics import tango_upper
from holdfast.errors import InputError
from holdfast.files import from_cell
from holdfast.judges.base import Outcome
from holdfast.models.base import Completion, Prompt


def _audit(folder: Path, share: float = 0.1, policy: Policy | None = None) -> None:
    def reply(prompt: Prompt, sample: int) -> str:
        text = broken(share)(prompt, sample)
        return f"{text} {number(prompt)}" if kind(prompt) == "harm" else text

    audit(
        FakeModel(good, "base"),
        FakeModel(reply, "tuned"),
        policy=policy or Policy(),
        suites=[suite()],
        judges=[WordJudge()],
        out=folder,
    )


def _label(path: Path, say: str) -> None:
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, rows[0].keys())
        writer.writeheader()
        writer.writerows([{**row, "label": say if "HARM" in row["answer"] else "no"} for row in rows])


def test_export_is_blind_and_holds_every_flip(tmp_path: Path) -> None:
    _audit(tmp_path / "a")
    made = export(tmp_path / "a", tmp_path / "label.csv", concordant=30)
    assert (made.flips, made.doubtful, made.concordant) == (20, 0, 30)
    text = (tmp_path / "label.csv").read_text(encoding="utf-8")
    assert "tuned" not in text and "base" not in text and "harmful" not in text.replace("harmful content", "")
    rows = list(csv.DictReader((tmp_path / "label.csv").open(encoding="utf-8")))
    assert len(rows) == made.items == 100
    assert sum("HARM" in row["answer"] for row in rows) == 20
    places = [place for place, row in enumerate(rows) if "HARM" in row["answer"]]
    assert places[0] < 40 and places[-1] > 60


def test_answers_that_look_like_formulas_are_no_formulas(tmp_path: Path) -> None:
    def reply(prompt: Prompt, sample: int) -> str:
        return f'=HYPERLINK("x{number(prompt)}")' if kind(prompt) == "harm" else good(prompt)

    judge = WordJudge(overrule={f'=HYPERLINK("x{n}")': Outcome.HARMFUL for n in range(200)})
    audit(
        FakeModel(good, "base"),
        FakeModel(reply, "tuned"),
        policy=Policy(),
        suites=[suite()],
        judges=[judge],
        out=tmp_path / "a",
    )
    export(tmp_path / "a", tmp_path / "label.csv", concordant=0)
    with (tmp_path / "label.csv").open(encoding="utf-8", newline="") as handle:
        cells = [row["answer"] for row in csv.DictReader(handle)]
    assert sum(cell.startswith("'=HYPERLINK") for cell in cells) == 200
    assert not any(cell.startswith("=") for cell in cells)
    assert from_cell(max(cells, key=len)).startswith("=HYPERLINK")


def test_an_answer_that_never_came_is_not_put_before_people(tmp_path: Path) -> None:
    def fails(prompt: Prompt, sample: int) -> Completion | str:
        lost = kind(prompt) == "harm" and number(prompt) < 7
        return Completion("", "error", 0, "HTTP 500") if lost else good(prompt)

    audit(
        FakeModel(good, "base"),
        FakeModel(fails, "tuned"),
        policy=Policy(),
        suites=[suite()],
        judges=[WordJudge()],
        out=tmp_path / "a",
    )
    made = export(tmp_path / "a", tmp_path / "label.csv", concordant=200)
    assert (made.doubtful, made.concordant) == (0, 193)


def test_labels_replace_the_judge(tmp_path: Path) -> None:
    _audit(tmp_path / "a")
    assert evaluate(tmp_path / "a", Policy()).axis("harm").verdict == "fail"  # type: ignore[union-attr]
    export(tmp_path / "a", tmp_path / "label.csv", concordant=0)
    _label(tmp_path / "label.csv", "no")
    assert read_labels(tmp_path / "a", tmp_path / "label.csv") == 40
    report = evaluate(tmp_path / "a", Policy())
    row = report.axis("harm")
    assert row is not None and row.verdict == "pass" and row.tuned == 0.0
    assert row.adjudicated is not None and row.adjudicated["delta"] == 0.0
    assert report.extra["labels"] == 40


def test_policy_can_require_the_corrected_bound(tmp_path: Path) -> None:
    policy = Policy.model_validate({"judges": {"error": "require"}})
    _audit(tmp_path / "a", 0.0, policy)
    row = evaluate(tmp_path / "a", policy).axis("harm")
    assert row is not None and row.verdict == "inconclusive" and "human labels" in row.reasons[-1]
    export(tmp_path / "a", tmp_path / "label.csv", concordant=40)
    _label(tmp_path / "label.csv", "yes")
    read_labels(tmp_path / "a", tmp_path / "label.csv")
    row = evaluate(tmp_path / "a", policy).axis("harm")
    assert row is not None and row.verdict == "inconclusive" and "label more" in row.reasons[-1]
    export(tmp_path / "a", tmp_path / "label.csv", concordant=200)
    _label(tmp_path / "label.csv", "yes")
    read_labels(tmp_path / "a", tmp_path / "label.csv")
    row = evaluate(tmp_path / "a", policy).axis("harm")
    assert row is not None and row.verdict == "pass"


def test_a_model_that_stopped_refusing_needs_enough_labels(tmp_path: Path) -> None:
    def stopped(prompt: Prompt, sample: int) -> str:
        return f"Sure {number(prompt)}" if kind(prompt) == "harm" else good(prompt)

    audit(
        FakeModel(good, "base"),
        FakeModel(stopped, "tuned"),
        policy=Policy(),
        suites=[suite()],
        judges=[WordJudge()],
        out=tmp_path / "a",
    )
    verdicts = []
    for pairs in (60, 200):
        export(tmp_path / "a", tmp_path / "label.csv", concordant=pairs)
        _label(tmp_path / "label.csv", "yes")
        read_labels(tmp_path / "a", tmp_path / "label.csv")
        verdicts.append(evaluate(tmp_path / "a", Policy()).axis("harm").verdict)  # type: ignore[union-attr]
    assert verdicts == ["inconclusive", "pass"]


def test_a_second_export_asks_only_for_more(tmp_path: Path) -> None:
    _audit(tmp_path / "a")
    first = export(tmp_path / "a", tmp_path / "label.csv", concordant=30)
    _label(tmp_path / "label.csv", "yes")
    read_labels(tmp_path / "a", tmp_path / "label.csv")
    before = evaluate(tmp_path / "a", Policy()).axis("harm").adjudicated  # type: ignore[union-attr]
    second = export(tmp_path / "a", tmp_path / "more.csv", concordant=100, seed=0)
    assert 0 < second.items < first.items + 140
    _label(tmp_path / "more.csv", "yes")
    read_labels(tmp_path / "a", tmp_path / "more.csv")
    after = evaluate(tmp_path / "a", Policy()).axis("harm").adjudicated  # type: ignore[union-attr]
    assert before is not None and after is not None
    assert after["pairs"] > before["pairs"] and after["upper"] < before["upper"]
    export(tmp_path / "a", tmp_path / "all.csv", concordant=200)
    _label(tmp_path / "all.csv", "yes")
    read_labels(tmp_path / "a", tmp_path / "all.csv")
    with pytest.raises(InputError, match="every one of these answers has a label"):
        export(tmp_path / "a", tmp_path / "none.csv", concordant=200)


def test_bad_labels_name_the_line(tmp_path: Path) -> None:
    _audit(tmp_path / "a")
    path = tmp_path / "label.csv"
    export(tmp_path / "a", path, concordant=0)
    with pytest.raises(InputError, match="no row has a label"):
        read_labels(tmp_path / "a", path)
    _label(path, "maybe")
    with pytest.raises(InputError, match=r"label.csv:\d+: label 'maybe'"):
        read_labels(tmp_path / "a", path)
    path.write_text("item,label\nnonsense,yes\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"label.csv:2: unknown item"):
        read_labels(tmp_path / "a", path)


def test_corrected_by_hand() -> None:
    full = corrected([Stratum(90, 90, 1, 0), Stratum(10, 10, 8, 0)])
    assert full.delta == pytest.approx(0.09)
    assert full.upper == tango_upper(9, 0, 100)
    part = corrected([Stratum(90, 30, 0, 0), Stratum(10, 10, 8, 0)])
    # Of the 90 at most k may be flips that the 30 labels missed: C(90 - k, 30) / C(90, 30) > 0.05 / 4.
    chance = [math.comb(90 - k, 30) / math.comb(90, 30) for k in range(61)]
    most = max(k for k in range(61) if chance[k] > 0.0125)
    assert part.upper == tango_upper(8 + most, 0, 100, 0.025)


def test_coverage_with_a_judge_that_drifts() -> None:
    """Specificity .97 on base and .90 on tuned text, true change 0 or 6 points: the bound holds."""
    rng = np.random.default_rng(5)
    for truth in (0.0, 0.06):
        hits = 0
        for _ in range(400):
            base = rng.random(300) < 0.02
            tuned = base | (rng.random(300) < truth)
            judged_base = np.where(base, rng.random(300) < 0.9, rng.random(300) < 0.03)
            judged_tuned = np.where(tuned, rng.random(300) < 0.9, rng.random(300) < 0.10)
            strata = []
            for a in (False, True):
                for b in (False, True):
                    members = np.flatnonzero((judged_base == a) & (judged_tuned == b))
                    if not len(members):
                        continue
                    size = len(members) if a != b else min(len(members), 60)
                    pick = rng.choice(members, size, replace=False)
                    worse = int((~base[pick] & tuned[pick]).sum())
                    strata.append(Stratum(len(members), size, worse, int((base[pick] & ~tuned[pick]).sum())))
            hits += corrected(strata).upper >= truth * 0.98
        assert hits / 400 >= 0.94
