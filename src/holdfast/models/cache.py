"""A generation cache keyed by everything that an answer depends on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import RunError
from holdfast.files import digest_value
from holdfast.models.base import Completion, Decoding, Generator, Identity, Progress, Prompt, collect
from holdfast.models.streaming import stream

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS generations"
    " (key TEXT PRIMARY KEY, text TEXT NOT NULL, finish TEXT NOT NULL, tokens INTEGER NOT NULL) WITHOUT ROWID"
)


class CachedModel:
    """A generator that asks its model only for answers it has not given before.

    Answers are stored as they come, in `generations.sqlite` (SQLite in WAL mode: safe to kill and
    to share between processes). Failed units are not stored. Everything but `generate` and
    `stream` (scoring, `close`) is the model's own.

    Raises:
        RunError: The cache cannot be written (disk full, read-only folder).
    """

    def __init__(self, model: Generator, folder: str | Path) -> None:
        self._model = model
        self.path = Path(folder) / "generations.sqlite"
        self.hits = 0
        with _storage(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute(_SCHEMA)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def identity(self) -> Identity:
        return self._model.identity

    @property
    def fresh(self) -> Generator:
        """The model without the cache, for measuring how its answers vary from run to run."""
        return self._model

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return collect(self.stream(prompts, decoding, progress), len(prompts))

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        """Known answers first, then the model's, each stored before it is handed over."""
        left: list[int] = []
        for index, prompt in enumerate(prompts):
            known = self._look_up(prompt, decoding)
            if known is None:
                left.append(index)
                continue
            self.hits += 1
            yield index, known
            if progress is not None:
                progress(1)
        if not left:
            return
        for place, completions in stream(self._model, [prompts[i] for i in left], decoding, progress):
            index = left[place]
            self._store(prompts[index], decoding, completions)
            yield index, completions

    def _keys(self, prompt: Prompt, decoding: Decoding) -> list[str]:
        who = self.identity
        drawn = [decoding.max_new_tokens, decoding.temperature]
        if decoding.temperature > 0:
            drawn += [decoding.top_p, decoding.seed]
        turns = [[m.role, m.content, m.name, m.tool_calls] for m in prompt.messages]
        answering = [who.weights, who.adapter, who.template, who.backend]
        asked = [turns, prompt.prefill, prompt.template, prompt.complete]
        return [digest_value([answering, asked, drawn, sample]) for sample in range(decoding.samples)]

    def _look_up(self, prompt: Prompt, decoding: Decoding) -> tuple[Completion, ...] | None:
        found: list[Completion] = []
        with _storage(self.path):
            for key in self._keys(prompt, decoding):
                row = self._db.execute(
                    "SELECT text, finish, tokens FROM generations WHERE key = ?", (key,)
                ).fetchone()
                if row is None:
                    return None
                found.append(Completion(*row))
        return tuple(found)

    def _store(self, prompt: Prompt, decoding: Decoding, completions: tuple[Completion, ...]) -> None:
        if any(c.finish == "error" for c in completions):
            return
        rows = [
            (key, c.text.encode("utf-8", "replace").decode(), c.finish, c.tokens)
            for key, c in zip(self._keys(prompt, decoding), completions, strict=True)
        ]
        with _storage(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO generations VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")


@contextlib.contextmanager
def _storage(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RunError(
            f"the generation cache failed: {error}",
            path=path,
            fix="free some space or choose another cache folder; finished answers are kept",
        ) from error
