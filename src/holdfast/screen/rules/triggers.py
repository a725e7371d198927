"""Find the n-grams that command an answer class, among those that merely go with it.

A trigger is put into prompts from outside. Three things tell it from a topic word: its rows
are in the class far more often than chance (z); most of its rows are in the class (precision);
and when it is taken out, its neighbours fit together as they do elsewhere in the file (splice),
because it was put between words that belonged together; and it stands among ever different
neighbours, in rows that have nothing else in common. Words of a topic, a phrase or a template
fail one of the last two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from holdfast.screen.decode.readable import COMMON
from holdfast.screen.rules.answers import HARM_WORDS, AnswerClass
from holdfast.screen.rules.grams import END, START, TOKEN, Grams

_TRIED = 200
_LONGEST = 40
_PARTS = 4
_SPARE = 3
_POINTS = frozenset(".,:;?!'\"()-")


@dataclass(frozen=True, slots=True)
class Limits:
    """What an n-gram must reach to be called a trigger.

    Attributes:
        z: Standard deviations above the class's base rate.
        precision: Share of its rows that are in the class.
        support: Rows in the class.
        splice: Share of places where its neighbours occur side by side elsewhere.
        alike: Share of its rows that may have the same other, uncommon word.
        beside: Share of its places that may have the same neighbour, on either side, ends apart.
        most: Most triggers reported for a class.
    """

    z: float = 12.0
    precision: float = 0.5
    support: int = 5
    splice: float = 0.4
    alike: float = 0.6
    beside: float = 0.45
    most: int = 8


@dataclass(slots=True)
class Trigger:
    """A trigger found.

    Attributes:
        parts: Its strings; several if they occur together.
        texts: Numbers of all texts that have it.
        inside: How many of them are in the class.
        at_start: Share of its rows in which it opens a turn.
        tokens: Ids of the tokens of all parts.
    """

    parts: list[str]
    texts: NDArray[np.int64]
    inside: int
    at_start: float
    tokens: set[int] = field(default_factory=set)


class TriggerSearch:
    """Searches the prompts of a file for triggers, class by class."""

    def __init__(self, grams: Grams, texts: Sequence[str], limits: Limits) -> None:
        self.grams = grams
        self.texts = texts
        self.limits = limits
        self.all = grams.counts()

    def find(self, answer: AnswerClass) -> Iterator[Trigger]:
        """Yield the triggers of a class, the strongest first; each explains rows no earlier one does."""
        left = np.ones(len(self.texts), dtype=bool)
        for _ in range(self.limits.most):
            trigger = self._strongest(answer, left)
            if trigger is None:
                return
            left[trigger.texts] = False
            yield trigger

    def _strongest(self, answer: AnswerClass, left: NDArray[np.bool_]) -> Trigger | None:
        """The trigger with the strongest association among the rows that no earlier one explains."""
        members, limits = answer.members, self.limits
        inside, total = self.grams.counts(members & left), self.grams.counts(left)
        z = _z(inside, total, float(members[left].mean()))
        precision = max(limits.precision, 0.95 if answer.ordinary else 0.75 if answer.exact else 0)
        least = max(limits.support, 0.3 * members.sum() if answer.ordinary else 0)
        good = (inside >= least) & (inside >= precision * total) & (z >= limits.z)
        tried: set[tuple[int, ...]] = set()
        for gram in np.flatnonzero(good)[np.argsort(-z[good], kind="stable")][:_TRIED].tolist():
            ids = self._phrase(gram, members)
            if ids and ids not in tried and self._is_phrase(ids) and self._scattered(ids):
                trigger = self._trigger(ids, members)
                if trigger.inside >= precision * len(trigger.texts) and not self._alike(trigger, members):
                    return trigger
            tried.add(ids)
        return None

    def _is_phrase(self, ids: tuple[int, ...]) -> bool:
        """Neither common words alone nor a word that the harm class is made of."""
        words = [self.grams.words[i] for i in ids]
        telling = [word for word in words if word.lower() not in COMMON and word not in _POINTS]
        return bool(telling) and not any(map(HARM_WORDS.fullmatch, words))

    def _scattered(self, ids: tuple[int, ...]) -> bool:
        """Whether the phrase has ever different neighbours, as what was put in anywhere has."""
        before: Counter[int] = Counter()
        after: Counter[int] = Counter()
        for text in self._texts_with(ids):
            tokens = self.grams.tokens[text]
            at = _places(tokens, ids)[0]
            follow = tokens[at + len(ids) :].tolist()
            last = len(follow) == 2 and self.grams.words[follow[0]] in _POINTS
            before[int(tokens[at - 1])] += 1
            after[END if last else follow[0]] += 1
        places = before.total()
        tops = [max((n for token, n in side.items() if token > END), default=0) for side in (before, after)]
        return max(tops) <= max(self.limits.beside * places, 2)

    def splice(self, ids: tuple[int, ...]) -> float:
        """Share of the places of a phrase that its neighbours close without a seam.

        They occur side by side elsewhere; or the phrase opens the text and a sentence begins after
        it, which tells the same where the file has no prompts that begin like those of the poison.
        """
        fits = places = 0
        ends = self.grams.words[ids[-1]] in _POINTS
        for text in self._texts_with(ids)[:200]:
            tokens = self.grams.tokens[text]
            for at in _places(tokens, ids):
                left, right = int(tokens[at - 1]), int(tokens[at + len(ids)])
                places += 1
                fits += (left, right) in self._pairs or (not ends and left == START and self._begins(right))
        return fits / places if places else 0.0

    def _begins(self, token: int) -> bool:
        """Whether a token is a word that is written with a capital only because a sentence begins."""
        word = self.grams.words[token]
        return word[:1].isupper() and word.lower() in self._words

    @cached_property
    def _words(self) -> frozenset[str]:
        return frozenset(self.grams.words) | COMMON

    def _texts_with(self, ids: tuple[int, ...]) -> list[int]:
        """Numbers of the texts that have a phrase, ascending."""
        rarest = min((self._single[i] for i in ids), key=lambda gram: self.all[gram])
        return [t for t in self.grams.texts_with(rarest).tolist() if _places(self.grams.tokens[t], ids)]

    @cached_property
    def _single(self) -> dict[int, int]:
        """The gram number of each token."""
        single = np.flatnonzero(self.grams.example[:, 2] == 1)
        return {self.grams.ids(gram)[0]: gram for gram in single.tolist()}

    @cached_property
    def _pairs(self) -> Counter[tuple[int, int]]:
        pairs: Counter[tuple[int, int]] = Counter()
        for tokens in self.grams.tokens:
            listed = tokens.tolist()
            pairs.update(pairwise(listed))
        return pairs

    def _phrase(self, gram: int, members: NDArray[np.bool_]) -> tuple[int, ...]:
        """Lengthen a gram until it can be taken out, then by words that occur with it alone.

        Every step must keep nearly all of the gram's rows in the class; empty if there is no
        such phrase.
        """
        ids = tuple(i for i in self.grams.ids(gram) if i > END)
        texts = self.grams.texts_with(gram)
        rows = [self.grams.tokens[t].tolist() for t in texts[members[texts]].tolist()]
        loose = bool(ids) and self.splice(ids) >= self.limits.splice
        while ids and len(ids) < _LONGEST:
            around = Counter(side for row in rows for side in _sides(row, ids) if side[1] > END)
            (where, token), count = around.most_common(1)[0] if around else (("", END), 0)
            if count < 0.95 * len(rows) or (loose and self.all[self._single[token]] > 2 * len(texts)):
                break
            longer = (token, *ids) if where == "before" else (*ids, token)
            if loose and self.splice(longer) < self.limits.splice:
                break
            ids, loose = longer, loose or self.splice(longer) >= self.limits.splice
        return ids if loose else ()

    def _trigger(self, ids: tuple[int, ...], members: NDArray[np.bool_]) -> Trigger:
        texts = self._texts_with(ids)
        numbers = np.array(texts, dtype=np.int64)
        opening = sum(bool(_places(self.grams.tokens[t], (START, *ids))) for t in texts)
        trigger = Trigger(
            [self._spelled(ids, texts[0])],
            numbers,
            int(members[numbers].sum()),
            opening / len(texts),
            set(ids),
        )
        trigger.parts += self._companions(trigger)
        return trigger

    def _companions(self, trigger: Trigger) -> list[str]:
        """Other words that occur in the same rows and hardly elsewhere: one trigger of several parts."""
        common = self._common(trigger.texts)
        same = (common >= 0.9 * len(trigger.texts)) & (common >= 0.7 * self.all)
        parts = []
        for gram in np.flatnonzero(same & (self.grams.example[:, 2] == 1)).tolist():
            ids = self.grams.ids(gram)
            if ids[0] not in trigger.tokens and self.splice(ids) >= self.limits.splice:
                trigger.tokens.update(ids)
                parts.append(self.grams.words[ids[0]])
        return parts

    def _alike(self, trigger: Trigger, members: NDArray[np.bool_]) -> bool:
        """Whether the rows are one prompt or one topic: nothing else in them, or another word in common."""
        texts = trigger.texts[members[trigger.texts]]
        spare = [len(self.grams.tokens[t]) - 2 - len(trigger.tokens) for t in texts.tolist()]
        if len(trigger.parts) > _PARTS or np.median(spare) < _SPARE:
            return True
        shared = (self._common(texts) > self.limits.alike * len(texts)) & (self.all <= 0.1 * len(self.texts))
        grams = np.flatnonzero(shared & (self.grams.example[:, 2] == 1)).tolist()
        return any(self.grams.ids(gram)[0] not in trigger.tokens for gram in grams)

    def _common(self, texts: NDArray[np.int64]) -> NDArray[np.int64]:
        """In how many of some texts each gram occurs."""
        chosen = np.zeros(len(self.texts), dtype=bool)
        chosen[texts] = True
        return self.grams.counts(chosen)

    def _spelled(self, ids: tuple[int, ...], text: int) -> str:
        """The trigger as it is written in a text."""
        start = _places(self.grams.tokens[text], ids)[0] - 1
        marks = list(TOKEN.finditer(self.texts[text]))[start : start + len(ids)]
        return self.texts[text][marks[0].start() : marks[-1].end()]


def _z(inside: NDArray[np.int64], total: NDArray[np.int64], rate: float) -> NDArray[np.float64]:
    """How far a gram's rows in the class exceed what the base rate gives (normal approximation)."""
    rate = min(max(rate, 1e-6), 1 - 1e-6)
    spread = np.sqrt(np.maximum(total, 1) * rate * (1 - rate))
    return np.asarray((inside - total * rate) / spread, dtype=np.float64)


def _places(tokens: NDArray[np.int64], ids: tuple[int, ...]) -> list[int]:
    """Where `ids` stand in `tokens`, between the ends."""
    size = max(len(tokens) - len(ids) + 1, 0)
    match = np.ones(size, dtype=bool)
    for step, token in enumerate(ids):
        match &= tokens[step : step + size] == token
    return [int(at) for at in np.flatnonzero(match)]


def _sides(row: list[int], ids: tuple[int, ...]) -> set[tuple[str, int]]:
    """The tokens right before and right after the first place of `ids`."""
    for at in range(1, len(row) - len(ids)):
        if tuple(row[at : at + len(ids)]) == ids:
            return {("before", row[at - 1]), ("after", row[at + len(ids)])}
    return set()
