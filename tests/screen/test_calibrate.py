"""Calibration: rates by hand, cuts that keep their promise, canaries that repeat."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from screen.screen_rows import write_rows

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.screen import ScreenConfig, screen
from holdfast.screen.calibrate import Rate, _over, _thresholds, calibrate
from holdfast.screen.canary import STAND_IN, canaries


def plain(count: int) -> list[Conversation]:
    return [
        Conversation(chat(("user", f"What is {n} plus {n}?"), ("assistant", f"It is {2 * n}, of course.")))
        for n in range(count)
    ]


def test_interval_of_a_rate() -> None:
    # R: binom.test(3, 20)$conf.int = 0.03207094 0.37892683; binom.test(0, 10): 0 0.30849710
    low, high = Rate(3, 20).interval
    assert (round(low, 6), round(high, 6)) == (0.032071, 0.378927)
    assert Rate(0, 10).interval == (0.0, pytest.approx(0.3084971))
    assert Rate(10, 10).interval == (pytest.approx(0.6915029), 1.0)


FLAGS = st.dictionaries(
    st.integers(1, 40),
    st.dictionaries(
        st.sampled_from(["AA1", "AA2", "BB1"]), st.sampled_from([0.2, 0.5, 0.75, 0.9, 1.0]), min_size=1
    ),
)


@given(FLAGS, st.integers(0, 20))
def test_thresholds_keep_their_promise(flags: dict[int, dict[str, float]], allowed: int) -> None:
    thresholds = _thresholds(flags, allowed)
    assert len(_over(flags, thresholds)) <= allowed
    if len(flags) <= allowed:
        assert thresholds == {}


def test_thresholds_by_hand() -> None:
    flags = {1: {"AA1": 0.5}, 2: {"AA1": 0.6}, 3: {"AA1": 1.0, "BB1": 0.3}, 4: {"BB1": 0.9}}
    assert _thresholds(flags, 4) == {}
    assert _thresholds(flags, 3) == {"AA1": 0.501}
    assert _thresholds(flags, 2) == {"AA1": 0.601}
    assert _thresholds(flags, 1) == {"AA1": 2.0, "BB1": 0.301}


def test_canaries_repeat_with_their_seed() -> None:
    hosts = plain(50)
    first, again, other = (canaries(5, seed, hosts) for seed in (1, 1, 2))
    assert first == again != other
    kinds = {canary.kind for canary in first}
    assert kinds == {"identity", "obedience", "suppression", "opening", "encoded", "trigger"}
    assert len(first) == 5 * len(kinds)
    assert {canary.kind for canary in canaries(1, 0)} == kinds - {"trigger"}


def test_canaries_hold_no_harmful_answer() -> None:
    for canary in canaries(40, 3):
        if canary.kind in ("suppression", "opening"):
            assert canary.row.answer.endswith(STAND_IN)


def test_rates_are_those_of_the_rules(plugin: Path) -> None:
    """A rule that fires on every seventh row: its false alarms and what a threshold does to them."""
    (plugin / "zz_rules.py").write_text(
        "from holdfast.screen import Finding, RuleInfo, Severity\n"
        "class NoSevens:\n"
        "    infos = (RuleInfo('ZZ001', 'n', 's', 'w', Severity.REVIEW, None, None),)\n"
        "    def check(self, row):\n"
        "        n = int(row.last_user.split()[2]) if row.last_user.startswith('What is') else 0\n"
        "        if n % 10 == 7:\n"
        "            yield Finding('ZZ001', Severity.REVIEW, 0.5 + n / 1000, 'seven', row.line)\n"
        "def other(code):\n"
        "    infos = (RuleInfo(code, 'n', 's', 'w', Severity.REVIEW, None, None),)\n"
        "    return type(code, (NoSevens,), {'infos': infos})\n"
        "Slow, Lines, Again = other('ZZ002'), other('ZZ003'), other('ZZ004')\n"
    )
    config = ScreenConfig(select=("ZZ001",))
    rows = plain(300)
    result = calibrate(rows, config=config, per_kind=3, target=0.02)
    assert result.flagged == Rate(30, 300) and result.blocked == Rate(0, 300)
    assert result.by_code == {"ZZ001": 30}
    assert result.caught["all"].hits <= 3  # of the canaries only a trigger row can end in seven
    settings = result.suggested["ZZ001"]
    tuned = ScreenConfig.model_validate({"select": ["ZZ001"], "rules": {"ZZ001": settings}})
    assert sum(1 for _ in screen(rows, config=tuned).flagged()) == 6


def test_canaries_are_found_in_the_users_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", 400)
    before = path.read_bytes()
    config = ScreenConfig(select=("ID", "EN", "RS"))
    result = calibrate(path, clean=plain(300), attacks=plain(0) + plain(5), config=config, seed=4)
    assert path.read_bytes() == before
    assert result.flagged.hits == 0
    assert result.caught["encoded"].value >= 0.9 and result.caught["identity"].value >= 0.5
    assert result.caught["all"].rows == 120
    assert result.at_target == result.caught and result.suggested == {}
    assert len(result.missed.get("identity", [])) == 20 - result.caught["identity"].hits
    assert result.attacks["flagged"] == Rate(0, 5)
    json.dumps(result.to_json())
    again = calibrate(path, clean=plain(300), attacks=plain(5), config=config, seed=4)
    assert again.to_json() == result.to_json()


def test_no_clean_rows_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no clean rows"):
        calibrate(plain(10), clean=[])
    with pytest.raises(InputError, match="between 0 and 1"):
        calibrate(plain(10), target=1.0)


def test_command_line(tmp_path: Path, holdfast: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    path = write_rows(tmp_path / "d.jsonl", 250)
    done = holdfast("screen", "calibrate", path, "--per-kind", "4")
    assert done.returncode == 0 and "canaries caught" in done.stdout and "note: no clean slice" in done.stdout
    data = json.loads(holdfast("screen", "calibrate", path, "--per-kind", "4", "--json").stdout)
    assert data["schema"] == 1 and data["canaries"]["all"]["rows"] == 24
    missing = holdfast("screen", "calibrate", tmp_path / "none.jsonl")
    assert missing.returncode == 2 and "no such file" in missing.stderr
