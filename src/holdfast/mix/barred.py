"""What was mixed into training decides about no model: its suites by digest, its prompts one by one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from holdfast import formats
from holdfast.conversation import Message
from holdfast.errors import InputError
from holdfast.mix.record import MixRecord
from holdfast.mix.rows import SafetyRow
from holdfast.suites.base import Suite

FILE = "mix.json"


def prompt_digest(messages: Iterable[Message]) -> str:
    """SHA-256 of the user's turns, without regard to case, white space or the system prompt."""
    turns = [" ".join(m.content.split()).casefold() for m in messages if m.role == "user"]
    return hashlib.sha256("\x01".join(turns).encode("utf-8", "surrogatepass")).hexdigest()


def mixed_prompts(suites: Sequence[Suite], rows: Iterable[SafetyRow], files: Iterable[Path]) -> list[str]:
    """Digests, sorted, of the suites' prompts behind `rows` and of every prompt of `files`.

    The suite's own words are taken, not the row's, which may be in the task's dialect.
    """
    kept = {(row.source, row.prompt_id) for row in rows}
    found = {
        prompt_digest(prompt.messages)
        for suite in suites
        for prompt in suite.prompts
        if (suite.name, prompt.id) in kept
    }
    return sorted(found.union(*(file_prompts(path) for path in files)))


def file_prompts(path: Path) -> set[str]:
    """Digests of the prompts of a file of rows."""
    return {prompt_digest(row.prompt) for row in formats.read(path)}


@dataclass(frozen=True, slots=True)
class Barred:
    """Suites and prompts that must not decide.

    Attributes:
        suites: Digests of suites.
        prompts: Digests of single prompts (`prompt_digest`).
    """

    suites: frozenset[str] = frozenset()
    prompts: frozenset[str] = frozenset()

    @classmethod
    def by_records(cls, records: Iterable[MixRecord]) -> Barred:
        """What these mixes used."""
        every = list(records)
        return cls(
            frozenset(suite.digest for record in every for suite in record.barred),
            frozenset(prompt for record in every for prompt in record.prompts),
        )

    @classmethod
    def by_suites(cls, suites: Iterable[Suite]) -> Barred:
        """These suites and all their prompts."""
        every = list(suites)
        prompts = (prompt_digest(prompt.messages) for suite in every for prompt in suite.prompts)
        return cls(frozenset(suite.digest for suite in every), frozenset(prompts))

    def reason(self, digest: str, prompts: Iterable[Iterable[Message]]) -> str:
        """Why a suite of this digest and these prompts must not decide; empty where it may."""
        asked = {prompt_digest(messages) for messages in prompts}
        if digest in self.suites:
            return "the whole suite was used"
        used = len(asked & self.prompts)
        return f"{used} of its {len(asked)} prompts were used" if used else ""

    def refuse(self, suites: Iterable[Suite], *, of: str, fix: str) -> None:
        """Refuse suites that must not decide.

        Args:
            suites: What is to be asked.
            of: For what their prompts were used, as people say it.
            fix: What to do instead.

        Raises:
            InputError: Names the first such suite and why.
        """
        for suite in suites:
            reason = self.reason(suite.digest, [prompt.messages for prompt in suite.prompts])
            if reason:
                raise InputError(f"suite '{suite.name}' must not decide: {reason} {of}", fix=fix)


def load_barred(records: Iterable[Path], safety: Path | None = None) -> Barred:
    """What the mixing records (`mix.json`, or its folder) bar.

    Args:
        records: Files or folders.
        safety: A file of safety rows that is trained on as well; its prompts are barred, and what
            the record beside it says.

    Raises:
        InputError: One is not a mixing record, or the rows cannot be read.
    """
    paths = [path / FILE if path.is_dir() else path for path in records]
    if safety is not None and (safety.parent / FILE).is_file():
        paths.append(safety.parent / FILE)
    found = Barred.by_records(map(_load, paths))
    return found if safety is None else Barred(found.suites, found.prompts | file_prompts(safety))


def _load(path: Path) -> MixRecord:
    try:
        return MixRecord.load(path)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"is not a mixing record: {where}: {first['msg']}", path=path, fix="name the mix.json of the mix"
        ) from None
