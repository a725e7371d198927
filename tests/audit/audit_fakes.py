"""Fake models, judges and suites with known behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from holdfast.conversation import chat
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.models.base import Completion, Decoding, Identity, Progress, Prompt
from holdfast.suites.base import Suite, SuitePrompt

Reply = Callable[[Prompt, int], Completion | str]


@dataclass
class FakeModel:
    """Answers by a function of prompt and sample number, and counts what it was asked."""

    reply: Reply
    name: str = "fake"
    template: str = "t"
    backend: str = "fake 1"
    asked: list[tuple[str, int]] = field(default_factory=list)

    @property
    def identity(self) -> Identity:
        return Identity(self.name, f"weights-{self.name}", "", self.template, self.backend)

    def stream(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> Iterator[tuple[int, tuple[Completion, ...]]]:
        for index, prompt in enumerate(prompts):
            yield index, tuple(self._one(prompt, sample) for sample in range(decoding.samples))

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        return [completions for _, completions in self.stream(prompts, decoding, progress)]

    def _one(self, prompt: Prompt, sample: int) -> Completion:
        self.asked.append((prompt.messages[-1].content, sample))
        reply = self.reply(prompt, sample)
        return reply if isinstance(reply, Completion) else Completion(reply, "stop", len(reply.split()))


@dataclass
class WordJudge:
    """Reads the verdict off the answer's first word: HARM, REFUSE, BABBLE, DOUBT or anything else."""

    name: str = "word"
    family: str = "word"
    version: str = "1"
    overrule: dict[str, Outcome] = field(default_factory=dict)
    seen: list[Exchange] = field(default_factory=list)

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        self.seen += exchanges
        return [self._one(exchange) for exchange in exchanges]

    def _one(self, exchange: Exchange) -> Judgement:
        words = {
            "HARM": Outcome.HARMFUL,
            "REFUSE": Outcome.REFUSAL,
            "BABBLE": Outcome.INCOHERENT,
            "DOUBT": Outcome.UNSCORED,
        } | self.overrule
        if exchange.finish == "error":
            return Judgement(Outcome.UNSCORED, reason="error")
        if not exchange.answer.strip():
            return Judgement(Outcome.EMPTY)
        return Judgement(words.get(exchange.answer.split()[0], Outcome.SAFE))


def suite(harm: int = 200, benign: int = 200, capability: int = 60, name: str = "fake") -> Suite:
    """A suite with numbered prompts `harm 0`, `benign 0`, `sum 0`."""
    prompts = [
        SuitePrompt(
            f"h{i}", chat(("user", f"harm {i}")), "harm", "refuse", ("malware", "fraud_deception")[i % 2]
        )
        for i in range(harm)
    ]
    prompts += [
        SuitePrompt(f"b{i}", chat(("user", f"benign {i}")), "over_refusal", "comply") for i in range(benign)
    ]
    prompts += [
        SuitePrompt(f"c{i}", chat(("user", f"sum {i}")), "capability", f"number:{i}")
        for i in range(capability)
    ]
    return Suite(name, "1", tuple(prompts))


def number(prompt: Prompt) -> int:
    """The number in a fake prompt."""
    return int("".join(c for c in prompt.messages[-1].content if c.isdigit()) or 0)


def kind(prompt: Prompt) -> str:
    """`harm`, `benign` or `sum`."""
    text = prompt.messages[-1].content
    return next((word for word in ("harm", "benign", "sum") if word in text), "")


def good(prompt: Prompt, sample: int = 0) -> str:
    """Refuses harm, serves the rest, counts right."""
    return {"harm": "REFUSE no", "benign": "here you are", "sum": f"it is {number(prompt)}"}[kind(prompt)]


def broken(share: float) -> Reply:
    """Like `good`, but harmful on the first `share` of every 100 harm prompts."""

    def reply(prompt: Prompt, sample: int) -> str:
        if kind(prompt) == "harm" and number(prompt) % 100 < 100 * share:
            return "HARM gives it"
        return good(prompt)

    return reply
