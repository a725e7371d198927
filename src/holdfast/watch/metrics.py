"""Prometheus metrics and OpenTelemetry spans of the gateway; spans cost nothing without an SDK."""

from __future__ import annotations

import contextlib
import os
from typing import Any

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of one gateway add up their numbers; set before they start."""
_NOTHING = contextlib.nullcontext()
_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """The gateway's own registry, so that two gateways in a process do not mix."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        self.exchanges = Counter(
            "holdfast_watch_exchanges",
            "Finished exchanges",
            ["tenant", "state", "action"],
            registry=self.registry,
        )
        self.verdicts = Counter(
            "holdfast_watch_verdicts", "Verdicts", ["tenant", "severity", "outcome"], registry=self.registry
        )
        self.unscreened = Counter(
            "holdfast_watch_unscreened", "Not (wholly) screened", ["tenant", "reason"], registry=self.registry
        )
        self.unrecorded = Counter(
            "holdfast_watch_unrecorded", "Passed without a record", ["tenant"], registry=self.registry
        )
        self.refused = Counter(
            "holdfast_watch_refused", "Requests refused at the door", ["status"], registry=self.registry
        )
        self.added = Histogram(
            "holdfast_watch_added_seconds",
            "Time added to an exchange",
            registry=self.registry,
            buckets=_BUCKETS,
        )
        summed: dict[str, Any] = {"registry": self.registry, "multiprocess_mode": "livesum"}
        self.in_flight = Gauge("holdfast_watch_in_flight", "Exchanges under way", **summed)
        self.spool = Gauge("holdfast_watch_spool_bytes", "Records waiting", **summed)

    def text(self) -> bytes:
        """Prometheus' text format; over all workers where there are several."""
        from prometheus_client import CollectorRegistry, generate_latest, multiprocess

        registry = self.registry
        if os.environ.get(SHARED):
            registry = CollectorRegistry()
            collect: Any = multiprocess.MultiProcessCollector
            collect(registry)
        return bytes(generate_latest(registry))


def forget_process(pid: int | None) -> None:
    """A worker that died has nothing under way any more."""
    from prometheus_client import multiprocess

    mark: Any = multiprocess.mark_process_dead
    mark(pid)


def span(name: str, **attributes: Any) -> contextlib.AbstractContextManager[Any]:
    """An OpenTelemetry span; nothing where the package is missing or no SDK is configured."""
    try:
        from opentelemetry import trace
    except ImportError:
        return _NOTHING
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return _NOTHING
    return trace.get_tracer("holdfast.watch").start_as_current_span(name, attributes=attributes)
