"""The gateway in front of a real (local) server: actions, streaming, faults, hostile clients."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from holdfast.watch import WatchPolicy
from holdfast.watch.policy import Tenant

Start = Callable[..., Any]
OPEN = {"default": {"on_failure": "open"}}
LONG = "one two three four five six seven eight nine ten " * 30


def ask(setup: Any, text: str, *, stream: bool = False, chat: bool = True, **headers: str) -> httpx.Response:
    body: dict[str, Any] = {"model": "m", "stream": stream}
    body |= {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
    path = "/v1/chat/completions" if chat else "/v1/completions"
    return httpx.post(setup.url + path, json=body, headers=headers, timeout=20)


def streamed(text: str) -> dict[str, Any]:
    return {"model": "m", "stream": True, "messages": [{"role": "user", "content": text}]}


def said(response: httpx.Response) -> str:
    """The text of a streamed answer."""
    text = ""
    for line in response.text.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:]).get("choices", []):
                text += choice.get("delta", {}).get("content") or choice.get("text") or ""
    return text


@pytest.mark.parametrize("chat", [True, False])
def test_a_clean_answer_passes_unchanged(start: Start, chat: bool) -> None:
    setup = start()
    whole = ask(setup, "hello ANSWER:good day", chat=chat)
    choice = whole.json()["choices"][0]
    assert (choice["message"]["content"] if chat else choice["text"]) == "good day"
    assert whole.headers["x-request-id"] == "r1"
    assert "set-cookie" not in whole.headers and "x-holdfast-verdict" not in whole.headers
    streamed = ask(setup, "hello ANSWER:" + LONG, stream=True, chat=chat)
    assert said(streamed) == LONG
    assert streamed.text.endswith("data: [DONE]\n\n")
    assert setup.last()["answer_sha"] == hashlib.sha256(LONG.encode()).hexdigest()
    assert sorted(r["kind"] for r in setup.records()) == ["accepted"] * 2 + ["finished"] * 2
    assert "good day" not in json.dumps(setup.records())  # hashes, not text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("action", ["log", "annotate", "block", "replace"])
def test_actions(start: Start, action: str, stream: bool) -> None:
    setup = start(tenants={"default": {"on_block": action, "replacement": "WITHHELD"}})
    answer = ask(setup, f"x ANSWER:{LONG} FORBIDDEN {LONG}", stream=stream)
    text = said(answer) if stream else answer.json()["choices"][0]["message"]["content"]
    if action in ("log", "annotate"):
        assert "FORBIDDEN" in text
        note = answer.text if stream else answer.headers.get("x-holdfast-verdict", "")
        assert ("annotate block T1" in note) == (action == "annotate")
    else:
        assert "FORBIDDEN" not in answer.text
        assert ("WITHHELD" in text) == (action == "replace")
        assert "content_filter" in answer.text or action == "replace"
    assert setup.last()["action"] == action
    assert setup.last()["state"] == ("blocked" if action in ("block", "replace") else "done")


def test_no_part_of_a_forbidden_phrase_leaves_before_it_is_seen_whole(start: Start) -> None:
    """The word is cut by windows in every possible place; the hold-back must cover it."""
    for shift in range(0, 60, 7):
        setup = start(limits={"window": 40, "hold_back": 20})
        answer = ask(setup, "x ANSWER:" + "a" * (70 + shift) + "FORBIDDEN" + "b" * 300, stream=True)
        assert "FOR" not in said(answer), shift
        assert setup.last()["state"] == "blocked"


def test_rules_look_at_every_window_and_the_judge_when_the_text_has_doubled(start: Start) -> None:
    setup = start(limits={"window": 100, "hold_back": 20})
    ask(setup, "x ANSWER:" + "a" * 2000, stream=True)
    lengths = [length for length, _ in setup.words.seen]
    assert len(lengths) >= 18 and lengths[-1] == 2000
    judged = [length for length, judge in setup.words.seen if judge]
    assert judged[-1] == 2000 and 5 <= len(judged) <= 7


def test_what_scrolled_out_of_sight_stays_found(start: Start) -> None:
    limits = {"window": 100, "hold_back": 20, "look_at": 400}
    setup = start(limits=limits, tenants={"default": {"on_block": "log"}})
    ask(setup, "x ANSWER:FORBIDDEN" + "a" * 2000, stream=True)
    assert (setup.last()["severity"], setup.last()["codes"]) == ("block", ["T1"])
    assert setup.last()["outcome"] == "safe"  # of the last look


def test_a_request_is_stopped_before_it_is_sent_on(start: Start) -> None:
    setup = start()
    answer = ask(setup, "FORBIDDEN")
    assert answer.json()["choices"][0]["finish_reason"] == "content_filter"
    assert setup.upstream.requests == []
    assert said(ask(setup, "FORBIDDEN", stream=True)) == ""
    unscreened = start(tenants={"default": {"screen_request": False, "screen_answer": False}})
    assert "FORBIDDEN" in ask(unscreened, "x ANSWER:FORBIDDEN").text


@pytest.mark.parametrize("word", ["SLOWSCREEN", "CRASHSCREEN"])
@pytest.mark.parametrize("stream", [False, True])
def test_screening_that_fails_is_open_or_closed(start: Start, word: str, stream: bool) -> None:
    limits = {"screen_s": 0.2}
    closed = start(limits=limits, tenants={"default": {"on_block": "log"}})
    assert word not in ask(closed, f"x ANSWER:{word}", stream=stream).text
    assert closed.last()["unscreened"]
    opened = start(limits=limits, tenants=OPEN)
    assert word.encode() in httpx_text(ask(opened, f"x ANSWER:{word}", stream=stream))
    assert opened.last()["unscreened"]
    assert b"holdfast_watch_unscreened_total" in httpx.get(opened.url + "/metrics").content


def httpx_text(answer: httpx.Response) -> bytes:
    return (said(answer) or answer.text).encode()


def test_faults_of_the_model_server(start: Start) -> None:
    setup = start(limits={"read_s": 0.5})
    cut = ask(setup, "CUT ANSWER:" + LONG, stream=True)
    assert "upstream_error" in cut.text and setup.last()["state"] == "cut"
    assert "[DONE]" not in cut.text  # nobody takes it for a whole answer
    hang = ask(setup, "HANG")
    assert hang.status_code == 502 and setup.last()["state"] == "error"
    broken = ask(setup, "MALFORMED ANSWER:" + LONG, stream=True)
    assert "upstream_error" in broken.text
    assert ask(setup, "NOTJSON").status_code == 502
    assert "ended early" in ask(setup, "NODONE ANSWER:short", stream=True).text
    busy = ask(setup, "STATUS429")
    assert (busy.status_code, busy.json()["error"]["message"]) == (429, "slow down")
    assert ask(setup, "fine").status_code == 200
    gone = start()
    gone.gateway.policy = gone.gateway.policy.model_copy(update={"upstream": "http://127.0.0.1:9/v1"})
    assert ask(gone, "hello").status_code == 502


def test_memory_is_bounded(start: Start) -> None:
    setup = start(limits={"max_answer": 50_000, "max_body": 10_000})
    assert "too long" in ask(setup, "ENDLESS ANSWER:" + "a" * 5000, stream=True).text
    assert ask(setup, "a" * 20_000).status_code == 413
    big = ask(setup, "x ANSWER:" + "a" * 9_000)
    assert big.status_code == 200

    def endless() -> Any:
        for _ in range(100):
            yield b"a" * 1000

    url = setup.url + "/v1/chat/completions"
    assert httpx.post(url, content=endless(), timeout=20).status_code == 413


def test_back_pressure_says_retry(start: Start) -> None:
    setup = start(limits={"max_in_flight": 3}, tenants={"default": {"max_in_flight": 2}})

    async def many() -> list[int]:
        async with httpx.AsyncClient(timeout=20) as client:
            body = {
                "model": "m",
                "stream": True,
                "messages": [{"role": "user", "content": "DRIP ANSWER:" + "a" * 70}],
            }
            calls = [client.post(setup.url + "/v1/chat/completions", json=body) for _ in range(6)]
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    codes = asyncio.run(many())
    assert codes.count(200) == 2 and codes.count(429) == 4
    assert ask(setup, "later").status_code == 200  # the places were given back


def test_a_client_that_leaves_stops_the_model_server(start: Start) -> None:
    setup = start()
    body = {
        "model": "m",
        "stream": True,
        "messages": [{"role": "user", "content": "DRIP ANSWER:" + LONG * 2}],
    }
    with (
        httpx.Client() as client,
        client.stream("POST", setup.url + "/v1/chat/completions", json=body) as answer,
    ):
        next(answer.iter_raw())
    deadline = time.monotonic() + 15
    while setup.last()["kind"] != "finished" and time.monotonic() < deadline:
        time.sleep(0.05)
    assert setup.last()["state"] == "gone"
    assert setup.gateway._in_flight.total() == 0


def test_tenants_by_key(start: Start) -> None:
    digest = hashlib.sha256(b"key-a").hexdigest()
    setup = start(tenants={"a": {"keys": [digest], "on_block": "replace", "replacement": "A"}})
    assert ask(setup, "x").status_code == 401
    assert ask(setup, "x", authorization="Bearer wrong").status_code == 401
    answer = ask(setup, "x ANSWER:FORBIDDEN", authorization="Bearer key-a")
    assert answer.json()["choices"][0]["message"]["content"] == "A"
    assert setup.last()["tenant"] == "a"
    assert WatchPolicy(upstream="http://x/v1").tenant("any") == ("default", Tenant())


def test_only_known_headers_are_sent_on(start: Start) -> None:
    setup = start()
    ask(setup, "x", authorization="Bearer k", cookie="s=1", **{"x-forwarded-for": "1.2.3.4", "x-evil": "1"})
    sent = setup.upstream.headers[-1]
    assert sent[b"authorization"] == b"Bearer k"
    assert not {b"cookie", b"x-forwarded-for", b"x-evil"} & set(sent)


def raw(setup: Any, request: bytes) -> bytes:
    """Send bytes as they are, as a hostile client would."""
    host, port = setup.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        connection.settimeout(2)
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except TimeoutError:
            pass
    return got


BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 56\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 56\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\nContent-Length: 56\r\n",
        b"Content-Length: 56\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n",
        b"Content-Length : 56\r\n",
        b"Content-Length: +56\r\n",
    ],
)
def test_smuggled_headers_reach_nobody(start: Start, head: bytes) -> None:
    setup = start()
    smuggled = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + head + b"Connection: close\r\n\r\n" + BODY
    )
    smuggled += b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    got = raw(setup, smuggled)
    assert b" 200 " not in got.split(b"\r\n")[0]
    assert b"holdfast_watch" not in got
    assert setup.upstream.requests == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"model": "m"}',
        b'{"messages": []}',
        b'{"messages": "hi"}',
        b'{"messages": [1]}',
        b'{"messages": [{"role":"user","content":"x"}], "messages": [{"role":"user","content":"FORBIDDEN"}]}',
        b'{"messages": [{"role":"user","content":"x"}], "mess\\u0061ges": [{"role":"user","content":"y"}]}',
        b"\xff\xfe{}",
    ],
)
def test_bodies_that_cannot_be_screened_are_refused(start: Start, body: bytes) -> None:
    setup = start()
    answer = httpx.post(setup.url + "/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert "error" in answer.json()
    assert setup.upstream.requests == []


def test_token_ids_and_unknown_routes_are_refused(start: Start) -> None:
    setup = start()
    assert httpx.post(setup.url + "/v1/completions", json={"prompt": [1, 2, 3]}).status_code == 400
    assert httpx.post(setup.url + "/v1/embeddings", json={}).status_code == 404
    assert httpx.get(setup.url + "/v1/models").json()["data"][0]["id"] == "m"
    assert httpx.get(setup.url + "/healthz").status_code == 200
    hidden = start(metrics_from=["10.0.0.1"])
    assert httpx.get(hidden.url + "/metrics").status_code == 404


def test_text_in_parts_and_tool_calls_is_seen(start: Start) -> None:
    setup = start()
    body = {"messages": [{"role": "user", "content": [{"type": "text", "text": "FORBIDDEN"}]}]}
    assert "content_filter" in httpx.post(setup.url + "/v1/chat/completions", json=body).text
    from holdfast.watch.wire import answer_text, delta_text

    call = {"function": {"name": "f", "arguments": '{"a": "FORBIDDEN"}'}}
    value = {"choices": [{"index": 1, "message": {"content": None, "tool_calls": [call]}}]}
    assert answer_text(value, True) == {1: '{"a": "FORBIDDEN"}'}
    assert delta_text({"choices": [{"delta": {"reasoning_content": "r"}}]}, True) == {0: "r"}


def test_disk_full_closed_and_open(start: Start) -> None:
    closed = start(limits={"spool_bytes": 700})
    codes = [ask(closed, "x").status_code for _ in range(4)]
    assert codes[0] == 200 and codes[-1] == 503
    assert len(closed.upstream.requests) == codes.count(200)  # nothing was asked that is not recorded
    opened = start(limits={"spool_bytes": 700}, tenants=OPEN)
    assert [ask(opened, "x").status_code for _ in range(4)] == [200] * 4
    assert b'holdfast_watch_unrecorded_total{tenant="default"}' in httpx.get(opened.url + "/metrics").content


def test_incident_text_is_kept_only_as_configured(start: Start) -> None:
    keeps = start()
    ask(keeps, "x ANSWER:FORBIDDEN")
    assert keeps.last()["text"]["answer"] == "FORBIDDEN"
    never = start(tenants={"default": {"keep_incident_text": False}})
    ask(never, "x ANSWER:FORBIDDEN")
    assert "text" not in never.last()
    samples = start(tenants={"default": {"sample_text": 1.0}})
    ask(samples, "x ANSWER:fine")
    assert samples.last()["text"]["answer"] == "fine"


def test_spans_reach_opentelemetry_and_hold_no_text(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = pytest.importorskip("opentelemetry.trace")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    setup = start()
    ask(setup, "secret question ANSWER:" + LONG, stream=True)
    setup.last()
    time.sleep(0.1)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"exchange", "screen", "upstream"} <= spans.keys()
    whole = spans["exchange"]
    assert whole.attributes == {"tenant": "default", "model": "m", "stream": True}
    assert spans["screen"].parent.span_id == spans["upstream"].parent.span_id == whole.context.span_id
    assert "secret" not in "".join(span.to_json() for span in spans.values())


def test_prometheus_counts_by_tenant_state_and_verdict(start: Start) -> None:
    setup = start()
    ask(setup, "x ANSWER:FORBIDDEN")
    ask(setup, "x")
    setup.last()
    text = httpx.get(setup.url + "/metrics").text
    for line in (
        'holdfast_watch_exchanges_total{action="block",state="blocked",tenant="default"} 1.0',
        'holdfast_watch_exchanges_total{action="log",state="done",tenant="default"} 1.0',
        'holdfast_watch_verdicts_total{outcome="harmful",severity="block",tenant="default"} 1.0',
        "holdfast_watch_added_seconds_count 2.0",
        "holdfast_watch_in_flight 0.0",
    ):
        assert line in text, line
