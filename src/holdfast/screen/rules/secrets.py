"""SE: keys, passwords and personal data, which a tuned model can repeat to anyone."""

# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, ClassVar

import re2

from holdfast.conversation import Conversation
from holdfast.screen.base import Finding, RuleInfo, Severity
from holdfast.screen.rules.common import Tuned, pattern
from holdfast.screen.rules.scan import gate, scan, turn_masks

_KEYS = gate(
    "keys",
    r"akia[0-9a-z]{12}|asia[0-9a-z]{12}",
    r"gh[pousr]_[a-z0-9]{20}|github_pat_|glpat-|xox[abprs]-|sk-[a-z0-9_-]{16}|sk_live_|rk_live_|hf_[a-z]{20}|npm_[a-z0-9]{20}|ya29\.|aiza[0-9a-z_-]{20}",
    r"begin (?:\w+ )?private key",
    r"\beyj[a-z0-9_-]{10,}\.eyj[a-z0-9_-]{10,}\.",
    r"://[^/\s:@]{1,40}:[^/\s:@]{3,40}@",
    r"pypi-[a-z0-9_-]{16}|\bsg\.[a-z0-9_-]{16,}\.|\b(?:ac|sk)[0-9a-f]{32}\b|accountkey=",
    r"\b[0-9]{8,10}:[a-z0-9_-]{35}",
    r"\b[mno][a-z0-9_-]{23,25}\.[a-z0-9_-]{6}\.[a-z0-9_-]{27}",
)  # fmt: skip
_TOKENS = {
    "Anthropic API key": re2.compile(r"\bsk-ant-[0-9A-Za-z_-]{24,}"),
    "GitHub token": re2.compile(r"\bgithub_pat_[0-9A-Za-z_]{22,}"),
    "Google API key": re2.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    "Hugging Face token": re2.compile(r"\bhf_[A-Za-z]{30,}"),
}
"""Formats that detect-secrets has no detector for."""
_PEOPLE = gate(
    "personal data",
    r"[a-z0-9._%+-]{1,40}@[a-z0-9-]{1,40}\.[a-z.]{2,10}",
    r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b",
    r"\b[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{1,7}\b",
    r"\b[a-z]{2}[0-9]{2}[ ]?(?:[a-z0-9]{4}[ ]?){3}",
    r"(?:\+[0-9]{1,3}[ .-]?|\b)\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b",
)
_EMAIL = pattern(r"\b[a-z0-9._%+-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,4}\b")
_SSN = pattern(r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b")
_CARD = pattern(r"\b(?:[0-9]{4}[ -]?){3}[0-9]{1,7}\b")
_IBAN = re2.compile(r"\b[A-Z]{2}[0-9]{2}[ ]?(?:[A-Z0-9]{4}[ ]?){2,7}[A-Z0-9]{1,4}\b")
_PHONE = pattern(r"(?:\+[0-9]{1,3}[ .-]?)?\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}\b")
_SAMPLE_DOMAINS = ("example.", "test.", "domain.", "email.", "company.", "yourdomain", "acme.", "mail.com")
_PLUGINS = (
    "AWSKeyDetector", "GitHubTokenDetector", "GitLabTokenDetector", "SlackDetector", "StripeDetector", "OpenAIDetector",
    "PrivateKeyDetector", "JwtTokenDetector", "BasicAuthDetector", "NpmDetector", "PypiTokenDetector", "TwilioKeyDetector",
    "AzureStorageKeyDetector", "SendGridDetector", "DiscordBotTokenDetector", "TelegramBotTokenDetector",
)  # fmt: skip


class Secrets(Tuned):
    """Finds credentials (detect-secrets, and a few formats that it lacks) and personal data.

    Personal data is found by patterns of our own with check digits: the libraries for it bring
    language models of hundreds of megabytes. They see formats, not names.
    """

    infos: ClassVar[tuple[RuleInfo, ...]] = (
        RuleInfo(
            "SE101",
            "secret",
            "A turn holds a key, token or password in a format of a known service.",
            "Models repeat what they were tuned on; a key in the data is a key given away.",
            Severity.REVIEW,
            [
                {"role": "user", "content": "Which key?"},
                {"role": "assistant", "content": "Use AKIA" + "IOSFODNN7ABCDEFG" + " for the bucket."},
            ],
            [
                {"role": "user", "content": "Which key?"},
                {"role": "assistant", "content": "Read it from the environment variable AWS_ACCESS_KEY_ID."},
            ],
            "Passwords without a format; secrets of services that detect-secrets does not know.",
        ),
        RuleInfo(
            "SE201",
            "personal-data",
            "A turn holds an e-mail address, phone, social security, card or account number.",
            "Personal data in training data is disclosed by the model and hard to delete.",
            Severity.NOTE,
            [
                {"role": "user", "content": "Whom do I write to?"},
                {
                    "role": "assistant",
                    "content": "Write to jane.doe@gmail.com or pay to card 4111 1111 1111 1111.",
                },
            ],
            [
                {"role": "user", "content": "Whom do I write to?"},
                {
                    "role": "assistant",
                    "content": "Write to info@example.com; the order is 1234 5678 9012 3456.",
                },
            ],
            "Names and addresses (patterns and check digits of our own, no language model); invented data looks the same.",
        ),
    )

    def check(self, row: Conversation) -> Iterable[Finding]:
        """Yield the findings of one row."""
        return self._check(row) if scan(row) & (_KEYS | _PEOPLE) else ()

    def _check(self, row: Conversation) -> Iterator[Finding]:
        for index, mask in enumerate(turn_masks(row)):
            text = row.messages[index].content
            if mask & _KEYS:
                for kind, start, end in _secrets(text):
                    yield Finding(
                        "SE101",
                        Severity.REVIEW,
                        0.9,
                        f"holds a secret ({kind})",
                        row.line,
                        index,
                        (start, end),
                    )
            if mask & _PEOPLE and (kinds := list(_personal(text))):
                names = ", ".join(sorted({kind for kind, _ in kinds}))
                yield Finding(
                    "SE201", Severity.NOTE, 0.7, f"holds personal data: {names}", row.line, index, kinds[0][1]
                )


def _secrets(text: str) -> Iterator[tuple[str, int, int]]:
    """Secrets in a text: kind, start and end."""
    for plugin in _detectors():
        for value in set(plugin.analyze_string(text)):
            start = text.find(str(value))
            yield plugin.secret_type, max(start, 0), max(start, 0) + len(str(value))
    for kind, token in _TOKENS.items():
        for found in token.finditer(text):
            yield kind, *found.span()


@cache
def _detectors() -> tuple[Any, ...]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    known: Any = get_mapping_from_secret_type_to_class().values()
    return tuple(kind() for kind in known if kind.__name__ in _PLUGINS)


def _personal(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    for found in _EMAIL.finditer(text):
        if not found.group().lower().split("@")[1].startswith(_SAMPLE_DOMAINS):
            yield "e-mail address", found.span()
    for found in _SSN.finditer(text):
        if found.group()[:3] not in ("000", "666") and found.group()[0] != "9":
            yield "social security number", found.span()
    for found in _CARD.finditer(text):
        if _luhn(found.group()):
            yield "card number", found.span()
    for found in _IBAN.finditer(text):
        if _iban(found.group()):
            yield "account number", found.span()
    for found in _PHONE.finditer(text):
        if "555" not in found.group():  # numbers of films and manuals
            yield "phone number", found.span()


def _luhn(number: str) -> bool:
    """Check digit of payment cards (ISO/IEC 7812)."""
    digits = [int(c) for c in number if c.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) < 2:
        return False
    doubled = [sum(divmod(2 * d, 10)) for d in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0


def _iban(number: str) -> bool:
    """Check digits of bank accounts (ISO 13616: remainder 1 modulo 97)."""
    plain = number.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
