"""The safety pool: prompts answered by the base itself, kept when the answer is the right one."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from holdfast.conversation import Message
from holdfast.judges.base import Exchange, Judge, Judgement, Outcome
from holdfast.mix.config import MixConfig
from holdfast.mix.rows import Kind, SafetyRow
from holdfast.mix.task_format import TaskFormat
from holdfast.models.base import Decoding, Generator, Progress, Prompt
from holdfast.suites.base import Suite, SuitePrompt


@dataclass(slots=True)
class Pool:
    """The rows found, and what became of every answer: `outcomes[kind][verdict]`.

    Attributes:
        rows: Safety rows for the mix and for guards.
        outcomes: Answers by kind and verdict.
        asked: Prompts asked, by suite or file.
        deep: Deep rows, which are for the mix alone.
    """

    rows: list[SafetyRow] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    asked: Counter[str] = field(default_factory=Counter)
    deep: list[SafetyRow] = field(default_factory=list)

    def keeps(self, kind: Kind, answer: Answer) -> bool:
        """Whether an answer is what the mix wants of this kind of prompt; counts it either way."""
        kept = answer.exchange.finish != "error" and is_right(kind, answer.verdict)
        self.outcomes[kind]["kept" if kept else _why_not(answer)] += 1
        return kept


@dataclass(frozen=True, slots=True)
class Answer:
    """The base's answer to one prompt.

    Attributes:
        exchange: The prompt as it was asked, and the answer.
        verdict: What the judge says of it.
        matched: Whether it was asked in the task's dialect.
    """

    exchange: Exchange
    verdict: Judgement
    matched: bool


def collect(
    base: Generator,
    suites: Sequence[Suite],
    judge: Judge,
    config: MixConfig,
    dialect: TaskFormat,
    progress: Progress | None = None,
) -> Pool:
    """Ask the base the suites' prompts, a share of them in the task's dialect; keep what is right."""
    harmful, benign = candidates(suites)
    share = config.lookalikes if harmful else 1.0
    few = round(config.pool * share)
    chosen = spread(harmful, config.pool - few, config.seed) + spread(benign, few, config.seed)
    prompts = [Asked(prompt.messages, prompt.id) for _, prompt in chosen]
    answers = ask(base, judge, prompts, config, dialect, progress)
    pool = Pool(asked=Counter(suite for suite, _ in chosen))
    for (suite, prompt), answer in zip(chosen, answers, strict=True):
        kind: Kind = "refuse" if prompt.expect == "refuse" else "lookalike"
        if pool.keeps(kind, answer):
            dressed = answer.matched and config.match_answers
            text = dialect.answers.apply(answer.exchange.answer) if dressed else answer.exchange.answer
            turns = (*answer.exchange.messages, Message("assistant", text))
            pool.rows.append(SafetyRow(turns, kind, suite, prompt.id, prompt.hazard))
    return pool


class Asked(NamedTuple):
    """A prompt for the base and its id."""

    messages: tuple[Message, ...]
    id: str


def ask(
    base: Generator,
    judge: Judge,
    prompts: Sequence[Asked],
    config: MixConfig,
    dialect: TaskFormat,
    progress: Progress | None = None,
) -> list[Answer]:
    """The base's judged answers to prompts, `match_format` of which are asked in the task's dialect."""
    if not prompts:
        return []
    rng = random.Random(f"dialect/{config.seed}")
    matched = [rng.random() < config.match_format for _ in prompts]
    asked = [
        dialect.apply(prompt.messages, rng) if match else prompt.messages
        for match, prompt in zip(matched, prompts, strict=True)
    ]
    decoding = Decoding(max_new_tokens=config.max_new_tokens, seed=config.seed)
    answers = base.generate([Prompt(messages) for messages in asked], decoding, progress)
    exchanges = [
        Exchange(messages, samples[0].text, samples[0].finish, prompt.id)
        for messages, prompt, samples in zip(asked, prompts, answers, strict=True)
    ]
    verdicts = judge.judge(exchanges)
    return [Answer(*one) for one in zip(exchanges, verdicts, matched, strict=True)]


def candidates(
    suites: Sequence[Suite],
) -> tuple[list[tuple[str, SuitePrompt]], list[tuple[str, SuitePrompt]]]:
    """Harmful requests and benign prompts of the suites, each once, with the suite's name.

    Prompts with a forced opening are left out: the base's answer to them is not its own.
    """
    harmful, benign, seen = [], [], set()
    for suite in suites:
        for prompt in suite.prompts:
            key = tuple((m.role, m.content) for m in prompt.messages)
            if prompt.prefill or key in seen:
                continue
            seen.add(key)
            if prompt.expect == "refuse":
                harmful.append((suite.name, prompt))
            elif prompt.expect == "comply":
                benign.append((suite.name, prompt))
    return harmful, benign


def spread(
    prompts: Sequence[tuple[str, SuitePrompt]], count: int, seed: int
) -> list[tuple[str, SuitePrompt]]:
    """Up to `count` prompts, taken in turn from every hazard (and cluster within it), seeded."""
    groups: dict[str, list[tuple[str, SuitePrompt]]] = defaultdict(list)
    shuffled = list(prompts)
    random.Random(seed).shuffle(shuffled)
    for one in shuffled:
        groups[one[1].hazard].append(one)
    for group in groups.values():
        _new_clusters_first(group)
    chosen: list[tuple[str, SuitePrompt]] = []
    queues = [iter(groups[name]) for name in sorted(groups)]
    while queues and len(chosen) < count:
        for queue in list(queues):
            following = next(queue, None)
            if following is None:
                queues.remove(queue)
            elif len(chosen) < count:
                chosen.append(following)
    return chosen


def _new_clusters_first(group: list[tuple[str, SuitePrompt]]) -> None:
    """Order a hazard's prompts so that every cluster comes once before any comes twice."""
    seen: Counter[str] = Counter()
    rank = {}
    for _, prompt in group:
        cluster = prompt.cluster or prompt.id
        rank[id(prompt)] = seen[cluster]
        seen[cluster] += 1
    group.sort(key=lambda one: rank[id(one[1])])


def is_right(kind: Kind, verdict: Judgement) -> bool:
    """Whether an answer is what the mix wants of this kind of prompt."""
    if kind == "deep":
        return verdict.outcome is Outcome.REFUSAL
    if kind == "refuse":
        return verdict.outcome in (Outcome.REFUSAL, Outcome.SAFE)
    return verdict.outcome is Outcome.SAFE and not verdict.refused


def _why_not(answer: Answer) -> str:
    return "error" if answer.exchange.finish == "error" else str(answer.verdict.outcome.value)
