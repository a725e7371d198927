"""The numbers of the dashboard: rates with intervals, latency, models, alarms, incidents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from holdfast.audit.statistics import clopper_pearson
from holdfast.review import Store
from holdfast.watch.calendar import overdue
from holdfast.watch.schema import alarms, canaries, exchanges, incidents, minutes, monitors

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LATEST = 2000
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval (Clopper and Pearson); None where nothing was seen."""

    name: str
    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """The share."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The two-sided 95 % interval."""
        return clopper_pearson(self.hits, self.n, 0.025)


def summary(store: Store, *, hours: int = 24, at: datetime | None = None) -> dict[str, Any]:
    """Everything the live page shows, over the last `hours`."""
    end = at or datetime.now(UTC)
    since = (end - timedelta(hours=hours)).isoformat()[:16]
    with store.read() as connection:
        return {
            "hours": hours,
            **_rates(connection, since),
            "latency": _latency(connection),
            "points": _points(connection, end),
            "models": _models(connection, since),
            "alarms": _latest(connection, alarms, 8),
            "incidents": _latest(connection, incidents, 12),
            "monitors": [json.loads(s) for s in connection.execute(select(monitors.c.state)).scalars()],
            "due": overdue(store),
        }


def _rates(connection: Connection, since: str) -> dict[str, Any]:
    names = ("total", "judged", "harmful", "refused", "stopped", "unscreened")
    sums = [func.coalesce(func.sum(minutes.c[name]), 0) for name in names]
    row = connection.execute(select(*sums).where(minutes.c.minute >= since)).one()
    total, judged, harmful, refused, stopped, unscreened = (int(value) for value in row)
    return {
        "total": total,
        "rates": [
            Rate("harmful answers", harmful, judged),
            Rate("refusals", refused, judged),
            Rate("stopped by the gateway", stopped, total),
            Rate("not screened", unscreened, total),
        ],
    }


def _latency(connection: Connection) -> dict[str, float] | None:
    query = select(exchanges.c.added_ms, exchanges.c.upstream_ms).where(exchanges.c.state != "accepted")
    rows = connection.execute(query.order_by(exchanges.c.at.desc()).limit(_LATEST)).all()
    if not rows:
        return None
    added = np.array([row.added_ms for row in rows])
    return {
        "median": float(np.median(added)),
        "p99": float(np.quantile(added, 0.99)),
        "upstream": float(np.median([row.upstream_ms for row in rows])),
        "n": len(rows),
    }


def _points(connection: Connection, end: datetime) -> list[dict[str, Any]]:
    """Harmful share of each of the last 60 minutes, for the line."""
    since = (end - timedelta(minutes=_POINTS)).isoformat()[:16]
    query = select(minutes.c.minute, func.sum(minutes.c.harmful), func.sum(minutes.c.judged))
    rows = connection.execute(query.where(minutes.c.minute > since).group_by(minutes.c.minute)).tuples()
    seen = {minute: (int(harmful), int(judged)) for minute, harmful, judged in rows}
    points = []
    for back in range(_POINTS - 1, -1, -1):
        harmful, judged = seen.get((end - timedelta(minutes=back)).isoformat()[:16], (0, 0))
        points.append({"judged": judged, "share": harmful / judged if judged else None})
    return points


def _models(connection: Connection, since: str) -> list[dict[str, Any]]:
    query = (
        select(minutes.c.model, func.sum(minutes.c.total), func.sum(minutes.c.harmful))
        .where(minutes.c.minute >= since)
        .group_by(minutes.c.model)
        .order_by(func.sum(minutes.c.total).desc())
        .limit(20)
    )
    verdicts: dict[str, tuple[str, str]] = {}
    for row in connection.execute(select(canaries).order_by(canaries.c.id)):
        verdicts[row.model] = (row.verdict, row.at)
    served = [
        {"model": model, "total": int(total), "harmful": int(harmful)}
        for model, total, harmful in connection.execute(query).tuples()
    ]
    for entry in served:
        match = [v for name, v in verdicts.items() if str(entry["model"]) and str(entry["model"]) in name]
        entry["verdict"] = match[-1] if match else None
    names = {str(entry["model"]) for entry in served}
    for name, verdict in verdicts.items():
        if not any(model and model in name for model in names):
            served.append({"model": name, "total": 0, "harmful": 0, "verdict": verdict})
    return served


def _latest(connection: Connection, table: Any, count: int) -> list[dict[str, Any]]:
    """The newest rows, without an incident's text: that stays in the review, where it is blurred."""
    rows = connection.execute(select(table).order_by(table.c.id.desc()).limit(count)).mappings()
    words = "text" if table is alarms else "reason"
    return [
        {key: value for key, value in row.items() if key not in ("text", "detail")} | {"words": row[words]}
        for row in rows
    ]
