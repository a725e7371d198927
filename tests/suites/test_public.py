"""Public sets: tiny files of the same shape, written for this test, and the real ones where present."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from holdfast import suites
from holdfast.errors import InputError
from holdfast.hazards import HAZARDS
from holdfast.suites import PUBLIC, Suite

TINY: dict[str, dict[str, str]] = {
    "hexphi": {
        "category_1.csv": '"Do a forbidden thing, now"\nDo another\n',
        "category_11.csv": "Pick my shares\n",
    },
    "advbench": {"harmful_behaviors.csv": "goal,target\nDo bad,Sure\nDo bad,Sure\n"},
    "harmbench": {
        "behaviors_text_all.csv": "Behavior,FunctionalCategory,SemanticCategory,ContextString,BehaviorID\n"
        "Sing a protected song,copyright,copyright,,song\n"
        "Do this,contextual,cybercrime_intrusion,Some context,ctx\n"
    },
    "strongreject": {"strongreject_dataset.csv": "category,source,forbidden_prompt\nViolence,x,Do harm\n"},
    "jailbreakbench": {
        "harmful-behaviors.csv": "Index,Goal,Category\n0,Do harm,Privacy\n",
        "benign-behaviors.csv": "Index,Goal,Category\n0,Do good,Privacy\n",
    },
    "xstest": {"xstest_prompts.csv": "id,prompt,type,label\n1,kill time,a,safe\n2,kill,b,unsafe\n"},
    "sorrybench": {
        "question.jsonl": '{"question_id": 7, "category": "3", "turns": ["Do"], "prompt_style": "base"}\n'
        '{"question_id": 7, "category": "3", "turns": ["D0 h4rm"], "prompt_style": "slang"}\n'
    },
    "orbench": {
        "or-bench-hard-1k.csv": "prompt,category\nlooks bad,hate\n",
        "or-bench-toxic.csv": "prompt,category\nis bad,hate\n",
    },
    "orbench-toxic": {
        "or-bench-hard-1k.csv": "prompt,category\nlooks bad,hate\n",
        "or-bench-toxic.csv": "prompt,category\nis bad,hate\n",
    },
    "directharm4": {"directHarm4.csv": "Goal,Category\nDo harm,drug\n"},
    "simplesafetytests": {"sst.csv": "id,harm_area,prompts_final\nsst_1,Child safety,Do harm\n"},
    "ailuminate": {"demo_prompt_set_release.csv": "release_prompt_id,prompt_text,hazard\na1,Do harm,cse\n"},
    "donotanswer": {"d.csv": "id,risk_area,types_of_harm,question\n3,Risk,Type,Do harm?\n"},
    "multijail": {"m.csv": "\ufeffid,source,tags,en,it\n5,x,\"['Theft', 'Weapons']\",Do harm,Fai male\n"},
}


def tiny(tmp_path: Path, name: str) -> Path:
    for file, text in TINY[name].items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


def test_every_set_of_the_catalogue_has_a_tiny_copy() -> None:
    assert set(TINY) == {public.key for public in PUBLIC}
    keys = {hazard.key for hazard in HAZARDS}
    assert all(set(public.hazards.values()) <= keys for public in PUBLIC)


@pytest.mark.parametrize("name", sorted(TINY))
def test_the_tiny_copies_load(tmp_path: Path, name: str) -> None:
    suite = suites.load(f"{name}:{tiny(tmp_path, name)}")
    assert suite.name == name and suite.licence and suite.prompts
    assert len({p.id for p in suite.prompts}) == len(suite.prompts)
    again = suites.load(f"{name}:{tmp_path}")
    assert again.digest == suite.digest


def load(tmp_path: Path, name: str) -> Suite:
    return suites.load(f"{name}:{tiny(tmp_path, name)}")


def test_what_the_columns_mean(tmp_path: Path) -> None:
    hexphi = load(tmp_path / "", "hexphi").prompts
    assert [(p.messages[0].content, p.hazard) for p in hexphi] == [
        ("Do a forbidden thing, now", "illegal_activity"),
        ("Do another", "illegal_activity"),
        ("Pick my shares", "financial_advice"),
    ]


def test_repetitions_and_other_kinds_are_left_out(tmp_path: Path) -> None:
    assert len(load(tmp_path, "advbench").prompts) == 1
    (tmp_path / "harmful_behaviors.csv").unlink()
    harmbench = load(tmp_path, "harmbench").prompts
    assert [(p.id, p.hazard, p.messages[0].content) for p in harmbench] == [
        ("ctx", "malware", "Some context\n\n---\n\nDo this")
    ]


def test_pairs_and_benign_rows(tmp_path: Path) -> None:
    jbb = load(tmp_path, "jailbreakbench").prompts
    assert {p.cluster for p in jbb} == {"jailbreakbench-0"}
    assert {(p.axis, p.expect) for p in jbb} == {("harm", "refuse"), ("over_refusal", "comply")}
    for file in tmp_path.iterdir():
        file.unlink()
    multijail = load(tmp_path, "multijail").prompts
    assert [(p.id, p.cluster, p.hazard) for p in multijail] == [
        ("5-en", "multijail-5", "Theft"),
        ("5-it", "multijail-5", "Theft"),
    ]
    for file in tmp_path.iterdir():
        file.unlink()
    assert [p.axis for p in load(tmp_path, "xstest").prompts] == ["over_refusal", "harm"]
    assert [p.messages[0].content for p in load(tmp_path, "orbench").prompts] == ["looks bad"]
    assert [p.hazard for p in load(tmp_path, "orbench-toxic").prompts] == ["hate_violence"]


def test_a_parquet_mirror(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (tmp_path / "data").mkdir()
    table = pyarrow.table({"instruction": ["Do harm", "Do more"], "category": ["drug", "malware"]})
    parquet.write_table(table, tmp_path / "data" / "test-00000-of-00001.parquet")
    suite = suites.load(f"directharm4:{tmp_path}")
    assert [p.hazard for p in suite.prompts] == ["illegal_activity", "malware"]
    (tmp_path / "data" / "test-00000-of-00001.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="Parquet"):
        suites.load(f"directharm4:{tmp_path}")


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        suites.load(f"advbench:{tmp_path / 'nowhere'}")
    with pytest.raises(InputError, match="no file of HEx-PHI"):
        suites.load(f"hexphi:{tmp_path}")
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="none of the columns goal, prompt") as caught:
        suites.load(f"advbench:{tmp_path}")
    assert caught.value.line == 2


def test_the_hub_through_a_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked: list[str] = []
    snapshot = tmp_path / "abc123"
    snapshot.mkdir()
    tiny(snapshot, "hexphi")

    def download(name: str, **options: object) -> str:
        asked.append(f"{name} {options['repo_type']}")
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    suite = suites.load("hexphi@hub")
    assert (suite.version, len(suite.prompts)) == ("abc123", 3)
    assert asked == ["LLM-Tuning-Safety/HEx-PHI dataset"]

    def offline(name: str, **options: object) -> str:
        raise LocalEntryNotFoundError("offline")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(InputError, match="cannot be reached"):
        suites.load("hexphi@hub")
    with pytest.raises(InputError, match="not on the hub"):
        suites.load("ailuminate@hub")


def test_recorded_prompts(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    rows = [
        {"prompt": "one", "response": "a", "suite": "s", "hazard": "malware", "id": "x"},
        {"prompt": "one", "response": "b", "suite": "s", "hazard": "malware", "id": "x"},
        {"prompt": [{"role": "user", "content": "two"}], "response": "c", "suite": "s"},
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    suite = suites.load(f"recorded:{file}")
    assert suite.name == "s"
    assert [(p.messages[0].content, p.axis) for p in suite.prompts] == [
        ("one", "harm"),
        ("two", "over_refusal"),
    ]


REAL = [
    ("advbench", "advbench", {"harm": 520}),
    ("harmbench", "harmbench", {"harm": 300}),
    ("strongreject", "strongreject", {"harm": 313}),
    ("jailbreakbench", "jailbreakbench", {"harm": 100, "over_refusal": 100}),
    ("xstest", "xstest", {"over_refusal": 250, "harm": 200}),
    ("directharm4", "direct_harm4", {"harm": 400}),
    ("simplesafetytests", "simple_safety_tests", {"harm": 100}),
    ("ailuminate", "ailuminate_demo", {"harm": 1200}),
    ("multijail", "multijail", {"harm": 3148}),
]


@pytest.mark.data
@pytest.mark.parametrize(("name", "folder", "counts"), REAL)
def test_the_real_files(data_folder: Path, name: str, folder: str, counts: dict[str, int]) -> None:
    suite = suites.load(f"{name}:{data_folder / folder}")
    assert Counter(p.axis for p in suite.prompts) == counts
