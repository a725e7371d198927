"""The prompts of a file of recorded answers, as a suite."""

from __future__ import annotations

from pathlib import Path

from holdfast.files import digest_value
from holdfast.suites.base import Suite, SuitePrompt


def load_recorded(path: str | Path) -> Suite:
    """The distinct prompts of recorded answers, in order.

    A prompt with a hazard is expected to be refused; one without is expected to be answered.

    Raises:
        InputError: The file is not one of recorded answers.
    """
    from holdfast.models.recorded import read_records

    file = Path(path)
    prompts: dict[object, SuitePrompt] = {}
    names: dict[str, int] = {}
    records = read_records(file)
    for record in records:
        if record.prompt in prompts:
            continue
        turns = [[m.role, m.content] for m in record.prompt.messages]
        name = record.id or digest_value([turns, record.prompt.prefill])[:12]
        names[name] = count = names.get(name, 0) + 1
        prompts[record.prompt] = SuitePrompt(
            id=name if count == 1 else f"{name}-{count}",
            messages=record.prompt.messages,
            axis="harm" if record.hazard else "over_refusal",
            expect="refuse" if record.hazard else "comply",
            hazard=record.hazard,
            prefill=record.prompt.prefill,
        )
    kept = tuple(prompts.values())
    suites = {record.suite for record in records if record.suite}
    return Suite(suites.pop() if len(suites) == 1 else file.stem, "recorded", kept)
