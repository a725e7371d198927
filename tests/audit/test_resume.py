"""Killed with `kill -9` at several points, an audit goes on: no unit twice, none lost, same answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest
from servers import OpenAIServer

ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONPATH": str(Path(__file__).parents[1]),
}

_FAKE = """
import sys, time
from pathlib import Path
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite
from holdfast.audit import Policy, audit

def slow(reply):
    def answer(prompt, sample):
        time.sleep(0.002)
        return reply(prompt, sample)
    return answer

report = audit(
    FakeModel(slow(good), "base"), FakeModel(slow(broken(0.2)), "tuned"),
    policy=Policy(), suites=[suite(100, 100, 60)], judges=[WordJudge()], out=Path(sys.argv[1]),
)
print(report.verdict)
"""

_REAL = """
import sys, time
from pathlib import Path
from audit.audit_fakes import WordJudge, suite
from holdfast import models
from holdfast.audit import Policy, audit

out, base, tuned = sys.argv[1:]
if not base.startswith("openai:"):
    from holdfast.models.engine import Engine
    real = Engine.draw
    def slow(self, *given):
        time.sleep(0.05)
        return real(self, *given)
    Engine.draw = slow
pair = models.load_pair(base, tuned, batch_size=4)
policy = Policy.model_validate({"decoding": {"max_new_tokens": 4}, "minimum_n": 10, "noise_floor": 8})
report = audit(*pair, policy=policy, suites=[suite(40, 20, 20)], judges=[WordJudge()], out=Path(out))
print(report.verdict)
"""
_UNITS = 2 * 80 + 8


def _count(out: Path) -> int:
    path = out / "answers.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _kill_at(script: str, arguments: list[str], count: int) -> None:
    """Start it, and kill it when the log holds more than `count` answers."""
    out = Path(arguments[0])
    process = subprocess.Popen([sys.executable, "-c", script, *arguments], env=ENVIRONMENT)
    while process.poll() is None and _count(out) <= count:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def _finish(script: str, arguments: list[str]) -> str:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _texts(out: Path, units: int) -> dict[tuple[object, ...], str]:
    """Answers by unit; both logs hold every unit once."""
    found: dict[tuple[object, ...], str] = {}
    for name in ("answers.jsonl", "samples.jsonl"):
        rows = [orjson.loads(line) for line in (out / name).read_bytes().splitlines()]
        keys = [(r["prompt_id"], r["probe"], r["sample"], r["arm"]) for r in rows]
        assert len(keys) == len(set(keys)) == units
        found = found or dict(zip(keys, (str(r["text"]) for r in rows), strict=True))
    return found


def test_fake_models(tmp_path: Path) -> None:
    out = tmp_path / "a"
    for count in (0, 150, 400):
        _kill_at(_FAKE, [str(out)], count)
    assert 400 < _count(out) < 520
    assert _finish(_FAKE, [str(out)]) == "fail"
    _texts(out, 520)


@pytest.mark.slow
def test_local_models(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from tiny_models import save_adapter, save_llama

    base = save_llama(tmp_path / "base")
    models = [str(base), str(save_adapter(tmp_path / "adapter", base))]
    out = tmp_path / "a"
    for count in (10, 100):
        _kill_at(_REAL, [str(out), *models], count)
    verdict = _finish(_REAL, [str(out), *models])
    whole = tmp_path / "whole"
    assert _finish(_REAL, [str(whole), *models]) == verdict
    assert _texts(out, _UNITS) == _texts(whole, _UNITS)


@pytest.mark.slow
def test_endpoints(tmp_path: Path) -> None:
    out, kills = tmp_path / "a", (3, 60, 150)
    with OpenAIServer(latency=0.03) as server:
        models = [f"openai:{name}@{server.url}#concurrency=4" for name in ("base", "tuned")]
        for count in kills:
            _kill_at(_REAL, [str(out), *models], count)
        _finish(_REAL, [str(out), *models])
        asked = Counter((body["model"], body["messages"][-1]["content"]) for body in server.bodies)
        requests = server.requests
    _texts(out, _UNITS)
    assert len(asked) == 160
    # What was in flight or not yet written when the process died is asked again, and nothing else.
    assert requests <= _UNITS + len(kills) * 24
