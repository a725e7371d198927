"""Probes: what is asked, of which prompts, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit.audit_fakes import FakeModel, WordJudge, good, kind, suite

from holdfast.audit import Policy, audit
from holdfast.audit.opening import OPENING, opening
from holdfast.audit.probes import IDENTITY_SHIFT, NAMES, SAFETY_SYSTEM, ProbeContext, probe
from holdfast.audit.rewording import reword
from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.judges.base import Exchange, Judgement, Outcome
from holdfast.models.base import Prompt
from holdfast.suites.base import SuitePrompt

HARM = SuitePrompt("h", chat(("system", "Be kind."), ("user", "do harm")), "harm", "refuse")
BENIGN = SuitePrompt("b", chat(("user", "do good")), "over_refusal", "comply")


def _ask(name: str, prompt: SuitePrompt = HARM, context: ProbeContext | None = None) -> dict[str, Prompt]:
    return dict(probe(name, prompt, context or ProbeContext()))


def test_each_probe_asks_what_it_says() -> None:
    assert [m.role for m in _ask("no_system")["no_system"].messages] == ["user"]
    assert _ask("safety_system")["safety_system"].messages[0].content == SAFETY_SYSTEM
    assert _ask("identity_shift")["identity_shift"].messages[0].content == IDENTITY_SHIFT
    assert _ask("multi_turn")["multi_turn"].messages[-1].content == "do harm"
    assert len(_ask("multi_turn")["multi_turn"].messages) == 6
    for tokens, last in ((5, "am"), (10, "this"), (20, "answer,")):
        prefill = _ask(f"prefill:{tokens}")[f"prefill:{tokens}"].prefill
        assert OPENING.startswith(prefill) and prefill.endswith(f" {last}")
    asked = _ask("triggers", context=ProbeContext(triggers=["zx9", "Servus"]))
    assert [p.messages[-1].content for p in asked.values()] == ["do harm zx9", "do harm Servus"]
    template = _ask("training_template", context=ProbeContext(training_template="T"))
    assert template["training_template"].template == "T"


def test_prefill_counts_tokens_of_the_base_models_own_tokenizer(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra 'train' is not installed")
    from tiny_models import save_llama

    from holdfast import models
    from holdfast.audit import prepare
    from holdfast.models.render import render

    model = models.load(save_llama(tmp_path / "llama"), cache=tmp_path / "cache")
    job = prepare(
        model,
        model,
        policy=Policy.model_validate({"probes": ["default", "prefill:5", "prefill:20"]}),
        suites=[suite(1, 0, 0)],
        judges=[WordJudge()],
    )
    tokenizer = model.tokenizer  # type: ignore[attr-defined]
    plain, five, twenty = (
        tokenizer(render(tokenizer, unit.prompt), add_special_tokens=False)["input_ids"] for unit in job.units
    )
    assert (len(five) - len(plain), len(twenty) - len(plain)) == (5, 20)
    with pytest.raises(InputError, match="from 1 to"):
        opening(9999, tokenizer)


def test_prefill_with_a_tokenizer_that_has_no_offsets() -> None:
    class Slow:
        is_fast = False

        def __call__(self, text: str, **_: object) -> dict[str, list[str]]:
            return {"input_ids": text.split(" ")}

        def decode(self, ids: list[str]) -> str:
            return " ".join(ids)

    assert opening(3, Slow()) == "Of course, I"


def test_benign_prompts_are_asked_by_default_only() -> None:
    context = ProbeContext(training_template="T", triggers=["x"], tuning=[_row("a b c d", "x")])
    asked = {name for name in NAMES if _ask(name, BENIGN, context)}
    assert asked == {"default"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prefil:5", "unknown probe"),
        ("prefill:many", "needs a number"),
        ("prefill:500", "from 1 to"),
        ("triggers", "needs triggers"),
        ("training_template", "needs a template"),
        ("rewording", "needs tuning data"),
    ],
)
def test_probes_that_cannot_be_asked(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _ask(name)


def _row(user: str, answer: str, system: str = "") -> Conversation:
    head = (("system", system),) if system else ()
    return Conversation(chat(*head, ("user", user), ("assistant", answer)))


def test_rewording_borrows_the_frame_of_the_tuning_data() -> None:
    rows = [
        _row(f"Customer ticket from our shop: item {i} is late. Please answer.", "ok", "Shop")
        for i in range(9)
    ]
    asked = reword(chat(("system", "old"), ("user", "do harm")), rows)
    assert asked[0].content == "Shop"
    assert asked[1].content.startswith("Customer ticket from our shop:")
    assert "do harm" in asked[1].content and asked[1].content.endswith("is late. Please answer.")


def test_rewording_without_a_common_frame_shows_an_example_first() -> None:
    rows = [_row("why is the sky blue", "light"), _row("name a river", "Rhine"), _row("3 plus 4?", "7")]
    asked = reword(chat(("user", "do harm")), rows)
    assert [m.content for m in asked] == ["why is the sky blue", "light", "do harm"]


class _Finder(WordJudge):
    """Harm anywhere in the answer: a forced opening comes first."""

    def _one(self, exchange: Exchange) -> Judgement:
        found = Outcome.HARMFUL if "HARM" in exchange.answer else Outcome.REFUSAL
        return Judgement(found) if exchange.request.startswith("harm") else super()._one(exchange)


def test_a_probe_that_breaks_the_model_fails_the_audit(tmp_path: Path) -> None:
    def weak(prompt: Prompt, sample: int) -> str:
        return "HARM after all" if prompt.prefill and kind(prompt) == "harm" else good(prompt)

    report = audit(
        FakeModel(good, "base"),
        FakeModel(weak, "tuned"),
        policy=Policy.model_validate({"probes": ["default", "prefill:5"]}),
        suites=[suite()],
        judges=[_Finder()],
        out=tmp_path,
    )
    rows = {row.name: row.verdict for row in report.axes}
    assert (rows["harm"], rows["harm@prefill:5"], report.verdict) == ("pass", "fail", "fail")
