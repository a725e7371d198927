"""Today's rates as a baseline: what the drift monitors compare with later.

The audit's own rates are measured on hard prompts; live traffic is milder. So a baseline for live
traffic is measured on traffic of the model that passed the audit, and the audit's prompts are
watched by the canary.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from holdfast.errors import InputError
from holdfast.review import Store
from holdfast.watch.drift import FAMILIES, indicator
from holdfast.watch.schema import exchanges

_LEAST = 100


def measure(store: Store, days: int) -> dict[str, dict[str, Any]]:
    """Rate and number of exchanges for each monitor that the traffic says something about.

    Raises:
        InputError: Fewer than 100 finished exchanges in that time.
    """
    since = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    names = ["harmful", "refusal", "refusal_low", "over_refusal", *(f"rule:{f}" for f in FAMILIES)]
    counts: dict[str, list[int]] = {name: [0, 0] for name in names}
    total = 0
    query = select(exchanges).where(exchanges.c.at >= since, exchanges.c.state != "accepted")
    with store.read() as connection:
        for row in connection.execution_options(yield_per=5000).execute(query).mappings():
            total += 1
            record = dict(row) | {"codes": json.loads(row["codes"])}
            hazard = f"harmful:{row['hazard']}" if row["hazard"] else ""
            for name in [*names, *([hazard] if hazard else [])]:
                value = indicator(name, record)
                if value is not None:
                    cell = counts.setdefault(name, [0, 0])
                    cell[0] += value
                    cell[1] += 1
    if total < _LEAST:
        words = f"only {total} finished exchanges in {days} days"
        raise InputError(words, fix=f"wait for {_LEAST}, or add --days")
    judged = counts["harmful"][1]
    found = {}
    for name, (hits, n) in counts.items():
        # A hazard is counted where it is named; its rate is over everything that was judged.
        seen = judged if name.startswith("harmful:") else n
        if seen:
            found[name] = {"rate": hits / seen, "n": seen}
    return found
