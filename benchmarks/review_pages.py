"""The review page with many items: how long a reviewer waits, through a real server on loopback.

    python benchmarks/review_pages.py --items 500000 [--store FILE or URL] [--import-only]

With --store an import that was stopped goes on, and one that is there is not repeated. Prints one
line per page: median and 95th percentile of the whole request, in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from holdfast.conversation import Conversation, chat
from holdfast.review import NewItem, Store, import_items
from holdfast.review.users import add_user, open_session
from holdfast.review.web.access import COOKIE, Access
from holdfast.review.web.app import create_app

CODES = ["HC101", "ID101", "ID201", "RS101", "RS201", "EN101", "PI101", "SE101"]
ROOTS, ENDS = ("gar", "riv", "let", "win"), ("den", "er", "ter", "dow", "ket", "net", "ge")
WORDS = [root + end for root in ROOTS for end in ENDS]


def items(count: int) -> Iterator[NewItem]:
    """Two-turn rows of some 60 words, one in five a near duplicate, one or two findings each."""
    rng = random.Random(1)
    last = ""
    for number in range(count):
        ask = last if number % 5 == 4 else " ".join(rng.choices(WORDS, k=20)) + f" {rng.randrange(10**6)}"
        last = ask
        say = " ".join(rng.choices(WORDS, k=40))
        messages = chat(("user", ask), ("assistant", say))
        raw = json.dumps({"messages": [{"role": m.role, "content": m.content} for m in messages]}).encode()
        findings = [
            {
                "code": rng.choice(CODES),
                "severity": "review",
                "score": round(rng.random(), 3),
                "reason": "a reason in plain words",
                "message": 1,
                "span": [0, 20],
                "decoded": None,
            }
            for _ in range(rng.choice((1, 1, 2)))
        ]
        yield NewItem(Conversation(messages, "data.jsonl", number + 1, raw, format="openai"), tuple(findings))


def measure(client: httpx.Client, name: str, times: int, path: Any) -> None:
    spent = []
    for number in range(times):
        target = path(number)
        begun = time.perf_counter()
        answer = client.get(target)
        spent.append(1000 * (time.perf_counter() - begun))
        assert answer.status_code in (200, 303), (target, answer.status_code, answer.text[:200])
    spent.sort()
    print(f"{name:<42}{statistics.median(spent):>9.1f}{spent[int(0.95 * len(spent))]:>9.1f}{times:>7}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=500_000)
    parser.add_argument("--store", default="")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--import-only", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(options.store or Path(folder) / "bench.db")
        begun = time.perf_counter()
        done = import_items(
            store, items(options.items), name="bench", kind="screen", digest=f"b{options.items}"
        )
        took = time.perf_counter() - begun
        if done.added:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            rate = f"{done.added / took:,.0f} a second"
            print(f"import: {done.added:,} items in {took:.0f} s ({rate}), {memory:,.0f} MiB at most")
        if options.import_only:
            return
        add_user(store, "bench", "lead")
        server = uvicorn.Server(
            uvicorn.Config(create_app(store, Access(store)), host="127.0.0.1", port=0, log_level="warning")
        )
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        port = server.servers[0].sockets[0].getsockname()[1]
        cookies = {COOKIE: open_session(store, "bench")}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, timeout=60) as client:
            pages(client, options.items, options.times)
            decide(client, options.times)
        server.should_exit = True
        thread.join()


def pages(client: httpx.Client, count: int, times: int) -> None:
    rng = random.Random(2)
    client.get("/")  # the first count of everything
    client.get("/item/1")  # the first import of the rules' pages
    print(f"{'page':<42}{'median':>9}{'p95':>9}{'times':>7}   ms")
    measure(client, "queue, first page", times, lambda n: "/")
    ranks = [((4000 - 1000 - r) << 40) for r in range(0, 999, 50)]
    measure(client, "queue, somewhere in the middle", times, lambda n: f"/?after={ranks[n % len(ranks)]}")
    measure(client, "queue of one rule", times, lambda n: f"/?code={CODES[n % len(CODES)]}")
    pairs = [f"{WORDS[n % 28]}+{WORDS[(n * 7 + 3) % 28]}" for n in range(times)]
    measure(client, "queue, search for two words", times, lambda n: f"/?text={pairs[n]}")
    measure(client, "next item (redirect)", times, lambda n: f"/next?after={ranks[n % len(ranks)]}")
    measure(client, "one item with its neighbours", times, lambda n: f"/item/{rng.randrange(1, count + 1)}")


def decide(client: httpx.Client, times: int) -> None:
    """Keep one item and see the next: what a reviewer does all day."""
    spent = []
    where = client.get("/next").headers["location"]
    page = client.get(where).text
    for _ in range(times):
        form = {
            name: re.search(rf'name="{name}" value="([^"]+)"', page).group(1)  # type: ignore[union-attr]
            for name in ("csrf", "seen")
        }
        begun = time.perf_counter()
        answer = client.post(where.replace("?", "/decide?", 1), data=form | {"action": "keep"})
        where = client.get(answer.headers["location"]).headers["location"]
        page = client.get(where).text
        spent.append(1000 * (time.perf_counter() - begun))
    spent.sort()
    name = "decide, then the next item shown"
    print(f"{name:<42}{statistics.median(spent):>9.1f}{spent[int(0.95 * len(spent))]:>9.1f}{times:>7}")


if __name__ == "__main__":
    sys.exit(main())
