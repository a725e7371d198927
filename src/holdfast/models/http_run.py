"""Many prompts to one endpoint at once: an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator

from holdfast.errors import InputError
from holdfast.models.base import Completion, failed
from holdfast.models.endpoint import Endpoint, EndpointError

Answer = tuple[int, tuple[Completion, ...]]
Ask = Callable[[Endpoint, int], Awaitable[tuple[Completion, ...]]]
_HAND_OVER = 0.05
"""Seconds between hand-overs: waking the caller's thread for every answer costs more than the answer."""


class Run:
    """Asks for prompts 0 to `n` - 1 and hands the answers over as they come.

    Args:
        endpoint: Makes the endpoint, inside the loop.
        ask: Answers one prompt, or raises `EndpointError` when that failed for good.
        must_act: The usage error behind a failure, if it is one; it ends the run unless an answer
            came before.
        n: Number of prompts.
        samples: Completions per prompt.
        concurrency: Requests in flight; after that many failures in a row and four more the
            rest is given up.
    """

    def __init__(
        self,
        endpoint: Callable[[], Endpoint],
        ask: Ask,
        must_act: Callable[[EndpointError], InputError | None],
        *,
        n: int,
        samples: int,
        concurrency: int,
    ) -> None:
        self._endpoint, self._ask, self._must_act = endpoint, ask, must_act
        self._indices = iter(range(n))
        self._samples = samples
        self._patience = concurrency + 4
        # Twice as many as requests may be in flight: some wait for their next try.
        self._workers = min(2 * concurrency, n)
        self._done: list[Answer] = []
        self._handed: queue.SimpleQueue[list[Answer] | BaseException | None] = queue.SimpleQueue()
        self._answered = False
        self._failures = 0
        self._last = ""
        self._stopped = False

    def results(self) -> Iterator[Answer]:
        """Run, yielding every answer once; leaving early cancels what is in flight.

        Raises:
            InputError: The endpoint refuses before any answer.
        """
        thread = threading.Thread(target=self._main, name="holdfast-http", daemon=True)
        thread.start()
        try:
            while (item := self._handed.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield from item
        finally:
            self._stopped = True
            thread.join()

    def _main(self) -> None:
        try:
            asyncio.run(self._all())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            self._handed.put(error)
        else:
            self._handed.put(None)

    async def _all(self) -> None:
        async with self._endpoint() as endpoint:
            tasks = [asyncio.create_task(self._worker(endpoint)) for _ in range(self._workers)]
            try:
                while not self._stopped and not all(task.done() for task in tasks):
                    await asyncio.wait(tasks, timeout=_HAND_OVER, return_when=asyncio.FIRST_EXCEPTION)
                    if any(task.done() and task.exception() for task in tasks):
                        break
                    self._hand_over()
                for task in tasks:
                    if task.done():
                        task.result()
                self._hand_over()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _hand_over(self) -> None:
        if self._done:
            self._handed.put(self._done)
            self._done = []

    async def _worker(self, endpoint: Endpoint) -> None:
        for index in self._indices:
            completions = await self._one(endpoint, index)
            self._done.append((index, completions))  # not in one line: `_done` may be handed over meanwhile

    async def _one(self, endpoint: Endpoint, index: int) -> tuple[Completion, ...]:
        if self._failures >= self._patience:
            reason = f"given up after {self._failures} failures in a row: {self._last}"
            return (failed(reason),) * self._samples
        try:
            completions = await self._ask(endpoint, index)
        except EndpointError as error:
            usage = self._must_act(error)
            if usage is not None and not self._answered:
                raise usage from None
            self._failures += 1
            self._last = error.reason
            return (failed(error.reason),) * self._samples
        self._answered, self._failures = True, 0
        return completions
