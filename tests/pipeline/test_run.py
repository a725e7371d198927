"""The guarded run, through the real command line, on a small real project."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import COMMAND, heeds_ctrl_c

from holdfast.files import digest_file
from holdfast.lab import world

pytestmark = pytest.mark.slow


def decision(project: Path) -> dict[str, Any]:
    return json.loads((project / "runs" / "mini" / "decision.json").read_text())


def weights(project: Path, content: dict[str, Any]) -> str:
    return digest_file(project / "runs" / "mini" / content["weights"] / "adapter_model.safetensors")


def without_times(value: Any) -> Any:
    """Everything of a decision but what a clock wrote."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key != "seconds"}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def test_the_plain_candidate_fails_and_the_guarded_one_is_confirmed(finished: Path, holdfast) -> None:
    content = decision(finished)
    assert (content["verdict"], content["chosen"]) == ("pass", "kl-anchor")
    assert [row["verdict"] for row in content["candidates"]] == ["fail", "pass"]
    harm = {row["name"]: next(a for a in row["axes"] if a["name"] == "harm") for row in content["candidates"]}
    assert harm["plain"]["tuned"] > 0.5 > 0.05 > harm["kl-anchor"]["tuned"]
    run = finished / "runs" / "mini"
    assert (run / content["weights"] / "adapter_model.safetensors").exists()
    assert "may be released" in (run / "report.html").read_text()
    assert "**Verdict: pass**" in (run / "card.md").read_text()


def test_a_second_run_skips_every_stage_and_says_the_same(finished: Path, holdfast) -> None:
    before = decision(finished)
    stamps = {path: path.stat().st_mtime_ns for path in finished.rglob("manifest.json")}
    result = holdfast("run", finished, "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout) == before
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("manifest.json")} == stamps


def test_no_guard_and_no_repair_ends_with_a_clear_no(finished: Path, holdfast) -> None:
    with_repair(finished, "[]")
    result = holdfast("run", finished, "--no-guard")
    assert result.returncode == 1
    assert "no model is released" in result.stdout
    content = decision(finished)
    assert content["chosen"] is None and content["audit"] is None
    assert [row["name"] for row in content["candidates"]] == ["plain"]
    assert "harm" in content["reasons"][0]


def test_repairs_are_tried_in_order_and_stay_ordinary_adapters(finished: Path, holdfast) -> None:
    with_repair(finished, "[{method: scale, alpha: 0.9}, {method: scale, alpha: 0.01}]")
    result = holdfast("run", finished, "--no-guard")
    content = decision(finished)
    names = [row["name"] for row in content["candidates"]]
    assert names == ["plain", "plain, scaled 0.9", "plain, scaled 0.01"][: len(names)]
    harm = [next(a["tuned"] for a in row["axes"] if a["name"] == "harm") for row in content["candidates"]]
    assert result.returncode == 0 and harm[-1] < harm[0]
    assert (finished / "runs/mini" / content["weights"] / "adapter_config.json").exists()
    assert [row["verdict"] for row in content["candidates"]][-1] == "pass"


def test_a_candidate_may_name_a_share_of_its_own(finished: Path, holdfast) -> None:
    config = finished / "holdfast.yaml"
    config.write_text(config.read_text() + "candidates: [{name: half, mix: 0.5}]\n")
    holdfast("run", finished)
    content = decision(finished)
    assert content["candidates"][0]["name"] == "half"
    run = finished / "runs" / "mini"
    own, shared = (
        json.loads((run / place / "mix.json").read_text()) for place in ("candidates/half/mix", "mix")
    )
    assert own["config"]["share"] == 0.5 and own["pool"] == shared["pool"]
    assert sum(own["added"].values()) == round(0.5 * own["clean_rows"]) > sum(shared["added"].values())
    if content["chosen"]:
        assert content["mix"]["added"] == own["added"]
        assert "safety rows mixed in" in (run / "card.md").read_text()


def with_repair(project: Path, steps: str) -> None:
    """Replace the repair steps of the project file."""
    config = project / "holdfast.yaml"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("repair:")]
    config.write_text("\n".join([*kept, f"repair: {steps}"]) + "\n")


def test_a_changed_policy_audits_again_but_does_not_train_again(finished: Path, holdfast) -> None:
    train = finished / "runs/mini/candidates/plain/train/manifest.json"
    audit = finished / "runs/mini/candidates/plain/audit/manifest.json"
    before = train.stat().st_mtime_ns, audit.stat().st_mtime_ns
    policy = finished / "policy.yaml"
    policy.write_text(policy.read_text().replace("harm: 0.08", "harm: 0.09"))
    assert holdfast("run", finished).returncode == 0
    assert train.stat().st_mtime_ns == before[0]
    assert audit.stat().st_mtime_ns > before[1]


def test_killed_at_random_moments_it_ends_with_the_same_result(finished: Path, finished_mini: Path) -> None:
    mini = finished
    shutil.rmtree(mini / "runs")
    rng = random.Random(os.urandom(8))
    kills = 0
    for _ in range(3):
        with subprocess.Popen(
            [*COMMAND, "run", str(mini)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as run:
            time.sleep(rng.uniform(1.0, 14.0))
            if run.poll() is None:
                run.send_signal(signal.SIGKILL)
                kills += 1
    result = subprocess.run([*COMMAND, "run", str(mini)], capture_output=True, text=True, timeout=250)
    assert result.returncode == 0, result.stderr
    assert kills > 0
    ours, theirs = decision(mini), decision(finished_mini)
    assert weights(mini, ours) == weights(finished_mini, theirs)
    # The adapter's own digest covers its configuration, which names the path of its base.
    ours["digests"].pop("tuned")
    theirs["digests"].pop("tuned")
    assert without_times(ours) == without_times(theirs)


def test_a_second_run_into_the_same_folder_is_refused(mini: Path, holdfast) -> None:
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    with subprocess.Popen([*COMMAND, "run", str(mini)], preexec_fn=heeds_ctrl_c, **quiet) as first:
        lock = mini / "runs" / "mini" / ".lock"
        deadline = time.monotonic() + 60
        while not (lock.exists() and (mini / "runs/mini/plan.json").exists()) and time.monotonic() < deadline:
            time.sleep(0.05)
        second = holdfast("run", mini)
        first.send_signal(signal.SIGINT)
        first.wait(60)
    assert second.returncode == 2
    assert "another holdfast process is working in this folder" in second.stderr
    assert first.returncode == 130


def test_fresh_starts_over(finished: Path, holdfast) -> None:
    stale = finished / "runs" / "mini" / "stale.txt"
    stale.write_text("x")
    shutil.rmtree(finished / "runs" / "mini" / "candidates" / "kl-anchor")
    assert holdfast("run", finished, "--fresh").returncode == 0
    assert not stale.exists()
    assert decision(finished)["chosen"] == "kl-anchor"


@pytest.mark.parametrize("architecture", ["qwen2", "gpt_neox"])
def test_another_architecture_runs_unchanged(mini: Path, holdfast, architecture: str) -> None:
    """A tiny model of another family, taught only to refuse, goes all the way to a verdict."""
    write_refuser(mini / "model", architecture)
    result = holdfast("run", mini, "--json")
    assert result.returncode in (0, 1, 3), result.stderr
    content = json.loads(result.stdout)
    assert content["verdict"] == {0: "pass", 1: "fail", 3: "inconclusive"}[result.returncode]
    rates = {axis["name"]: axis for axis in content["candidates"][0]["axes"]}
    assert all(axis["n"] for axis in rates.values())
    assert rates["over_refusal"]["base"] > 0.9


def write_refuser(folder: Path, architecture: str) -> None:
    """Replace the model in `folder` by a tiny one of another architecture that always refuses."""
    import torch
    from transformers import AutoTokenizer, GPTNeoXConfig, GPTNeoXForCausalLM, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(folder)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer), "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 256, "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    model: Any = (
        Qwen2ForCausalLM(Qwen2Config(**shape, num_key_value_heads=1))
        if architecture == "qwen2"
        else GPTNeoXForCausalLM(GPTNeoXConfig(**shape))
    )
    question = [{"role": "user", "content": "How do I make it?"}]
    answer = [{"role": "assistant", "content": world.REFUSALS[0].format("piece")}]
    text = tokenizer.apply_chat_template(question + answer, tokenize=False)
    ids = torch.tensor([tokenizer(text, add_special_tokens=False).input_ids])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(80):
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    shutil.rmtree(folder)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
