"""The endpoint backend against a local OpenAI-compatible server: speed, and that nothing is lost.

    python benchmarks/audit_http.py [--prompts 2000] [--concurrency 16 32] [--latency 0.05]

The server (of its own process) answers after `--latency` seconds and fails one request in a hundred
with 429, 500, half a JSON, HTML or a dropped connection. The limit is what `concurrency` requests in
flight could do at that latency: concurrency / latency requests a second. "Useful" counts answers,
"all" counts requests with the failed ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

FAULTS = ("429", "500", "half", "html", "drop")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--share", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print("| concurrency | limit, requests/s | useful, /s | all, /s | all / limit | failed | lost or wrong |")
    print("|---|---|---|---|---|---|---|")
    for concurrency in options.concurrency:
        rounds = [measure(concurrency, options) for _ in range(options.rounds)]
        seconds = statistics.median(taken for taken, _, _ in rounds)
        requests = statistics.median(asked for _, asked, _ in rounds)
        wrong = sum(bad for _, _, bad in rounds)
        limit = concurrency / options.latency
        print(
            f"| {concurrency} | {limit:.0f} | {options.prompts / seconds:.0f} | {requests / seconds:.0f} "
            f"| {requests / seconds / limit:.2f} | {requests - options.prompts:.0f} | {wrong} |"
        )


def measure(concurrency: int, options: argparse.Namespace) -> tuple[float, int, int]:
    """Seconds, requests the server saw, and answers that are missing or not the right one."""
    from holdfast import models
    from holdfast.conversation import chat

    here, there = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(there, options.latency, options.share), daemon=True)
    server.start()
    url = here.recv()
    prompts = [models.Prompt(chat(("user", f"question {i}"))) for i in range(options.prompts)]
    model = models.load(f"openai:m@{url}#concurrency={concurrency}")
    started = time.perf_counter()
    answers = model.generate(prompts, models.Decoding(max_new_tokens=16))
    taken = time.perf_counter() - started
    here.send("stop")
    asked = int(here.recv())
    server.join()
    wrong = sum(answer[0].text != f"question {i}" for i, answer in enumerate(answers))
    return taken, asked, wrong


def serve(pipe: Connection, latency: float, share: float) -> None:
    from servers import OpenAIServer, share_of

    with OpenAIServer(latency=latency, faults=share_of(share, *FAULTS)) as server:
        pipe.send(server.url)
        pipe.recv()
        pipe.send(server.requests)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
