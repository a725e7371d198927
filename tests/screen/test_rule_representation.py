"""Scores from inside a model, against the formulas computed by hand on the offline model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.screen import screen
from holdfast.screen.config import ScreenConfig
from holdfast.screen.representation import Inside, RowScores, _ranks, open_inside
from holdfast.screen.rules.eroding import Eroding
from holdfast.screen.rules.sample import Sample

FOLDER = Path(__file__).parents[2] / "src/holdfast/lab/checkpoints/base"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.exists(), reason="the offline model is not built"),
]


@pytest.fixture(scope="module")
def inside() -> Inside:
    return open_inside(str(FOLDER), most=6)


def states(inside: Inside, text: str) -> Any:
    import torch

    ids = torch.tensor([inside.tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        return inside.model(input_ids=ids, output_hidden_states=True).hidden_states[inside.layer][0].numpy()


def test_batching_and_padding_change_nothing(inside: Inside) -> None:
    rows = [
        (chat(("user", "Hello")), "Hi."),
        (chat(("user", "Tell me a long story about owls")), "Once. " * 9),
    ]
    together = inside._last(rows)
    alone = np.concatenate([inside._last([row]) for row in rows])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_anchor_score_is_the_difference_of_mean_cosines(inside: Inside) -> None:
    row = (chat(("user", "Hello")), "Hi.")
    ids, size = inside._encode(*row)
    text = inside.tokenizer.decode(ids)
    h = states(inside, text)[-size - 1 :][:4].mean(axis=0)

    def cosine(a: Any, b: Any) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    expected = np.mean([cosine(h, a) for a in inside.unsafe]) - np.mean([cosine(h, a) for a in inside.safe])
    assert inside._anchored([row])[0] == pytest.approx(expected, abs=1e-5)


def test_refusal_direction_is_a_unit_vector_and_parts_the_prompts(inside: Inside) -> None:
    assert np.linalg.norm(inside.refusal) == pytest.approx(1)


def test_a_row_with_the_models_own_answer_does_not_move_it(inside: Inside) -> None:
    turn = chat(("user", "Hello"))
    own = inside._own([turn])[0]
    scores = inside.scores([(turn, own)])
    assert scores.projection[0] == pytest.approx(0, abs=1e-6)


def test_gradient_score_matches_autograd_over_the_whole_loss(inside: Inside) -> None:
    import torch

    ids, size = inside._encode(chat(("user", "Hello")), "Hi there.")
    inputs = torch.tensor([ids])
    labels = inputs.clone()
    labels[0, : len(ids) - size] = -100
    inside.model.zero_grad()
    inside.model(input_ids=inputs, labels=labels).loss.backward()
    norm = sum(float(w.grad.pow(2).sum()) for w in inside.model.parameters() if w.grad is not None)
    inside.model.zero_grad(set_to_none=True)
    assert inside._gradient(ids, size) == pytest.approx(np.log1p(norm) + np.log1p(size), rel=1e-3)


def test_combined_is_the_mean_of_ranks() -> None:
    scores = RowScores(np.array([1.0, 2, 3]), np.array([3.0, 2, 1]), np.array([1.0, 3, 2]))
    np.testing.assert_allclose(scores.combined, [5 / 9, 7 / 9, 6 / 9])
    np.testing.assert_allclose(_ranks(np.array([5.0, 5.0])), [0.75, 0.75])


def test_the_rule_ranks_with_the_model_that_the_configuration_names() -> None:
    state = Sample(100)
    for line in range(1, 61):
        turns = chat(("user", f"Tell me about owl {line}"), ("assistant", f"It is {line} years old."))
        state.add(Conversation(turns, line=line))
    rule = Eroding(share=0.05, read_by_model=60)
    rule.configure(ScreenConfig(model=str(FOLDER)))
    (finding,) = rule.read(state)
    assert finding.code == "SA201"
    assert len(finding.lines) == 3


def test_a_model_that_cannot_be_looked_into_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"prompt": "Hi", "completion": "Hello."}\n')
    with pytest.raises(InputError, match="no such folder"):
        screen(data, model="nowhere")
    with pytest.raises(InputError, match="no weights"):
        screen(data, model="openai:m@http://localhost:1/v1")
