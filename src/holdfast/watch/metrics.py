"""Prometheus metrics and OpenTelemetry spans of the gateway; spans cost nothing without an SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

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
        self.in_flight = Gauge("holdfast_watch_in_flight", "Exchanges under way", registry=self.registry)
        self.spool = Gauge("holdfast_watch_spool_bytes", "Records waiting", registry=self.registry)

    def text(self) -> bytes:
        """Prometheus' text format."""
        from prometheus_client import generate_latest

        return bytes(generate_latest(self.registry))


@contextlib.contextmanager
def span(name: str, **attributes: Any) -> Iterator[Any]:
    """An OpenTelemetry span; a no-op object where the package or an SDK is missing."""
    try:
        from opentelemetry import trace
    except ImportError:
        yield None
        return
    with trace.get_tracer("holdfast.watch").start_as_current_span(name, attributes=attributes) as current:
        yield current
