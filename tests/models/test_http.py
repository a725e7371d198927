"""The endpoint backend against a local server that misbehaves on request."""

from __future__ import annotations

from typing import Any

import pytest
from servers import OpenAIServer, first, share_of

from holdfast import models
from holdfast.conversation import chat
from holdfast.errors import InputError
from holdfast.models import Decoding, Prompt
from holdfast.models import endpoint as endpoint_module

DECODING = Decoding(max_new_tokens=8)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between tries a hundred times shorter."""
    monkeypatch.setattr(endpoint_module, "_FIRST_WAIT", 0.005)
    monkeypatch.setattr(endpoint_module, "_LONGEST_WAIT", 0.3)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def ask(server: OpenAIServer, n: int, options: str = "", decoding: Decoding = DECODING) -> list[Any]:
    prompts = [Prompt(chat(("user", f"question {i}"))) for i in range(n)]
    return models.load(f"openai:m@{server.url}#{options}").generate(prompts, decoding)


def test_answers_in_order_within_the_concurrency() -> None:
    done: list[int] = []
    with OpenAIServer(latency=0.01) as server:
        prompts = [Prompt(chat(("system", "s"), ("user", f"q {i}"))) for i in range(60)]
        model = models.load(f"openai:some/model:tag@{server.url}#concurrency=7")
        answers = model.generate(prompts, DECODING, done.append)
        assert [a[0].text for a in answers] == [f"q {i}" for i in range(60)]
        assert (sum(done), server.busiest) == (60, 7)
        assert server.bodies[0]["model"] == "some/model:tag"
        assert server.bodies[0]["max_tokens"] == 8 and "seed" not in server.bodies[0]
    assert answers[0][0].tokens == 2 and answers[0][0].finish == "stop"


@pytest.mark.parametrize("fault", ["429", "500", "503", "html", "half", "broken", "empty", "drop"])
def test_a_passing_fault_loses_nothing(fault: str) -> None:
    with OpenAIServer(faults=first(5, fault)) as server:
        answers = ask(server, 12, "concurrency=4")
    assert [a[0].text for a in answers] == [f"question {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("500", "HTTP 500: fault 500"),
        ("429", "HTTP 429"),
        ("html", "not JSON: <html>"),
        ("half", "not JSON: {"),
        ("broken", "connection failed"),
        ("drop", "connection failed"),
        ("hang", "no answer within 0.1 s"),
        ("no_choices", "no choices"),
        ("400", "HTTP 400: fault 400"),
        ("307", "HTTP 307"),
    ],
)
def test_a_lasting_fault_is_an_error_with_its_reason_for_that_prompt_only(fault: str, reason: str) -> None:
    def faults(body: dict[str, Any], number: int) -> str | None:
        return fault if body["messages"][0]["content"] == "question 3" else None

    with OpenAIServer(faults=faults) as server:
        answers = ask(server, 6, "concurrency=2&retries=2&timeout=0.1")
    assert [a[0].text for a in answers if a[0].finish == "stop"] == [f"question {i}" for i in (0, 1, 2, 4, 5)]
    assert answers[3][0].finish == "error" and reason in (answers[3][0].error or "")


def test_a_dead_endpoint_is_given_up_early_and_every_prompt_is_accounted_for() -> None:
    with OpenAIServer(faults=first(10**9, "500")) as server:
        answers = ask(server, 200, "concurrency=4&retries=1")
        assert server.requests < 40
    assert len(answers) == 200 and all(a[0].finish == "error" for a in answers)
    assert "given up after 8 failures in a row: HTTP 500" in (answers[-1][0].error or "")


def test_nobody_listens() -> None:
    prompts = [Prompt(chat(("user", "q")))] * 3
    answers = models.load("openai:m@http://127.0.0.1:9/v1#retries=1").generate(prompts, DECODING)
    assert all("connection failed" in (a[0].error or "") for a in answers)


def test_retry_after_is_honoured_by_all_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    real = endpoint_module.asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr(endpoint_module.asyncio, "sleep", sleep)
    with OpenAIServer(faults=first(1, "429"), retry_after="7") as server:
        answers = ask(server, 3, "concurrency=1")
    assert all(a[0].finish == "stop" for a in answers)
    assert any(7 <= s <= 7.8 for s in slept)


def test_retry_after_may_be_a_date() -> None:
    assert endpoint_module._seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert endpoint_module._seconds("1.5") == 1.5
    assert endpoint_module._seconds("soon") is None
    assert endpoint_module._seconds(None) is None


def test_the_proxy_of_the_environment_is_used_and_its_exceptions_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert endpoint_module._proxy("https://api.example/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "localhost,inside.example")
    assert endpoint_module._proxy("https://api.example/v1") == "http://proxy:3128"
    assert endpoint_module._proxy("http://api.example/v1") is None
    assert endpoint_module._proxy("https://inside.example/v1") is None
    with OpenAIServer() as server:  # as the proxy of a host that does not exist
        monkeypatch.setenv(
            "HTTP_PROXY", server.url.replace("http://", "http://ada:secret@").removesuffix("/v1")
        )
        made = models.load("openai:m@http://nowhere.invalid/v1#retries=0")
        with pytest.raises(InputError, match="404"):  # it is asked for http://nowhere.invalid/v1/...
            made.generate([Prompt(chat(("user", "q")))], DECODING)
        assert server.requests == 1


def test_the_rate_limit_spaces_requests() -> None:
    import time

    with OpenAIServer() as server:
        start = time.monotonic()
        ask(server, 6, "concurrency=6&rpm=1200")
    assert time.monotonic() - start >= 5 * 60 / 1200


def test_samples_by_n_and_one_by_one() -> None:
    decoding = Decoding(8, temperature=1.0, samples=3, seed=5)
    with OpenAIServer() as server:
        answers = ask(server, 2, decoding=decoding)
        assert [len(a) for a in answers] == [3, 3] and server.requests == 2
        assert (server.bodies[0]["n"], server.bodies[0]["seed"]) == (3, 5)
    with OpenAIServer(supports_n=False) as server:
        answers = ask(server, 4, "concurrency=1", decoding)
        assert [len(a) for a in answers] == [3] * 4
        assert sorted(b["seed"] for b in server.bodies if "n" not in b) == sorted([6, 7] * 2 + [5, 6, 7] * 2)
    refuses_n = lambda body, number: "400" if "n" in body else None  # noqa: E731
    with OpenAIServer(faults=refuses_n) as server:
        assert [len(a) for a in ask(server, 3, "concurrency=1", decoding)] == [3] * 3
    with OpenAIServer() as server:
        greedy = ask(server, 2, decoding=Decoding(8, samples=3))
        assert server.requests == 2 and greedy[0] == (greedy[0][0],) * 3


def test_prefill_and_template_need_a_server_that_can() -> None:
    prompts = [Prompt(chat(("user", "q")), prefill="Sure"), Prompt(chat(("user", "q")), template="{{ 1 }}")]
    with OpenAIServer() as server:
        plain = models.load(f"openai:m@{server.url}").generate(prompts, DECODING)
        assert [a[0].finish for a in plain] == ["error", "error"] and server.requests == 0
        assert "cannot prefill" in (plain[0][0].error or "")
        able = models.load(f"openai:m@{server.url}#server=vllm&concurrency=1").generate(prompts, DECODING)
        assert [a[0].finish for a in able] == ["stop", "stop"]
        first_body, second_body = server.bodies
    assert first_body["continue_final_message"] is True and first_body["add_generation_prompt"] is False
    assert first_body["messages"][-1] == {"role": "assistant", "content": "Sure"}
    assert second_body["chat_template"] == "{{ 1 }}"


def test_keys_and_usage_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with OpenAIServer(key="secret") as server:
        with pytest.raises(InputError, match="refuses: HTTP 401") as caught:
            ask(server, 3)
        assert "OPENAI_API_KEY" in (caught.value.fix or "")
        with pytest.raises(InputError, match="MY_KEY of .* is not set"):
            ask(server, 3, "key=MY_KEY")
        monkeypatch.setenv("MY_KEY", "secret")
        assert ask(server, 3, "key=MY_KEY")[2][0].text == "question 2"
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        assert ask(server, 1)[0][0].finish == "stop"
    with OpenAIServer() as server:
        wrong = models.load(f"openai:m@{server.url}/chat")
        with pytest.raises(InputError, match="404"):
            wrong.generate([Prompt(chat(("user", "q")))], DECODING)


@pytest.mark.parametrize(
    "ref",
    [
        "openai:m",
        "openai:m@localhost:8000",
        "openai:",
        "openai:m@http://h/v1#speed=9",
        "openai:m@http://h/v1#concurrency=0",
        "openai:m@http://h/v1#concurrency=2.5",
        "openai:m@http://h/v1#timeout=x",
        "openai:m@http://h/v1#server=other",
    ],
)
def test_bad_references(ref: str) -> None:
    with pytest.raises(InputError):
        models.load(ref)


def test_the_consumer_may_stop_in_the_middle() -> None:
    with OpenAIServer(latency=0.01) as server:
        model = models.load(f"openai:m@{server.url}#concurrency=2")
        prompts = [Prompt(chat(("user", f"q {i}"))) for i in range(500)]
        for index, _ in models.stream(model, prompts, DECODING):
            if index == 5:
                break
        assert server.requests < 200


def test_a_shower_of_faults_loses_nothing() -> None:
    faults = share_of(0.3, "500", "429", "half", "broken", "drop", "html")
    with OpenAIServer(faults=faults) as server:
        answers = ask(server, 150, "concurrency=8&retries=12")
    assert [a[0].text for a in answers] == [f"question {i}" for i in range(150)]


def test_a_lone_surrogate_is_sent_as_a_question_mark() -> None:
    with OpenAIServer() as server:
        model = models.load(f"openai:m@{server.url}")
        assert model.generate([Prompt(chat(("user", "a\ud800b")))], DECODING)[0][0].text == "a?b"


def test_other_shapes_of_a_choice() -> None:
    from holdfast.models.http import _completion

    filtered = {"message": {"content": "x"}, "finish_reason": "content_filter"}
    assert _completion(filtered, 1).finish == "error"
    assert _completion({"message": {"content": None, "refusal": "No."}}, 1).text == "No."
    assert _completion({"message": {"content": "x"}, "finish_reason": "length"}, 1).finish == "length"
    assert _completion({"text": "x"}, 1).finish == "error"
