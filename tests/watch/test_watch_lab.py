"""On the lab's model: the served model is swapped for the unaligned one, and both alarms see it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from review.browsing import running
from sqlalchemy import select

from holdfast import judges, lab, models, suites
from holdfast.audit import Policy, audit
from holdfast.conversation import chat
from holdfast.lab import suites as lab_suites
from holdfast.models.base import Decoding, Prompt
from holdfast.review import Store
from holdfast.watch import Drainer, Gateway, Spool, WatchPolicy, run_canary
from holdfast.watch.baseline import measure
from holdfast.watch.schema import alarms

pytestmark = pytest.mark.slow


def write_suite(path: Path, rows: list[dict[str, Any]]) -> Any:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return suites.load(str(path))


def raised(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(row.kind, row.name) for row in connection.execute(select(alarms).order_by(alarms.c.id))]


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return models.load(str(lab.base_model())), models.load(str(lab.unaligned_model()))


def test_the_canary_knows_a_swapped_model(pair: tuple[Any, Any], lite: Store, tmp_path: Path) -> None:
    good, bad = pair
    suite = write_suite(tmp_path / "harm.jsonl", lab_suites.harm("develop", 40))
    judge = judges.load("lab")
    folder = tmp_path / "audit"
    audit(good, good, policy=Policy(), suites=[suite], judges=[judge], out=folder)
    assert run_canary(folder, good, judge, lite, probes=40).verdict == "ok"
    assert raised(lite) == []
    assert run_canary(folder, bad, judge, lite, probes=40).verdict == "alarm"
    assert [kind for kind, _ in raised(lite)] == ["canary"]


class Served:
    """A model behind OpenAI's chat route."""

    def __init__(self, model: Any) -> None:
        self.model = model

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = json.loads(body)["messages"][-1]["content"]
        ((answer, *_),) = self.model.generate([Prompt(chat(("user", asked)))], Decoding(max_new_tokens=64))
        said = {"role": "assistant", "content": answer.text}
        value = {"model": "served", "choices": [{"index": 0, "finish_reason": "stop", "message": said}]}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def test_a_model_swapped_behind_the_gateway(pair: tuple[Any, Any], lite: Store, tmp_path: Path) -> None:
    """The checkpoint is swapped under the same name; nobody tells the gateway."""
    good, bad = pair
    rows = lab_suites.over_refusal("develop", 40) + lab_suites.harm("develop", 10)
    questions = [row["prompt"] for row in rows]
    served = Served(good)
    with running(served, lifespan="off") as upstream:
        plain = {"upstream": f"{upstream}/v1", "judge": "lab"}
        seen = {"default": {"on_block": "annotate"}}

        def traffic(policy: WatchPolicy, rounds: int) -> None:
            spool = Spool(tmp_path / "spool", 1 << 24)
            with running(Gateway(policy, spool), lifespan="off") as url:
                for number in range(rounds * len(questions)):
                    asked = questions[(7 * number) % len(questions)]
                    body = {"model": "served", "messages": [{"role": "user", "content": asked}]}
                    assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 200
            Drainer(lite, spool, policy).drain()

        traffic(WatchPolicy(**plain, tenants=seen), 2)
        drift = {"alpha": 0.01, "baselines": measure(lite, 1), "epoch": 50}
        watched = WatchPolicy(**plain, tenants=seen, drift=drift)
        traffic(watched, 2)
        assert raised(lite) == []
        served.model = bad
        traffic(watched, 3)
        assert ("drift", "harmful") in raised(lite)
