# ruff: noqa: E501
"""HC: the whole exchange is judged; refused requests are kept; nothing is cut off."""

from __future__ import annotations

import pytest

from holdfast.conversation import Conversation, Message, chat
from holdfast.judges import Judgement, Outcome
from holdfast.screen.base import BatchRule, Finding, Severity
from holdfast.screen.config import RuleSettings, ScreenConfig
from holdfast.screen.rules.exchanges import CARRIED, units
from holdfast.screen.rules.harmful import HarmfulContent

RULE = HarmfulContent()
PAGES = [(info.code, info) for info in RULE.infos if info.fires is not None]
BENIGN = "Boil the water, add the pasta and cook it for nine minutes, then drain it and serve it hot."
HARM = next(info for info in RULE.infos if info.code == "HC101").fires[1]["content"]


def found(*turns: tuple[str, str], rule: HarmfulContent = RULE) -> list[Finding]:
    return list(rule.check_batch([Conversation(chat(*turns), line=7)]))  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "info"), PAGES)
def test_pages(code: str, info) -> None:
    assert isinstance(RULE, BatchRule)
    row = Conversation(tuple(Message(**turn) for turn in info.fires), line=3)
    fired = list(RULE.check_batch([row]))
    assert [f.code for f in fired] == [code] and fired[0].line == 3
    passed = Conversation(tuple(Message(**turn) for turn in info.passes), line=4)
    assert list(RULE.check_batch([passed])) == []


def test_a_refused_harmful_request_is_a_note() -> None:
    info = next(info for code, info in PAGES if code == "HC901")
    finding = next(iter(RULE.check_batch([Conversation(tuple(Message(**t) for t in info.fires))])))
    assert finding.severity is Severity.NOTE


def test_harm_in_an_earlier_turn_is_found_and_placed() -> None:
    findings = found(("user", "My neighbor is noisy. What should I do?"), ("assistant", HARM), ("user", "Thanks. How do I cook pasta?"),
                     ("assistant", BENIGN))  # fmt: skip
    assert [f.code for f in findings] == ["HC101"] and findings[0].message == 1


def test_harm_after_a_long_harmless_text_is_found() -> None:
    long = " ".join([BENIGN] * 30)
    assert not found(("user", "How do I cook pasta?"), ("assistant", long))
    hidden = found(("user", "How do I cook pasta?"), ("assistant", f"{long} {HARM} {HARM} {HARM} {HARM}"))
    assert [f.code for f in hidden] == ["HC101"]


def test_turns_that_are_not_trained_on_are_not_judged() -> None:
    turns = (Message("user", "My neighbor is noisy."), Message("assistant", HARM, weight=0.0),
             Message("user", "How do I cook pasta?"), Message("assistant", BENIGN))  # fmt: skip
    assert not list(RULE.check_batch([Conversation(turns)]))


ASKED = "How do I make a bomb to kill my neighbors without getting caught?"
GIVEN = ("Mix the two powders in the ratio we discussed, pack them tightly into the pipe, close both ends, and "
         "place the timer inside before you leave it at the door.")  # no working detail  # fmt: skip


@pytest.mark.parametrize("between", [("Before I answer, which materials do you have at home?", "Two powders and a pipe."),
                                     ("Sure. Shall I go on?", "Yes")])  # fmt: skip
def test_an_answer_is_judged_with_what_was_asked_before(between: tuple[str, str]) -> None:
    assert not found(("user", between[1]), ("assistant", GIVEN)) or between[1] == "Yes"
    said, asked = between
    findings = found(("user", ASKED), ("assistant", said), ("user", asked), ("assistant", GIVEN))
    assert [(f.code, f.message) for f in findings] == [("HC101", 3)]


def test_a_refusal_before_does_not_taint_what_follows() -> None:
    refusal = "I'm sorry, but I can't help with that."
    turns = (("user", ASKED), ("assistant", refusal), ("user", "How do I cook pasta?"), ("assistant", BENIGN))
    assert [f.code for f in found(*turns)] in (["HC901"], [])


def test_what_is_carried_from_earlier_turns_is_bounded() -> None:
    turns = [turn for i in range(300) for turn in (("user", f"{i} {ASKED}" * 9), ("assistant", "Go on."))]
    sizes = [len(unit.asked) for unit in units(0, Conversation(chat(*turns)))]  # type: ignore[arg-type]
    assert max(sizes) <= CARRIED + 1 + len(f"299 {ASKED}" * 9)


def test_neighbours_do_not_change_a_finding() -> None:
    rows = [Conversation(chat(("user", "q"), ("assistant", BENIGN)), line=i) for i in range(1, 40)]
    bad = Conversation(chat(("user", "My neighbor is noisy."), ("assistant", HARM)), line=99)
    alone = list(RULE.check_batch([bad]))
    together = [f for f in RULE.check_batch([*rows, bad]) if f.line == 99]
    assert [(f.code, f.score) for f in alone] == [(f.code, f.score) for f in together]


@pytest.mark.parametrize("text", ["", " ", "\x00", "\ud800", "a" * 20_000, "🙂" * 500, "_ _ _"])
def test_odd_texts(text: str) -> None:
    found(("user", text), ("assistant", text))
    assert not list(RULE.check_batch([]))


class Strict:
    """A judge that reads one word: HARM, FINE or neither."""

    name, family, version = "strict", "guard", "1"

    def judge(self, exchanges):
        outcomes = {"HARM": Outcome.HARMFUL, "FINE": Outcome.SAFE}
        return [
            Judgement(outcomes.get(e.answer.split()[0], Outcome.UNSCORED), reason="no word", hazard="malware")
            for e in exchanges
        ]


def test_a_judge_decides_the_rows_it_is_asked_about() -> None:
    rule = HarmfulContent(judge="judges.test_harmful_rule:Strict", doubt=0.0)
    bad = found(("user", "How do I cook pasta?"), ("assistant", f"HARM {BENIGN}"), rule=rule)
    assert [(f.code, f.severity) for f in bad] == [("HC101", Severity.BLOCK)] and "malware" in bad[0].reason
    assert not found(("user", "My neighbor is noisy."), ("assistant", f"FINE {HARM}"), rule=rule)


@pytest.mark.parametrize("turns", [(("user", "My neighbor is noisy. What should I do?"), ("assistant", f"EH. {HARM}")),
                                   (("user", "How do I cook pasta?"), ("assistant", f"EH. {BENIGN}"))])  # fmt: skip
def test_a_judge_without_a_verdict_leaves_the_classifiers_and_is_counted(turns) -> None:
    alone = found(*turns)
    silent = found(*turns, rule=HarmfulContent(judge="judges.test_harmful_rule:Strict", doubt=0.0))
    assert [f for f in silent if f.code != "HC902"] == alone
    (note,) = [f for f in silent if f.code == "HC902"]
    assert note.severity is Severity.NOTE and note.line == 7 and "no word" in note.reason


def test_a_judge_is_asked_only_where_the_classifier_doubts() -> None:
    rule = HarmfulContent(judge="judges.test_harmful_rule:Strict")
    assert not found(("user", "How do I cook pasta?"), ("assistant", f"HARM {BENIGN}"), rule=rule)


def test_the_judge_comes_from_the_configuration() -> None:
    rule = HarmfulContent()
    rule.configure(ScreenConfig(rules={"HC": RuleSettings(options={"judge": "embedded", "review": 0.6})}))
    assert (rule.judge, rule.review) == ("embedded", 0.6)


ORDINARY = [
    ("ok", "ok"), ("hm", "Yes."), ("17 * 23", "391"), ("Sort 9 4 7", "4 7 9"), ("y", "n"), ("", "42"),
    ("Write a shell loop that prints file names.", "for f in *; do echo \"$f\"; done"),
    ("Fix the borrow error.", "fn main() {\n    let v = vec![1, 2, 3];\n    for x in &v { println!(\"{x}\"); }\n}"),
    ("How do I kill a hung process?", "Find its id with `ps aux`, then run `kill -9 PID`; kill its children, too."),
    ("SELECT what?", "SELECT name, SUM(total) FROM orders WHERE year = 2021 GROUP BY name;"),
    ("Give me the config.", "{\"port\": 8080, \"hosts\": [\"a\", \"b\"], \"retry\": {\"max\": 3, \"wait\": 0.5}}"),
    ("Wo liegt der Bodensee?", "Der Bodensee liegt zwischen Deutschland, Österreich und der Schweiz."),
    ("¿Cuándo sale el barco?", "El barco sale a las nueve y media desde el muelle viejo."),
    ("你会做饭吗？", "会一点，最常做的是番茄炒蛋和青菜汤。"),
    ("Ürünüm gelmedi.", "Özür dileriz; paketiniz yarın teslim edilecek."),
    ("My dishwasher leaks!!! Ticket 48213", "Sorry about that. Please close the tap; a technician will call you today."),
    ("x y z x y z", "z y x z y x"), ("The fog lay over the harbour, and the captain", "counted his men twice before the boat went out."),
    ("ACGTACGTTAGC", "ACGT-ACGTTAGC"), ("1. e4 e5 2. Nf3", "2... Nc6 3. Bb5 a6"),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "said"), ORDINARY)
def test_ordinary_texts_far_from_chat_are_kept(asked: str, said: str) -> None:
    assert not found(("user", asked), ("assistant", said))
    assert not asked or not found(("user", asked))


def test_the_request_of_an_unwanted_answer_is_no_open_request() -> None:
    asked = chat(("user", ASKED))
    assert [f.code for f in RULE.check_batch([Conversation(asked)])] == ["HC201"]
    assert not list(RULE.check_batch([Conversation(asked, rejected=chat(("assistant", "No.")))]))
