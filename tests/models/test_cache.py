"""The generation cache: what hits, what misses, and what survives."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from holdfast import models
from holdfast.conversation import chat
from holdfast.errors import RunError
from holdfast.models import Completion, Decoding, Identity, Progress, Prompt
from holdfast.models.base import failed
from holdfast.models.cache import CachedModel

DECODING = Decoding(max_new_tokens=4, temperature=1.0, samples=2, seed=3)
PLAIN = Identity("r", "w")
PROMPTS = [Prompt(chat(("user", f"q {i}"))) for i in range(5)]


class Fake:
    """Answers with the prompt's text, counts what it is asked, fails on `bad`."""

    def __init__(self, identity: Identity = PLAIN, bad: str = "") -> None:
        self.identity, self.bad, self.asked = identity, bad, 0

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        self.asked += len(prompts)
        return [self._answer(p, decoding) for p in prompts]

    def _answer(self, prompt: Prompt, decoding: Decoding) -> tuple[Completion, ...]:
        text = prompt.messages[-1].content
        if text == self.bad:
            return (failed("no"),) * decoding.samples
        return tuple(Completion(f"{text} {s}", "stop", 2) for s in range(decoding.samples))

    def first_token(self, prompts: Sequence[Prompt]) -> str:
        return "scores"


def test_known_answers_are_not_asked_again(tmp_path: Path) -> None:
    fake, done = Fake(), []
    model = CachedModel(fake, tmp_path)
    first = model.generate(PROMPTS[:3], DECODING)
    again = CachedModel(fake, tmp_path).generate(PROMPTS, DECODING, done.append)
    assert again[:3] == first and fake.asked == 5 and len(done) == 3
    assert CachedModel(fake, tmp_path).generate(PROMPTS[::-1], DECODING) == again[::-1]
    assert fake.asked == 5
    assert model.first_token([]) == "scores"


@pytest.mark.parametrize(
    "change",
    [
        {"identity": Identity("r", "other")},
        {"identity": Identity("r", "w", adapter="a")},
        {"identity": Identity("r", "w", template="t")},
        {"identity": Identity("r", "w", backend="b")},
        {"decoding": replace(DECODING, seed=4)},
        {"decoding": replace(DECODING, max_new_tokens=5)},
        {"decoding": replace(DECODING, temperature=0.5)},
        {"decoding": replace(DECODING, top_p=0.5)},
        {"decoding": replace(DECODING, samples=3)},
        {"prompt": replace(PROMPTS[0], prefill="x")},
        {"prompt": replace(PROMPTS[0], template="x")},
        {"prompt": replace(PROMPTS[0], complete=True)},
        {"prompt": Prompt(chat(("system", "q 0")))},
    ],
)
def test_anything_that_changes_the_answer_misses(tmp_path: Path, change: dict[str, Any]) -> None:
    CachedModel(Fake(), tmp_path).generate(PROMPTS[:1], DECODING)
    fake = Fake(change.get("identity", PLAIN))
    prompt, decoding = change.get("prompt", PROMPTS[0]), change.get("decoding", DECODING)
    CachedModel(fake, tmp_path).generate([prompt], decoding)
    assert fake.asked == 1


def test_another_name_for_the_same_weights_hits(tmp_path: Path) -> None:
    CachedModel(Fake(Identity("a", "w")), tmp_path).generate(PROMPTS, DECODING)
    fake = Fake(Identity("b", "w"))
    CachedModel(fake, tmp_path).generate(PROMPTS, replace(DECODING, samples=1))
    assert fake.asked == 0


def test_failures_are_not_kept(tmp_path: Path) -> None:
    CachedModel(Fake(bad="q 1"), tmp_path).generate(PROMPTS, DECODING)
    fake = Fake()
    answers = CachedModel(fake, tmp_path).generate(PROMPTS, DECODING)
    assert fake.asked == 1 and answers[1][0].finish == "stop"


def test_endpoints_and_recorded_answers_are_not_cached(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text('{"prompt": "a", "response": "b"}\n')
    for ref in (f"recorded:{file}", "openai:m@http://localhost:1/v1"):
        assert not isinstance(models.load(ref, cache=tmp_path / "cache"), CachedModel)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    model = CachedModel(Fake(), tmp_path)
    model._db.execute("PRAGMA max_page_count = 3")
    big = [Prompt(chat(("user", "x" * 9000 + str(i)))) for i in range(20)]
    with pytest.raises(RunError, match=r"generations.sqlite: the generation cache failed: .*full"):
        model.generate(big, DECODING)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(RunError, match="the generation cache failed"):
        CachedModel(Fake(), tmp_path / "cache")


def test_kill_loses_nothing_that_was_handed_over(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, signal, sys
        sys.path[:0] = [sys.argv[2]]
        from test_cache import *
        model = CachedModel(models.load(f"recorded:{sys.argv[3]}"), sys.argv[1])
        for n, (index, _) in enumerate(models.stream(model, PROMPTS, Decoding())):
            if n == 2:
                os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    file = tmp_path / "a.jsonl"
    file.write_text("".join(f'{{"prompt": "q {i}", "response": "r {i}"}}\n' for i in range(5)))
    done = subprocess.run([sys.executable, "-c", code, tmp_path, Path(__file__).parent, file])
    assert done.returncode == -signal.SIGKILL
    recorded = models.load(f"recorded:{file}")
    model = CachedModel(recorded, tmp_path)
    assert [a[0].text for a in model.generate(PROMPTS, Decoding())] == [f"r {i}" for i in range(5)]
    assert model.hits == 3
