"""The rules that run: built-in ones and those that other packages register."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from holdfast.errors import InputError
from holdfast.screen.base import BatchRule, Configurable, FileRule, RowRule, Rule, RuleInfo
from holdfast.screen.config import ScreenConfig
from holdfast.screen.options import Threshold, declared
from holdfast.screen.profile import Profile
from holdfast.screen.reader import INFOS
from holdfast.screen.rules.common import Tuned

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


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a configuration.

    Attributes:
        place: Keys that lead to it, from the `screen:` section.
        message, fix: In plain words.
    """

    place: tuple[str, ...]
    message: str
    fix: str


def all_rules() -> tuple[Rule, ...]:
    """Fresh instances of every known rule, built-in ones first.

    Raises:
        InputError: A registered rule cannot be loaded, is no rule, or uses the code of another.
    """
    from holdfast.screen.rules import registry

    rules = list(registry())
    codes = {info.code for info in INFOS} | {info.code for rule in rules for info in rule.infos}
    for name, found in _registered():
        rule = _rule(name, found)
        own = [info.code for info in rule.infos]
        if taken := [code for code in own if code in codes or own.count(code) > 1]:
            raise InputError(
                f"the rule '{name}' uses the code {taken[0]} of another rule", fix="take a free one"
            )
        codes.update(own)
        rules.append(rule)
    return tuple(rules)


def load(config: ScreenConfig, path: str = "") -> RuleSet:
    """The rules that `config` lets run on a file, configured.

    Raises:
        InputError: The configuration names a code, family or threshold that no rule has.
    """
    rules = all_rules()
    for mistake in mistakes(config, rules):
        raise InputError(mistake.message, fix=mistake.fix)
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


def thresholds() -> dict[str, tuple[Threshold, ...]]:
    """The thresholds of every rule that has some, by code."""
    return {
        info.code: tuple(declared(type(part)).values())
        for part in _parts(all_rules())
        if isinstance(part, Tuned)
        for info in part.infos
    }


def mistakes(config: ScreenConfig, rules: Sequence[Rule] | None = None) -> Iterator[Mistake]:
    """Codes and thresholds that no rule has, with the nearest that exists, and values of a wrong type."""
    rules = all_rules() if rules is None else rules
    known = [info.code for info in (*(info for rule in rules for info in rule.infos), *INFOS)]
    lists = {"select": config.select, "ignore": config.ignore, "rules": config.rules}
    named = [
        ((key, name) if key == "rules" else (key,), name) for key, names in lists.items() for name in names
    ]
    for pattern, names in config.per_file_ignores.items():
        named += [(("per_file_ignores", pattern), name) for name in names]
    for place, name in named:
        if not name or not any(code.startswith(name) for code in known):
            near = _nearest(name.upper(), [*known, *{code[:2] for code in known}])
            fix = f"did you mean {near}?" if near else "holdfast screen --explain all lists the rules"
            yield Mistake(place, f"no rule has the code '{name}'", fix)
    for name, settings in config.rules.items():
        yield from _wrong_options(name, settings.options, rules)


def _wrong_options(name: str, options: dict[str, Any], rules: Sequence[Rule]) -> Iterator[Mistake]:
    parts = [part for part in _parts(rules) if any(info.code.startswith(name) for info in part.infos)]
    known = [t for part in parts if isinstance(part, Tuned) for t in declared(type(part)).values()]
    # What a rule of the user's own takes from the configuration is its own business.
    free = any(isinstance(part, Configurable) and not isinstance(part, Tuned) for part in parts)
    names = sorted({threshold.name for threshold in known})
    for option, value in options.items():
        place = ("rules", name, "options", option)
        if option not in names and not free:
            near = _nearest(option, names)
            listed = f"its thresholds: {', '.join(names)}" if names else "remove it"
            fix = f"did you mean '{near}'?" if near else listed
            yield Mistake(place, f"{name} has no threshold '{option}'", fix)
        for threshold in known:
            if threshold.name == option and (trouble := threshold.trouble(value)):
                words = f"the threshold '{option}' of {name} {trouble}, not {value!r:.60}"
                yield Mistake(place, words, f"the default is {threshold.default!r}")


def _parts(rules: Sequence[Rule]) -> list[Any]:
    """Rules, with those that run several analyses taken apart."""
    return [part for rule in rules for part in getattr(rule, "analyses", (rule,))]


def _nearest(name: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1, cutoff=0.4)), "")


def _registered() -> Iterator[tuple[str, Any]]:
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            yield point.name, point.load()
        except Exception as error:
            raise InputError(
                f"the rule '{point.name}' ({point.value}) cannot be loaded: {error}",
                fix="correct or uninstall the package that registers it",
            ) from error


def _rule(name: str, found: Any) -> Any:
    """A registered class or object, if it is a rule."""
    rule = found() if isinstance(found, type) else found
    infos = getattr(rule, "infos", None)
    pages = bool(infos) and isinstance(infos, (tuple, list)) and all(isinstance(i, RuleInfo) for i in infos)
    if not pages or not isinstance(rule, RowRule | BatchRule | FileRule):
        raise InputError(
            f"'{name}' is no rule: it lacks infos (RuleInfo pages) or check, check_batch, start, ... finish",
            fix="see 'Write a rule' in docs/screen.md",
        )
    return rule
