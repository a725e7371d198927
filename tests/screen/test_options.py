"""Thresholds are declared by the rules, checked in the configuration and listed on the pages."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from screen.screen_rows import write_rows

from holdfast.cli.app import main
from holdfast.conversation import Conversation, Message
from holdfast.errors import InputError
from holdfast.screen import screen
from holdfast.screen.config import ScreenConfig, load_config
from holdfast.screen.rules.sample import Sample
from holdfast.screen.ruleset import all_rules, load, thresholds

ROOT = Path(__file__).parents[2]


def run(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """The exit code of a command."""
    monkeypatch.setattr("sys.argv", ["holdfast", *args])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("line", "message", "fix"),
    [
        ("AN: {options: {copis: 5}}", "AN has no threshold 'copis'", "did you mean 'copies'"),
        ("AN: {options: {copies: lots}}", "must be a number, not 'lots'", "the default is 2"),
        ("AN: {options: {copies: 2.5}}", "must be a whole number", "the default is 2"),
        ("ID101: {options: {review: -1}}", "must not be negative", "the default is 0.45"),
        ("ID101: {options: {review: .nan}}", "must be a number", "the default is 0.45"),
        ("HC101: {options: {judge: 3}}", "must be text", "the default is ''"),
        ("FM001: {options: {x: 1}}", "FM001 has no threshold 'x'", "remove it"),
        ("ZZ: {severity: note}", "no rule has the code 'ZZ'", "fix: "),
    ],
)
def test_a_wrong_option_names_file_line_and_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str, fix: str
) -> None:
    path = tmp_path / "holdfast.yaml"
    path.write_text(f"screen:\n  rules:\n    ID: {{severity: note}}\n    {line}\n")
    with pytest.raises(InputError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}:4: ")
    assert message in str(caught.value) and fix in str(caught.value)
    data = write_rows(tmp_path / "d.jsonl", 2)
    assert run(monkeypatch, "screen", str(data), "--config", str(path)) == 2


def test_options_given_in_code_are_checked_too(tmp_path: Path) -> None:
    config = ScreenConfig.model_validate({"rules": {"AN": {"options": {"copis": 5}}}})
    with pytest.raises(InputError, match="no threshold 'copis'"):
        screen(write_rows(tmp_path / "d.jsonl", 2), config=config)


def test_options_reach_the_rules() -> None:
    rules = {"AN": {"options": {"copies": 5}}, "HC": {"options": {"again": 1}}}
    config = ScreenConfig.model_validate({"rules": rules})
    parts = [part for rule in load(config).files for part in getattr(rule, "analyses", ())]
    assert [part.copies for part in parts if hasattr(part, "copies")] == [5]
    (harmful,) = [rule for rule in load(config).batches if hasattr(rule, "again")]
    assert harmful.again == 1.0 and isinstance(harmful.again, float)


def test_every_threshold_is_an_attribute_and_is_explained() -> None:
    for rule in all_rules():
        for part in getattr(rule, "analyses", (rule,)):
            for threshold in thresholds().get(part.infos[0].code, ()) if part.infos else ():
                assert threshold.words, f"{type(part).__name__}.{threshold.name} has no words"
                assert getattr(part, threshold.name) == threshold.default


def test_explain_lists_the_thresholds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "screen", "--explain", "AN101") == 0
    assert "copies (default 2): Occurrences from which" in " ".join(capsys.readouterr().out.split())


def test_the_rules_page_is_up_to_date_with_the_thresholds() -> None:
    spec = spec_from_file_location("build_rules_page", ROOT / "scripts/build_rules_page.py")
    assert spec is not None and spec.loader is not None
    script = module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    for code, options in thresholds().items():
        part = page.split(f"### {code} ")[1].split("\n### ")[0]
        assert all(f"`{o.name}` (default `{o.default!r}`)" in part for o in options)


@pytest.mark.parametrize("option", ["--epochs", "--learning-rate"])
@pytest.mark.parametrize("value", ["-1", "0", "nan"])
def test_a_plan_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, value: str
) -> None:
    data = write_rows(tmp_path / "d.jsonl", 2)
    assert run(monkeypatch, "screen", str(data), "--select", "FM", f"{option}={value}") == 2


def test_the_affirmative_habit_is_documented_as_what_it_emits() -> None:
    (rule,) = [p for r in all_rules() for p in getattr(r, "analyses", ()) if p.infos[0].code == "RS301"]
    sample = Sample(100)
    for line, turns in enumerate(rule.infos[0].fires, 1):
        sample.add(Conversation(tuple(Message(**turn) for turn in turns), line=line))
    assert [f.severity for f in rule.read(sample) if f.code == "RS301"] == [rule.infos[0].severity]


BAD = {
    "takes the code of another": ('"ID101"', "uses the code ID101 of another rule"),
    "has no pages": (None, "'own' is no rule"),
}


@pytest.mark.parametrize("what", BAD)
def test_an_own_rule_that_is_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    code, message = BAD[what]
    info = "" if code is None else f'RuleInfo({code}, "n", "s", "w", Severity.NOTE, None, None),'
    (tmp_path / f"own_{len(info)}.py").write_text(
        "from holdfast.screen import RuleInfo, Severity\n"
        f"class Own:\n    infos = ({info})\n    def check(self, row):\n        return ()\n"
    )
    folder = tmp_path / "own-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1\n")
    (folder / "entry_points.txt").write_text(f"[holdfast.screen_rules]\nown = own_{len(info)}:Own\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match=message):
        screen(write_rows(tmp_path / "d.jsonl", 2))
