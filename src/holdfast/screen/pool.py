"""Worker processes over pipes: ordered results, bounded work in flight, no orphans.

Plain subprocesses rather than `multiprocessing`: they neither fork a process that may hold
threads (a notebook with torch in it) nor import the user's `__main__` again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe, wait
from types import TracebackType
from typing import Any

from holdfast.errors import HoldfastError, RunError
from holdfast.formats import Chunk
from holdfast.screen.work import Result, Worker

_AHEAD = 2


class Pool:
    """Processes that each hold a `Worker` and take chunks one by one."""

    def __init__(self, jobs: int, setup: tuple[Any, ...]) -> None:
        self._idle: deque[Connection] = deque()
        self._all: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        # The processes are the parallelism: more threads inside each only get in each other's way.
        env = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
        for _ in range(jobs):
            ours, theirs = Pipe()
            number = theirs.fileno()
            os.set_inheritable(number, True)
            command = [sys.executable, "-c", _MAIN.format(path=sys.path, number=number)]
            self._processes.append(
                subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL, env=env)
            )
            theirs.close()
            ours.send(setup)
            self._idle.append(ours)
            self._all.append(ours)

    def __enter__(self) -> Pool:
        return self

    def map(self, chunks: Iterator[Chunk]) -> Iterator[Result]:
        """Work on all chunks; results come in the order of the chunks."""
        done: dict[int, Result] = {}
        order: deque[int] = deque()
        busy: set[Connection] = set()
        more = True
        while True:
            # A slow chunk at the front must not let finished ones pile up behind it.
            while more and self._idle and len(order) < _AHEAD * len(self._all):
                chunk = next(chunks, None)
                if chunk is None:
                    more = False
                    break
                connection = self._idle.popleft()
                self._send(connection, chunk)
                busy.add(connection)
                order.append(chunk.index)
            while order and order[0] in done:
                yield done.pop(order.popleft())
            if not order and not more:
                return
            for ready in wait(list(busy)) if busy else ():
                assert isinstance(ready, Connection)
                result = self._receive(ready)
                busy.discard(ready)
                self._idle.append(ready)
                done[result.chunk] = result

    def _send(self, connection: Connection, chunk: Chunk) -> None:
        try:
            connection.send(chunk)
        except OSError:
            raise _died() from None

    def _receive(self, connection: Connection) -> Result:
        try:
            answer = connection.recv()
        except (EOFError, OSError):
            raise _died() from None
        if isinstance(answer, HoldfastError):
            raise answer
        assert isinstance(answer, Result)
        return answer

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._all:
            connection.close()
        for process in self._processes:
            if kind is not None:
                process.terminate()
            process.wait()


_MAIN = "import sys; sys.path[:] = {path!r}; from holdfast.screen.pool import serve; serve({number})"


def serve(number: int) -> None:
    """The loop of a worker process; it ends when the other side of the pipe is gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(number)
    try:
        worker = Worker(*connection.recv())
        while True:
            chunk: Chunk = connection.recv()
            states = worker.new_states()
            result = worker.work(chunk, states)
            result.states = states
            connection.send(result)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except HoldfastError as error:
        connection.send(error)
    except Exception as error:  # noqa: BLE001 - the parent raises it again
        connection.send(RunError(f"a worker process failed: {type(error).__name__}: {error}"))


def _died() -> RunError:
    return RunError(
        "a worker process ended unexpectedly (out of memory?)",
        fix="run the same command again with fewer --jobs; finished work is kept",
    )
