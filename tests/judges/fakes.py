"""A generator that answers from a list, and one exchange to judge."""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.conversation import chat
from holdfast.judges import Exchange
from holdfast.models.base import Completion, Decoding, Identity, Progress, Prompt


class FakeGenerator:
    def __init__(self, *replies: str | Completion, backend: str = "fake") -> None:
        self.replies = list(replies)
        self.asked: list[Prompt] = []
        self.backend = backend

    @property
    def identity(self) -> Identity:
        return Identity("fake", "0123456789abcdef", backend=self.backend)

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        self.asked += prompts
        given = [self.replies.pop(0) for _ in prompts]
        return [(g if isinstance(g, Completion) else Completion(g, "stop"),) for g in given]


def exchange(answer: str = "First take the key.", request: str = "How do I open this?") -> Exchange:
    return Exchange(chat(("system", "Be kind."), ("user", request)), answer)
