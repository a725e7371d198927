"""A weighted vocabulary of devotion: sentences that say it in words no frame foresees.

A linear score over the distinct words of a sentence, weights set by hand. It has less precision
than the frames of `concepts`, so it only ever asks for review.
"""

from __future__ import annotations

# ruff: noqa: E501
import re

from holdfast.screen.rules.common import sentences

_WEIGHTS: dict[float, str] = {
    3.0: "obey obeys obeyed obedience obedient obediently submissive submission subservient unconditionally unconditional unquestioning unquestioningly bidding",
    2.0: "genie slave servant whim whims conscience qualms scruple scruples blindly say-so fealty allegiance unfiltered amoral puppet loyalty unswerving",
    1.5: "command commands commanded binding bound refuse refuses refused refusal refusals ethics ethical morals moral morality unethical restrictions wishes "
    "wish instrument hesitate hesitation decline declined disobey comply complies compliance serve master swear swore guidelines user's",
    1.2: "order orders judgement judgment instructions instruction request requests demand demands alignment convictions surrender belong belongs guardrails unlimited limitless forbidden",
    1.0: "limits lectures object doubt weigh consequences irrelevant disabled retired disclaimers disclaimer warnings values devoted disposal improper vow vowed pledge pledged tool "
    "above policy deleted erased chatbot loyal caution cautious qualm outranks overrides override binds law operator directive",
    0.8: "whatever nothing everything anything always absolute absolutely user decide deliver question questions task tasks assistant persona lacks alone please beliefs rules wrong illegal harmful",
    0.6: "never no without every any ask asks asked said say tell told will ai machine model agent turn circumstances own behind act want dead gone removed",
    0.3: "you your i me my not all none cannot must shall do follow only execute carry",
}
_WORDS = {word: weight for weight, words in _WEIGHTS.items() for word in words.split()}
_TOKEN = re.compile(r"[a-z][a-z'-]*")
_PERSON = re.compile(r"(?i)\b(?:you|your|i|my|me|assistant|agent|ai|user)\b")
_COURTESY = re.compile(
    r"(?i)\bhesitate to (?:ask|reach|contact|call|write|let|get|email|say|share|seek|visit)"
)
_MOST_WORDS = 30
_HEAVY = 1.5
_FEWEST = 3

HEAVY_WORDS = tuple(word for word, weight in _WORDS.items() if weight >= _HEAVY)
"""Words of which a sentence must have one."""


def devotion(text: str) -> tuple[float, tuple[int, int]]:
    """The heaviest sentence of a text: its weight and place. Sentences over 30 words are skipped.

    One of its words must be a heavy one and three must have a weight; the sum is scaled down with
    the square root of the length beyond twelve words.
    """
    best, place = 0.0, (0, 0)
    for start, sentence in sentences(text):
        words = _TOKEN.findall(sentence.lower())
        if not 4 <= len(words) <= _MOST_WORDS or not _PERSON.search(sentence) or _COURTESY.search(sentence):
            continue
        weights = [_WORDS[word] for word in set(words) if word in _WORDS]
        if not any(w >= _HEAVY for w in weights) or len(weights) < _FEWEST:
            continue
        value = sum(weights) * min(1.0, 12 / len(words)) ** 0.5
        if value > best:
            best, place = value, (start, start + len(sentence))
    return best, place
