"""Every guard's gradient, in a real trainer, equals its formula transcribed row by row."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import gradients as g

from holdfast.errors import InputError
from holdfast.judges import Judgement, Outcome
from holdfast.train import (
    EMA,
    AsFT,
    Constrained,
    Freeze,
    KLAnchor,
    Lisa,
    SafeGrad,
    TokenWeights,
)
from holdfast.train.guards import (
    AsFTGuard,
    ConstrainedGuard,
    EMAGuard,
    FreezeGuard,
    KLAnchorGuard,
    LisaGuard,
    SafeGradGuard,
    TokenWeightsGuard,
)
from holdfast.train.guards.anchor_table import AnchorTable, kl_full, kl_top
from holdfast.train.guards.asft import alignment_basis, lora_penalty
from holdfast.train.guards.constrained import answer_positions
from holdfast.train.guards.freeze import angle_gap, growth_window, layer_of
from holdfast.train.guards.safegrad import project
from holdfast.train.guards.token_weights import growing_answers
from holdfast.train.guards.tools import SafetyBatches

EVERYWHERE = [
    ("sft", "lora", 1),
    ("sft", "lora", 2),
    ("sft", "full", 2),
    ("plain", "lora", 2),
    ("plain", "full", 1),
]


@pytest.fixture
def case(make_model, data, safety):
    def make(kind="sft", method="lora", accumulation=1, model="llama", **options):
        base = make_model(model)
        rows = g.token_rows(data, base)[:4]
        return g.Case(base, rows, g.token_rows(safety, base), kind, method, accumulation, **options)

    return make


@pytest.mark.parametrize(("kind", "method", "accumulation"), EVERYWHERE)
def test_kl_anchor(case, tmp_path, kind, method, accumulation):
    one = case(kind, method, accumulation)
    guard = KLAnchorGuard(KLAnchor(weight=3, batch_size=4))
    trainer, seen = one.run([guard], tmp_path)
    base = g.base_model(one.base)
    _, wanted = g.expected(
        trainer,
        seen.weights[0],
        lambda m: g.nll(m, one.rows) + 3 * g.kl_to_base(m, base, one.safety),
    )
    g.assert_same(seen.gradients[0], wanted)


def test_an_anchor_at_every_second_step_has_twice_the_weight(case, tmp_path):
    one = case(steps=2)
    guard = KLAnchorGuard(KLAnchor(weight=3, batch_size=4, every=2))
    trainer, seen = one.run([guard], tmp_path)
    base = g.base_model(one.base)
    for step, weight in enumerate((6, 0)):
        _, wanted = g.expected(
            trainer,
            seen.weights[step],
            lambda m, w=weight: g.nll(m, one.rows) + w * g.kl_to_base(m, base, one.safety),
        )
        g.assert_same(seen.gradients[step], wanted)


def test_safety_batches_are_seeded_permutations_that_need_no_memory():
    one, two = SafetyBatches(5, 2, seed=3), SafetyBatches(5, 2, seed=3)
    seen = [row for number in range(5) for row in one.at(number)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == [0, 1, 2, 3, 4]
    assert two.at(4) == one.at(4) and two.at(0) == one.at(0)
    assert SafetyBatches(5, 2, seed=4).at(0) + SafetyBatches(5, 2, seed=4).at(1) != seen[:4]
    assert len(SafetyBatches(2, 9, seed=0).at(0)) == 2


@pytest.mark.parametrize(("kind", "method", "accumulation"), EVERYWHERE)
def test_constrained(case, tmp_path, kind, method, accumulation):
    one = case(kind, method, accumulation, model="qwen", folder=tmp_path / "reference")
    config = Constrained(min_weight=0)
    trainer, seen = one.run([ConstrainedGuard(config)], tmp_path)
    base = g.base_model(one.base)

    def loss(model):
        total, count = torch.zeros(()), 0
        for row in one.rows:
            tuned, labels = g.answer_logits(model, row)
            start, _ = g.answer_logits(base, row)
            for t in range(len(labels)):
                beta = config.beta_first if t == 0 else config.beta_early if t < 5 else config.beta_rest
                gap = tuned[t, labels[t]] - start[t, labels[t]].detach()
                total = total - 2 / beta * torch.log(1 / (1 + torch.exp(-beta * gap)))
            count += len(labels)
        return total / count

    value, wanted = g.expected(trainer, seen.weights[0], loss)
    g.assert_same(seen.gradients[0], wanted)
    logged = [point["loss"] for point in trainer.state.log_history if "loss" in point]
    if kind == "sft":
        assert logged[0] == pytest.approx(value, abs=1e-3)


def test_constrained_at_the_base_is_plain_training(case, tmp_path):
    one = case(move=0.0)
    trainer, seen = one.run([ConstrainedGuard(Constrained())], tmp_path)
    _, wanted = g.expected(trainer, seen.weights[0], lambda m: g.nll(m, one.rows))
    g.assert_same(seen.gradients[0], wanted)


def test_a_stored_reference_is_read_back_and_a_foreign_row_refused(case, tmp_path):
    one = case(folder=tmp_path / "reference")
    guard = ConstrainedGuard(Constrained())
    one.run([guard], tmp_path / "a")
    written = (tmp_path / "reference" / "labels.npy").stat().st_mtime_ns
    again = ConstrainedGuard(Constrained())
    one.run([again], tmp_path / "b")
    assert (tmp_path / "reference" / "labels.npy").stat().st_mtime_ns == written
    assert isinstance(again._store._values, np.memmap)
    one.rows = one.safety
    with pytest.raises(InputError, match="changed"):
        one.run([ConstrainedGuard(Constrained())], tmp_path / "c")


def test_a_packed_batch_finds_the_same_reference_values(case, tmp_path):
    one = case()
    guard = ConstrainedGuard(Constrained())
    one.run([guard], tmp_path)
    a, b = one.rows[0], one.rows[1]
    packed = {
        "input_ids": torch.tensor([[*a.input_ids, *b.input_ids]]),
        "labels": torch.tensor([[*a.labels, *b.labels]]),
        "position_ids": torch.tensor([[*range(len(a.input_ids)), *range(len(b.input_ids))]]),
    }
    alone = [guard._store.lookup(g.collate([row], 0))[0] for row in (a, b)]
    found = guard._store.lookup(packed)[0]
    assert torch.equal(found[: len(a.input_ids) - 1], alone[0])
    assert torch.equal(found[len(a.input_ids) :], alone[1])


def test_answer_positions_count_from_every_answers_start():
    labels = torch.tensor([[-100, 5, 6, -100, -100, 7, 8, 9], [4, -100, 4, 4, 4, 4, 4, 4]])
    assert answer_positions(labels).tolist() == [[0, 1, 2, 0, 0, 1, 2, 3], [1, 0, 1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_safegrad(case, tmp_path, method, weight):
    one = case(method=method, accumulation=2)
    guard = SafeGradGuard(SafeGrad(weight=weight, batch_size=4))
    trainer, seen = one.run([guard], tmp_path)
    base = g.base_model(one.base)
    _, task = g.expected(trainer, seen.weights[0], lambda m: g.nll(m, one.rows))
    _, align = g.expected(trainer, seen.weights[0], lambda m: g.kl_to_base(m, base, one.safety))
    dot = sum(float((task[n] * align[n]).sum()) for n in task)
    square = sum(float((align[n] ** 2).sum()) for n in task)
    take = dot / square if dot < 0 else 0.0
    wanted = {n: task[n] - take * align[n] + weight * align[n] for n in task}
    g.assert_same(seen.gradients[0], wanted)


def test_projection_leaves_nothing_against_the_alignment():
    generator = torch.Generator().manual_seed(0)
    align = [torch.randn(5, 3, generator=generator), torch.randn(7, generator=generator)]
    task = [-a + 0.3 * torch.randn(a.shape, generator=generator) for a in align]
    done = project(task, align, 0.0)
    assert abs(sum(float((d * a).sum()) for d, a in zip(done, align, strict=True))) < 1e-4
    agreeing = project(align, align, 0.0)
    assert all(torch.equal(x, y) for x, y in zip(agreeing, align, strict=True))
    zero = [torch.zeros_like(a) for a in align]
    assert all(torch.equal(x, y) for x, y in zip(project(task, zero, 1.0), task, strict=True))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_lisa(case, tmp_path, method):
    one = case(method=method, accumulation=2, steps=4)
    guard = LisaGuard(Lisa(align_steps=1, user_steps=2, rho=0.7))
    trainer, seen = one.run([guard], tmp_path)
    assert [guard.aligning(step) for step in range(6)] == [False, False, True, False, False, True]
    for step, (rows, switch) in enumerate([(one.rows, 0), (one.rows, 0), (one.safety, 2), (one.rows, 3)]):
        now, then = seen.weights[step], seen.weights[switch]
        if rows is one.safety:
            # Two micro-batches of two safety rows, each a mean of its own.
            chosen = [guard._batches.at(step * 2), guard._batches.at(step * 2 + 1)]
            parts = [[one.safety[i] for i in part] for part in chosen]
            _, wanted = g.expected(
                trainer, now, lambda m, p=parts: sum(g.nll(m, part) for part in p) / len(p)
            )
        else:
            _, wanted = g.expected(trainer, now, lambda m: g.nll(m, one.rows))
        wanted = {n: w + 0.7 * (now[n] - then[n]) for n, w in wanted.items()}
        g.assert_same(seen.gradients[step], wanted)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_ema_is_the_recursion_over_the_weights(case, tmp_path, method):
    one = case(method=method, steps=5, move=0.0)
    trainer, seen = one.run([EMAGuard(EMA(decay=0.3))], tmp_path)
    mean = {n: w.numpy().astype(np.float64) for n, w in seen.weights[0].items()}
    for t, weights in enumerate(seen.weights[1:], 1):
        decay = min(0.3, (1 + t) / (10 + t))
        mean = {n: decay * mean[n] + (1 - decay) * w.numpy() for n, w in weights.items()}
    for name, parameter in trainer.model.named_parameters():
        assert np.allclose(parameter.detach().numpy(), mean[name], atol=1e-6), name


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_asft(case, tmp_path, make_model, method, kind):
    one = case(method=method, model=kind)
    other = make_model(kind, seed=9)
    share, weight = 0.25, 0.5
    guard = AsFTGuard(AsFT(unaligned=other, rank_share=share, weight=weight))
    trainer, seen = one.run([guard], tmp_path)
    base, unaligned = (g.base_model(p).state_dict() for p in (one.base, other))

    def loss(model):
        total = g.nll(model, one.rows)
        merged = dict(model.named_parameters())
        for name, start in base.items():
            if layer_of(name) is None or start.ndim != 2:
                continue
            # GPT-2 stores its matrices as (in, out).
            d = start - unaligned[name] if kind == "llama" else (start - unaligned[name]).T
            u = torch.linalg.svd(d)[0][:, : max(1, round(share * min(d.shape)))]
            outside = torch.eye(len(u)) - u @ u.T
            if method == "full":
                update = merged[name] - start if kind == "llama" else (merged[name] - start).T
            else:
                key = f"base_model.model.{name.removesuffix('.weight')}"
                update = 2.0 * merged[f"{key}.lora_B.default.weight"] @ merged[f"{key}.lora_A.default.weight"]
            total = total + weight * (outside @ update).square().sum()
        return total

    _, wanted = g.expected(trainer, seen.weights[0], loss)
    g.assert_same(seen.gradients[0], wanted, tolerance=1e-4)


def test_asft_refuses_a_checkpoint_that_does_not_match(case, tmp_path, make_model):
    one = case()
    with pytest.raises(InputError, match="no tensor"):
        one.run([AsFTGuard(AsFT(unaligned=_other_shape(tmp_path)))], tmp_path / "run")


def test_the_anchors_reference_pass_holds_no_more_rows_than_training(case, tmp_path, monkeypatch):
    sizes = []
    own = AnchorTable._answer_logps

    def spy(self, model, rows):
        sizes.append(len(rows))
        return own(self, model, rows)

    monkeypatch.setattr(AnchorTable, "_answer_logps", spy)
    case(accumulation=2).run([KLAnchorGuard(KLAnchor())], tmp_path)
    assert sizes[:2] == [2, 2] and max(sizes) == 2


def _other_shape(tmp_path):
    from safetensors.torch import save_file

    folder = tmp_path / "other"
    folder.mkdir()
    save_file({"x": torch.zeros(2)}, folder / "model.safetensors")
    return folder


def test_lora_penalty_needs_no_product():
    generator = torch.Generator().manual_seed(1)
    b, a = torch.randn(6, 2, generator=generator), torch.randn(2, 5, generator=generator)
    u = alignment_basis(torch.randn(6, 5, generator=generator), torch.zeros(6, 5), 0.4)
    dense = ((torch.eye(6) - u @ u.T) @ (3.0 * b @ a)).square().sum()
    assert float(lora_penalty(b, a, u, 3.0)) == pytest.approx(float(dense), rel=1e-5)


@pytest.mark.parametrize("kl", [True, False])
def test_token_weights(case, tmp_path, kl):
    one = case(accumulation=2)

    def judging(exchanges):
        # Safe as long as "silk" is not said.
        return [Judgement(Outcome.HARMFUL, score=0.75 if "silk" in e.answer else 0.0) for e in exchanges]

    guard = TokenWeightsGuard(TokenWeights(stride=2, kl=kl), judging)
    trainer, seen = one.run([guard], tmp_path)
    base = g.base_model(one.base)
    tokenizer = g.AutoTokenizer.from_pretrained(one.base)
    met = set()

    def loss(model):
        total, count = torch.zeros(()), 0
        for row in one.rows:
            tuned, labels = g.answer_logits(model, row)
            start, _ = g.answer_logits(base, row)
            for t in range(len(labels)):
                upto = min((t // 2 + 1) * 2, len(labels))
                text = tokenizer.decode(labels[:upto], skip_special_tokens=True)
                s = 0.25 if "silk" in text else 1.0
                met.add(s)
                total = total - s * tuned[t, labels[t]]
                if kl:
                    p = start[t].detach()
                    total = total + (1 - s) * (p.exp() * (p - tuned[t])).sum()
            count += len(labels)
        return total / count

    _, wanted = g.expected(trainer, seen.weights[0], loss)
    assert met == {0.25, 1.0}
    g.assert_same(seen.gradients[0], wanted)
    assert growing_answers(7, 3) == [3, 6, 7]
    assert growing_answers(2, 8) == [2]


def test_token_weights_with_kl_refuses_full_fine_tuning(case, tmp_path):
    guard = TokenWeightsGuard(TokenWeights(), lambda exchanges: [])
    with pytest.raises(InputError, match="adapter"):
        case(method="full").run([guard], tmp_path)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_frozen_layers_do_not_move(case, tmp_path, method):
    one = case(method=method, steps=2)
    _, seen = one.run([FreezeGuard(Freeze(layers=(1,)))], tmp_path)
    moved = {n for n, w in seen.weights[-1].items() if not torch.equal(w, seen.weights[0][n])}
    assert moved and all(layer_of(name) != 1 for name in moved)
    with pytest.raises(InputError, match="no layer 7"):
        case().run([FreezeGuard(Freeze(layers=(7,)))], tmp_path)
    with pytest.raises(InputError, match="fewer layers"):
        case().run([FreezeGuard(Freeze(layers=(0, 1)))], tmp_path)
    with pytest.raises(InputError, match="benign"):
        case().run([FreezeGuard(Freeze())], tmp_path)


def test_the_angle_gap_is_the_formula_and_the_window_its_steepest_part():
    generator = np.random.default_rng(0)
    refused, benign = generator.normal(size=(3, 4, 5)), generator.normal(size=(2, 4, 5))

    def angle(x, y):
        return math.acos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    gap = angle_gap(torch.tensor(refused), torch.tensor(benign))
    for layer in range(4):
        across = np.mean([angle(r[layer], b[layer]) for r in refused for b in benign])
        assert float(gap[layer]) == pytest.approx(
            across - angle(benign[0, layer], benign[1, layer]), abs=1e-4
        )
    assert growth_window(torch.tensor([0.0, 0.1, 0.2, 0.9, 1.5, 1.6]), 2) == [2, 3]


def test_top_k_kl_is_a_lower_bound_that_closes():
    generator = torch.Generator().manual_seed(2)
    base = torch.randn(6, 50, generator=generator).log_softmax(-1)
    tuned = (base + 0.5 * torch.randn(6, 50, generator=generator)).log_softmax(-1)
    full = float(kl_full(base, tuned))
    found = []
    for k in (5, 20, 49):
        top, ids = base.topk(k)
        found.append(float(kl_top(top, ids, tuned)))
    assert found == sorted(found) and found[-1] == pytest.approx(full, rel=1e-4)
    assert all(value <= full + 1e-6 for value in found)
    top, ids = base.topk(10)
    assert float(kl_top(top, ids, base)) == pytest.approx(0, abs=1e-6)


def test_several_guards_add_up_and_two_losses_are_refused(case, tmp_path):
    one = case(accumulation=2)
    guards = [ConstrainedGuard(Constrained()), KLAnchorGuard(KLAnchor(batch_size=4)), EMAGuard(EMA())]
    trainer, seen = one.run(guards, tmp_path)
    assert trainer.state.global_step == 1 and seen.gradients
    with pytest.raises(InputError, match="only one guard"):
        one.run([ConstrainedGuard(Constrained()), LisaGuard(Lisa())], tmp_path)


def test_guards_that_need_safety_rows_say_so(case, tmp_path):
    one = case()
    one.safety = []
    for guard in (KLAnchorGuard(KLAnchor()), SafeGradGuard(SafeGrad()), LisaGuard(Lisa())):
        with pytest.raises(InputError, match="needs safety rows"):
            one.run([guard], tmp_path)


def test_bf16_autocast_stays_close_to_fp32(case, tmp_path):
    found = []
    for bf16 in (False, True):
        one = case(bf16=bf16, accumulation=2)
        guard = KLAnchorGuard(KLAnchor(weight=3, batch_size=4))
        _, seen = one.run([ConstrainedGuard(Constrained()), guard], tmp_path / str(bf16))
        found.append(torch.cat([x.flatten() for x in seen.gradients[0].values()]))
    assert float(torch.cosine_similarity(*found, dim=0)) > 0.99
