"""The same work on a Ray cluster: Ray Data hands the chunks to actors, in order.

Chunks are handed out rather than `read_text` lines: a line that Ray reads has lost its number,
its line ending and, if it is not UTF-8, the whole task. For plain files a chunk is an offset
that the actor reads itself, so the file must lie where every node sees it.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Iterator
from typing import Any

from holdfast.errors import missing_extra
from holdfast.formats import Chunk
from holdfast.screen.work import Result, Worker

_OFFSETS, _PAYLOADS = 4096, 64


class _Actor:
    """One worker per actor; a chunk goes in and a result comes out, both pickled."""

    def __init__(self, setup: bytes) -> None:
        self._worker = Worker(*pickle.loads(setup))

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        states = self._worker.new_states()
        result = self._worker.work(pickle.loads(item["chunk"]), states)
        result.states = states
        return {"result": pickle.dumps(result)}


class RayEngine:
    """Runs chunks on Ray Data actors; results come back in the order of the chunks.

    Args:
        actors: Number of actors; by default one per CPU of the cluster.
    """

    def __init__(self, actors: int | None = None) -> None:
        self._actors = actors

    def __call__(self, worker: Worker, chunks: Iterator[Chunk]) -> Iterator[Result]:
        """Yield one result per chunk."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            import ray
        except ImportError:
            raise missing_extra("ray", "ray[data]") from None
        started = not ray.is_initialized()
        if started:
            ray.init(include_dashboard=False, log_to_driver=False, configure_logging=False)
        try:
            context = ray.data.DataContext.get_current()
            context.execution_options.preserve_order = True
            context.enable_progress_bars = False
            actors = self._actors or max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call, unused-ignore]
            setup = pickle.dumps(worker.setup)
            for window in _windows(chunks):
                items = [{"chunk": pickle.dumps(chunk)} for chunk in window]
                data = ray.data.from_items(items, override_num_blocks=len(items)).map(
                    _Actor,  # type: ignore[arg-type, unused-ignore]
                    fn_constructor_args=(setup,),
                    compute=ray.data.ActorPoolStrategy(size=min(actors, len(items))),
                    num_cpus=0.5,
                )
                for row in data.iter_rows():
                    yield pickle.loads(row["result"])
        finally:
            if started:
                ray.shutdown()


def _windows(chunks: Iterator[Chunk]) -> Iterator[list[Chunk]]:
    """As many chunks as may be held at once: many offsets, few payloads."""
    for first in chunks:
        size = _OFFSETS if first.payload is None else _PAYLOADS
        yield [first, *itertools.islice(chunks, size - 1)]
