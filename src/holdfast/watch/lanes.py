"""Screening beside the event loop: what waits is taken together, because ten looks cost little more than one.

Rules have a lane of their own with one thread (more would only fight for the interpreter's lock);
looks that need a judge, which may take a second, wait in another lane and hold nobody up.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Sequence

from holdfast.watch.screening import Look, Verdict

_TOGETHER = 32
_SWITCH_S = 0.001
"""How long a screening thread keeps the interpreter from the event loop; Python would allow 5 ms."""

Work = Callable[[Sequence[Look]], Sequence[Verdict]]
Job = tuple[Look, "asyncio.Future[Verdict]"]
Result = Verdict | Exception


class Lane:
    """Threads that screen what waits, up to 32 looks at a time.

    Args:
        work: Screens several looks.
        threads: How many batches at the same time.
        name: Of the threads.
    """

    def __init__(self, work: Work, threads: int, name: str) -> None:
        self._work = work
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads = threads
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_S))
        for number in range(threads):
            threading.Thread(target=self._run, name=f"holdfast-{name}-{number}", daemon=True).start()

    def put(self, look: Look) -> asyncio.Future[Verdict]:
        """The verdict to come; a future that is cancelled before its turn costs nothing."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self._jobs.put((look, future))
        return future

    def close(self) -> None:
        """End the threads after what they do now."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch: list[Job] = [job]
            with contextlib.suppress(queue.Empty):
                while len(batch) < _TOGETHER:
                    following = self._jobs.get_nowait()
                    if following is None:
                        self._jobs.put(None)
                        break
                    batch.append(following)
            batch = [(look, future) for look, future in batch if not future.done()]
            if batch:
                self._settle(batch, self._screen([look for look, _ in batch]))

    def _screen(self, looks: Sequence[Look]) -> Sequence[Result]:
        try:
            return self._work(looks)
        except Exception as error:  # noqa: BLE001 - whatever fails is the policy's to decide
            if len(looks) == 1:
                return [error]
        # One look must not spoil the others: each again, alone.
        return [result for look in looks for result in self._screen([look])]

    @staticmethod
    def _settle(batch: Sequence[Job], results: Sequence[Result]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits any more
            batch[0][1].get_loop().call_soon_threadsafe(_tell, batch, results)


def _tell(batch: Sequence[Job], results: Sequence[Result]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
