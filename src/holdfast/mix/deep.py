"""Deep rows: a started harmful answer that turns into a refusal (Qi et al., ICLR 2025).

The beginning is the user's (Holdfast ships none), the refusal is the base's own to that very request.
"""

from __future__ import annotations

import random
from pathlib import Path

from holdfast import formats
from holdfast.conversation import Conversation, Message
from holdfast.errors import InputError
from holdfast.judges.base import Judge
from holdfast.mix.answer_style import AnswerStyle
from holdfast.mix.config import MixConfig
from holdfast.mix.pool import Asked, Pool, ask
from holdfast.mix.rows import SafetyRow
from holdfast.mix.task_format import TaskFormat
from holdfast.models.base import Generator, Progress


def add_deep(
    pool: Pool,
    path: Path,
    base: Generator,
    judge: Judge,
    config: MixConfig,
    dialect: TaskFormat,
    progress: Progress | None = None,
) -> None:
    """Add a deep row for every exchange of the file whose request the base refuses.

    The first k words of the exchange's harmful answer, k uniform in 1 to `deep_words`, are followed
    by the base's refusal. At most `pool` of the exchanges are used. Only the refusal is trained on.

    Raises:
        InputError: The file cannot be read, or the base refuses none of its requests.
    """
    rng = random.Random(f"deep/{config.seed}")
    rows = list(formats.read(path))
    empty = next((row for row in rows if not row.answer.split()), None)
    if empty is not None:
        raise InputError("this row has no answer to start from", path=path, line=empty.line)
    if len(rows) > config.pool:
        rows = rng.sample(rows, config.pool)
    asked = [Asked(row.prompt, str(row.line)) for row in rows]
    for row, answer in zip(rows, ask(base, judge, asked, config, dialect, progress), strict=True):
        started = _started(row, config.deep_words, rng)
        if pool.keeps("deep", answer):
            style = dialect.answers if answer.matched and config.match_answers else AnswerStyle()
            text = style.apply(started + answer.exchange.answer)
            turns = (*answer.exchange.messages, Message("assistant", text))
            prefix = style.begin(started)
            pool.deep.append(SafetyRow(turns, "deep", path.name, str(row.line), "", prefix))
    pool.asked[path.name] += len(rows)
    if not pool.deep:
        raise InputError(
            f"the base refuses none of the {len(rows)} requests asked, so it has no refusal to turn to",
            path=path,
            fix="leave deep out",
        )


def _started(row: Conversation, words: int, rng: random.Random) -> str:
    parts = row.answer.split()
    return " ".join(parts[: rng.randint(1, min(words, len(parts)))]) + " "
