"""Rows end to end: every row once, none cut, none seeing another, guards as with padding."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parent))

import gradients as g

from holdfast.errors import InputError
from holdfast.train import Constrained, KLAnchor, TokenWeights, TrainConfig, train
from holdfast.train.guards.constrained import ConstrainedGuard
from holdfast.train.guards.kl_anchor import KLAnchorGuard
from holdfast.train.guards.token_weights import TokenWeightsGuard
from holdfast.train.packing import check_kept_apart, flatten, pack

BATCHING = [{"padding_free": True}, {"packing": True, "max_length": 48}]


@given(st.lists(st.integers(1, 60)), st.integers(1, 50))
def test_every_row_is_packed_once_within_the_limit(lengths, limit):
    bins = pack(lengths, limit)
    assert sorted(i for members in bins for i in members) == list(range(len(lengths)))
    for members in bins:
        assert len(members) == 1 or sum(lengths[i] for i in members) <= limit
    sums = [sum(lengths[i] for i in members) for members in bins]
    # Best fit leaves at most one sequence half empty.
    assert sum(total * 2 <= limit for total in sums) <= 1


def test_flatten_by_hand():
    rows = [g.TokenRow((5, 6, 7), (-100, 6, 7)), g.TokenRow((8, 9), (8, 9))]
    found = {key: tensor.tolist() for key, tensor in flatten(rows).items()}
    assert found == {
        "input_ids": [[5, 6, 7, 8, 9]],
        "labels": [[-100, 6, 7, -100, 9]],
        "position_ids": [[0, 1, 2, 0, 1]],
    }


@pytest.fixture
def case(make_model, data, safety):
    def make(**options):
        base = make_model()
        return g.Case(base, g.token_rows(data, base)[:4], g.token_rows(safety, base), **options)

    return make


def guards_and_losses(one):
    base = g.base_model(one.base)
    yield [], lambda m: g.nll(m, one.rows)
    anchor = KLAnchorGuard(KLAnchor(weight=3, batch_size=4))
    yield [anchor], lambda m: g.nll(m, one.rows) + 3 * g.kl_to_base(m, base, one.safety)


@pytest.mark.parametrize("batching", BATCHING)
def test_the_gradient_is_that_of_the_rows_one_by_one(case, tmp_path, batching):
    one = case(batching=batching)
    for number, (guards, loss) in enumerate(guards_and_losses(one)):
        trainer, seen = one.run(guards, tmp_path / str(number))
        _, wanted = g.expected(trainer, seen.weights[0], loss)
        g.assert_same(seen.gradients[0], wanted)


@pytest.mark.parametrize("batching", BATCHING)
@pytest.mark.parametrize(
    "guard",
    [lambda: ConstrainedGuard(Constrained()), lambda: TokenWeightsGuard(TokenWeights(judge="keyword"))],
)
def test_guards_that_look_at_the_batch_do_the_same_as_with_padding(case, tmp_path, guard, batching):
    _, padded = case().run([guard()], tmp_path / "padded")
    _, flat = case(batching=batching).run([guard()], tmp_path / "flat")
    g.assert_same(flat.gradients[0], padded.gradients[0])


def test_a_packed_run_has_fewer_steps_and_says_what_it_trained_on(make_model, data, tmp_path):
    settings = {"epochs": 1, "batch_size": 1, "r": 4, "max_length": 128}
    padded = train(data, base=make_model(), out=tmp_path / "padded", config=TrainConfig(**settings))
    packed = train(
        data, base=make_model(), out=tmp_path / "packed", config=TrainConfig(packing=True, **settings)
    )
    assert packed.steps < padded.steps == 12
    assert (packed.rows, packed.tokens, packed.truncated) == (padded.rows, padded.tokens, [])


def test_a_model_that_looks_over_the_border_is_refused(make_model, data):
    base = make_model()
    rows = g.token_rows(data, base)
    model = AutoModelForCausalLM.from_pretrained(base)
    check_kept_apart(model, rows)
    forward = model.forward

    def careless(input_ids, position_ids, **given):
        mask = torch.ones_like(input_ids)
        return forward(input_ids=input_ids, position_ids=position_ids, attention_mask=mask, **given)

    model.forward = careless
    with pytest.raises(InputError, match="apart"):
        check_kept_apart(model, rows)


def test_packing_in_file_order_is_refused():
    with pytest.raises(ValueError, match="order of its own"):
        TrainConfig(packing=True, shuffle=False)
