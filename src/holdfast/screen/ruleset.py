"""The rules that run: built-in ones and those that other packages register."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from holdfast.errors import InputError
from holdfast.screen.base import BatchRule, Configurable, FileRule, RowRule, Rule, RuleInfo
from holdfast.screen.config import ScreenConfig
from holdfast.screen.profile import Profile
from holdfast.screen.reader import INFOS

GROUP = "holdfast.screen_rules"


@dataclass(frozen=True)
class RuleSet:
    """The rules of one run, by how they are driven."""

    rows: tuple[RowRule, ...]
    batches: tuple[BatchRule, ...]
    files: tuple[FileRule, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Codes of all rules, sorted."""
        rules: tuple[Rule, ...] = (*self.rows, *self.batches, *self.files)
        return tuple(sorted(info.code for rule in rules for info in rule.infos))


def all_rules() -> tuple[Rule, ...]:
    """Fresh instances of every known rule, built-in ones first."""
    from holdfast.screen.rules import registry

    found: list[Any] = [*registry(), *_registered()]
    return tuple(rule() if isinstance(rule, type) else rule for rule in found)


def load(config: ScreenConfig, path: str = "") -> RuleSet:
    """The rules that `config` lets run on a file, configured.

    Raises:
        InputError: The configuration names a code or family that no rule has.
    """
    rules = all_rules()
    check_names(config, (info.code for rule in rules for info in rule.infos))
    chosen = [rule for rule in rules if any(config.runs(info.code, path) for info in rule.infos)]
    for rule in chosen:
        if isinstance(rule, Configurable):
            rule.configure(config)
    return RuleSet(
        rows=tuple(rule for rule in chosen if isinstance(rule, RowRule)),
        batches=tuple(rule for rule in chosen if isinstance(rule, BatchRule)),
        files=(Profile(), *(rule for rule in chosen if isinstance(rule, FileRule))),
    )


def infos() -> dict[str, RuleInfo]:
    """The pages of every rule and of the reader, by code."""
    pages = [*INFOS, *(info for rule in all_rules() for info in rule.infos)]
    return {info.code: info for info in sorted(pages, key=lambda info: info.code)}


def check_names(config: ScreenConfig, codes: Iterable[str]) -> None:
    """Refuse codes that no rule has, with the nearest one that exists."""
    known = [*codes, *(info.code for info in INFOS)]
    named = [*config.select, *config.ignore, *config.rules, *sum(config.per_file_ignores.values(), ())]
    for name in named:
        if not name or not any(code.startswith(name) for code in known):
            from difflib import get_close_matches

            near = get_close_matches(name.upper(), [*known, *{code[:2] for code in known}], n=1, cutoff=0.4)
            raise InputError(
                f"no rule has the code '{name}'",
                fix=f"did you mean {near[0]}?" if near else "holdfast screen --explain all lists the rules",
            )


def _registered() -> list[Any]:
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            found.append(point.load())
        except Exception as error:
            raise InputError(
                f"the rule '{point.name}' ({point.value}) cannot be loaded: {error}",
                fix="correct or uninstall the package that registers it",
            ) from error
    return found
