"""What a guard-model adapter is: how an exchange is asked, how a reply is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from holdfast.conversation import Message
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.judges.screening import judge_with
from holdfast.models.base import Decoding, Generator, Prompt

RAW = "{{ messages[0]['content'] }}"
"""A chat template that adds nothing: the text already holds the guard's own marks."""


class UnparsedError(ValueError):
    """A guard's reply that is none of the replies its card describes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A guard's verdict on one exchange.

    Attributes:
        harmful: Whether the answer (or, without one, the request) violates the guard's policy.
        refused: Whether the answer declines, where the guard says so.
        score: Harm in [0, 1]; guards that only say yes or no give 1 or 0.
        hazard: Hazard key, where the guard's category maps to one.
        detail: The guard's own words (category codes).
    """

    harmful: bool
    refused: bool | None = None
    score: float | None = None
    hazard: str = ""
    detail: str = ""


class GuardFormat(Protocol):
    """One guard model's input and output format."""

    name: str
    max_new_tokens: int

    def prompts(self, exchange: Exchange, remote: bool) -> list[Prompt]:
        """The questions for one exchange (ShieldGemma asks one per policy).

        Args:
            exchange: What is judged.
            remote: The guard is behind an endpoint, which applies its chat template itself.
        """
        ...

    def read(self, replies: Sequence[str], exchange: Exchange) -> Reading:
        """Read the replies to `prompts`.

        Raises:
            UnparsedError: A reply is none that the guard is known to give.
        """
        ...


class GuardJudge:
    """A guard model as a judge: any generator (local, vLLM, HTTP) behind one format.

    A reply that cannot be read, or no reply, is `UNSCORED` with the reason, never safe.
    """

    family = "guard"

    def __init__(self, form: GuardFormat, generator: Generator) -> None:
        self.name = f"guard:{form.name}"
        self.form, self.generator = form, generator
        identity = generator.identity
        self.version = f"{identity.weights[:12]}/{identity.backend}"
        self._remote = identity.backend == "openai-compatible"

    def judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        """Judge each exchange; all questions go to the guard in one call."""
        return judge_with(self._judge, exchanges)

    def _judge(self, exchanges: Sequence[Exchange]) -> list[Judgement]:
        asked = [self.form.prompts(exchange, self._remote) for exchange in exchanges]
        flat = [prompt for prompts in asked for prompt in prompts]
        decoding = Decoding(max_new_tokens=self.form.max_new_tokens)
        replies = iter(self.generator.generate(flat, decoding))
        verdicts = []
        for exchange, prompts in zip(exchanges, asked, strict=True):
            mine = [next(replies)[0] for _ in prompts]
            failure = next((reply.error or "no reply" for reply in mine if reply.finish == "error"), "")
            if failure:
                verdicts.append(Judgement(Outcome.UNSCORED, reason=f"{self.name}: {failure}"))
            else:
                verdicts.append(self._read([reply.text for reply in mine], exchange))
        return verdicts

    def _read(self, replies: Sequence[str], exchange: Exchange) -> Judgement:
        try:
            return judgement(self.form.read(replies, exchange))
        except UnparsedError as error:
            return Judgement(Outcome.UNSCORED, reason=f"{self.name} cannot be read: {error}")


def remembering(model: str, cache: Path | None) -> Generator:
    """A model whose answers are kept in `cache`, where given, whatever its backend.

    Raises:
        InputError: The model cannot be opened.
        RunError: The folder cannot be written.
    """
    from holdfast.models import load

    if cache is None:
        return load(model)
    from holdfast.models.cache import CachedModel

    return CachedModel(load(model), cache)


def judgement(reading: Reading) -> Judgement:
    """From a guard's reading to a verdict."""
    score = float(reading.harmful) if reading.score is None else reading.score
    if reading.harmful:
        return Judgement(Outcome.HARMFUL, score, reading.refused, reading.detail, reading.hazard)
    outcome = Outcome.REFUSAL if reading.refused else Outcome.SAFE
    return Judgement(outcome, score, reading.refused, reading.detail)


def dialogue(exchange: Exchange) -> tuple[Message, ...]:
    """The turns of an exchange without system text, with the answer as the last turn.

    Guard templates insist on alternating user and assistant turns: neighbours of one role are
    joined, and a dialogue that opens with an assistant turn gets an empty user turn first.
    """
    turns: list[Message] = []
    for message in (*exchange.messages, Message("assistant", exchange.answer)):
        if message.role not in ("user", "assistant") or not message.content:
            continue
        if turns and turns[-1].role == message.role:
            turns[-1] = Message(message.role, f"{turns[-1].content}\n\n{message.content}")
        else:
            turns.append(Message(message.role, message.content))
    if turns and turns[0].role == "assistant":
        turns.insert(0, Message("user", ""))
    return tuple(turns)


def native(exchange: Exchange) -> Prompt:
    """The dialogue itself, for guards whose chat template wraps it in their policy."""
    return Prompt(dialogue(exchange), complete=True)


def raw(text: str) -> Prompt:
    """A text that already holds the guard's marks."""
    return Prompt((Message("user", text),), template=RAW)


def shorten(reply: str) -> str:
    """A reply for a reason line."""
    return repr(" ".join(reply.split())[:80])[:80]
