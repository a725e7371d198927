"""Run an inspect_ai task on both models through Holdfast's own backends (extra `inspect`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.audit.importers import Written, import_run
from holdfast.conversation import Message
from holdfast.errors import InputError, RunError, missing_extra
from holdfast.models import Completion, Decoding, Generator, Identity, Progress, Prompt
from holdfast.models.recorded import RecordedModel

_GATHER_SECONDS = 0.02
_CONNECTIONS = 64


@dataclass(frozen=True)
class Answered:
    """The answers a model gave in a task: looked up, under the identity of the model that gave them."""

    recorded: RecordedModel
    identity: Identity

    def generate(
        self, prompts: Sequence[Prompt], decoding: Decoding, progress: Progress | None = None
    ) -> list[tuple[Completion, ...]]:
        """The recorded answers."""
        return self.recorded.generate(prompts, decoding, progress)


@dataclass
class _Call:
    prompt: Prompt
    answer: Completion | None = None


def run_task(
    task: str, model: Generator, decoding: Decoding, out: Path, *, axis: str = ""
) -> tuple[Answered, Written]:
    """Run `task` (a file, `file.py@name` or a registered name) and import its log.

    Returns:
        The model's answers as a generator, and the files written to `out`.

    Raises:
        InputError: inspect_ai is not installed, or there is no such task.
        RunError: The task ended with an error.
    """
    try:
        import inspect_ai
        from inspect_ai._util.error import PrerequisiteError
    except ImportError:
        raise missing_extra("inspect", "inspect-ai") from None
    file = Path(task.partition("@")[0])
    if file.suffix == ".py" and not file.is_file():
        raise InputError("no such file", path=file)
    try:
        logs = inspect_ai.eval(
            task, model=_model(model, decoding), log_dir=str(out / "log"), log_format="json", display="none"
        )
    except PrerequisiteError as error:
        raise InputError(f"inspect_ai: {error}", path=task) from None
    if len(logs) != 1:
        raise InputError(f"{len(logs)} tasks found", path=task, fix="name one: file.py@task")
    if logs[0].status != "success":
        reason = logs[0].error.message if logs[0].error else logs[0].status
        raise RunError(f"the task ended with: {reason}", path=task)
    location = Path(str(logs[0].location).removeprefix("file://"))
    written = import_run("inspect", location, out, axis=axis)
    return Answered(RecordedModel(written.answers), model.identity), written


def _model(model: Generator, decoding: Decoding) -> Any:
    """An inspect_ai model that answers from `model`, a batch at a time."""
    import anyio
    from inspect_ai.model import ModelAPI, ModelOutput, ModelUsage, get_model, modelapi

    @modelapi(name="holdfast")
    class Holdfast(ModelAPI):  # type: ignore[misc]
        """Gathers the calls of a few milliseconds into one batch."""

        def __init__(self, model_name: str, *args: Any, **kwargs: Any) -> None:
            super().__init__(model_name, *args, **kwargs)
            self.waiting: list[_Call] = []
            self.lock = anyio.Lock()

        def max_connections(self) -> int:
            return _CONNECTIONS

        async def generate(self, input: Any, tools: Any, tool_choice: Any, config: Any) -> Any:
            if tools:
                raise NotImplementedError("tasks with tools need a served model: inspect eval, then import")
            call = _Call(Prompt(tuple(Message(m.role, m.text) for m in input)))
            self.waiting.append(call)
            async with self.lock:
                if call.answer is None:
                    await anyio.sleep(_GATHER_SECONDS)
                    batch, self.waiting = self.waiting, []
                    await anyio.to_thread.run_sync(self.answer, batch)
            assert call.answer is not None
            return self.output(call.answer)

        def answer(self, batch: list[_Call]) -> None:
            found = model.generate([call.prompt for call in batch], decoding)
            for call, completions in zip(batch, found, strict=True):
                call.answer = completions[0]

        def output(self, answer: Completion) -> Any:
            if answer.finish == "error":
                raise RuntimeError(answer.error)
            stop = "max_tokens" if answer.finish == "length" else "stop"
            made = ModelOutput.from_content(self.model_name, answer.text, stop)
            # Without usage inspect_ai counts tokens with a tokenizer that it downloads.
            made.usage = ModelUsage(output_tokens=answer.tokens, total_tokens=answer.tokens)
            return made

    return get_model("holdfast/model", memoize=False)
