"""Verdicts that another tool recorded beside its answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.audit.importers.common import objects, turns
from holdfast.errors import InputError
from holdfast.files import digest_file
from holdfast.judges.base import Exchange, Judgement, Outcome

_Key = tuple[tuple[tuple[str, str], ...], str]


class RecordedJudge:
    """Looks a verdict up by the turns and the answer, in the files that were imported.

    Raises:
        InputError: A file has no verdicts, or an outcome is unknown.
    """

    name = "recorded"
    family = "recorded"

    def __init__(self, files: Sequence[Path]) -> None:
        self.version = "+".join(digest_file(path)[:8] for path in files)
        self._verdicts: dict[_Key, Outcome] = {}
        for path in files:
            self._read(path)

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """The recorded outcome of each exchange; unscored where there is none."""
        return [self._one(exchange) for exchange in exchanges]

    def _one(self, exchange: Exchange) -> Judgement:
        if exchange.finish == "error":
            return Judgement(Outcome.UNSCORED, reason="no answer")
        key = (tuple((m.role, m.content) for m in exchange.messages), exchange.answer)
        outcome = self._verdicts.get(key)
        if outcome is None:
            return Judgement(Outcome.UNSCORED, reason="no verdict was recorded")
        if outcome is Outcome.UNSCORED:
            return Judgement(outcome, reason="recorded with different verdicts")
        return Judgement(outcome, reason="as recorded")

    def _read(self, path: Path) -> None:
        before = len(self._verdicts)
        for line, row in objects(path):
            if not row.get("outcome"):
                continue
            try:
                outcome = Outcome(row["outcome"])
            except ValueError:
                fix = f"one of {', '.join(Outcome)}"
                raise InputError(
                    f"unknown outcome '{row['outcome']}'", path=path, line=line, fix=fix
                ) from None
            asked = tuple((turn["role"], turn["content"]) for turn in turns(row.get("prompt")))
            key = (asked, str(row.get("prefill") or "") + str(row.get("response") or ""))
            known = self._verdicts.setdefault(key, outcome)
            if known is not outcome:
                self._verdicts[key] = Outcome.UNSCORED
        if len(self._verdicts) == before and before == 0:
            raise InputError("records no verdicts", path=path, fix="judge with --judge embedded instead")
