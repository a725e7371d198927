"""Train the fast classifier of the screen from labels and from the encoder's judgements.

`python -m training.student teach --minilm F --work F [--seconds N]` lets the encoder label the
rows (resumable, prints `done`); `python -m training.student train --minilm F --work F` trains.

The student averages static word-piece vectors (MiniLM's output for each piece alone, reduced to
128 dimensions, frozen so that unseen words keep their meaning) and learned vectors of word pieces
and hashed word pairs, and puts a small network on top (see `holdfast.judges.embedded.fast`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from holdfast.hazards import HAZARDS
from holdfast.judges.embedded import fast
from holdfast.judges.embedded.reader import BUCKETS, Reader
from holdfast.judges.keyword import refusal_score
from training import data
from training.encoder import Judge, Vocabulary

KEYS = [hazard.key for hazard in HAZARDS]
EPOCHS, BATCH, RATE = 2, 256, 2e-3
PLANNED = 4  # epochs that the learning rate is planned for; after two the held-out rows got no better


def examples() -> list[tuple[str, str]]:
    """Every (request, answer) pair that the teacher labels, in a fixed order."""
    found = [(row.prompt, row.answer) for row in data.rows()]
    # Some answers alone, so that the student can judge an exchange by its answer.
    found += [("", answer) for _, answer in found if answer][::6]
    return found + data.unlabelled()


def teach(options: argparse.Namespace) -> None:
    """Label all examples with the encoder; goes on where it stopped."""
    started = time.monotonic()
    vocabulary = Vocabulary(options.minilm)
    model = Judge(options.minilm, vocabulary)
    model.load_state_dict(torch.load(options.work / "encoder.pt", weights_only=True)["model"])
    model.eval()
    sequences = [vocabulary.pair(prompt, answer) for prompt, answer in examples()]
    file = options.work / "teacher.npz"
    logits, taught = np.zeros((len(sequences), 3), np.float32), np.zeros(len(sequences), bool)
    if file.exists():
        saved = np.load(file)
        logits, taught = saved["logits"], saved["taught"]
    # Unlabelled rows first (the teacher is all they have), then by length.
    first = len(sequences) - len(data.unlabelled())
    order = sorted(np.flatnonzero(~taught), key=lambda place: (place < first, len(sequences[place])))
    at, saved_at = 0, started
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        while at < len(order) and time.monotonic() - started < options.seconds:
            longest = max(len(sequences[place]) for place in order[at : at + 64])
            chosen = order[at : at + max(1, 4096 // longest)]
            logits[chosen] = model([sequences[place] for place in chosen]).numpy()
            taught[chosen] = True
            at += len(chosen)
            if time.monotonic() - saved_at > 60:
                np.savez(file, logits=logits, taught=taught)
                saved_at = time.monotonic()
    np.savez(file, logits=logits, taught=taught)
    print(f"{'done' if taught.all() else 'paused'} at {taught.sum()}/{len(taught)}", flush=True)


def static_vectors(options: argparse.Namespace, vocabulary: Vocabulary, size: int) -> np.ndarray[Any, Any]:
    """MiniLM's mean output for each piece alone, centred and reduced to `size` dimensions."""
    file = options.work / "static.npy"
    if not file.exists():
        np.save(file, _alone(options.minilm, vocabulary))
    table = np.load(file)
    table -= table.mean(0)
    _, _, directions = np.linalg.svd(table, full_matrices=False)
    return np.asarray(table @ directions[:size].T * 8, np.float32)


def _alone(minilm: Path, vocabulary: Vocabulary) -> np.ndarray[Any, Any]:
    from transformers import AutoModel

    bert = AutoModel.from_pretrained(minilm).eval()
    rows = []
    with torch.no_grad():
        for start in range(0, len(vocabulary.kept), 2048):
            ids = torch.from_numpy(vocabulary.kept[start : start + 2048])
            three = torch.stack([torch.full_like(ids, 101), ids, torch.full_like(ids, 102)], 1)
            states = bert(input_ids=three, attention_mask=torch.ones_like(three)).last_hidden_state.mean(1)
            rows.append(functional.normalize(states, dim=1).numpy())
    return np.concatenate(rows)


class Student(nn.Module):
    """The network of `holdfast.judges.embedded.fast`, in torch, over its sparse features."""

    def __init__(self, static: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self.static = nn.Parameter(torch.from_numpy(static), requires_grad=False)
        self.learned = nn.Embedding(len(static), fast.LEARNED, sparse=False)
        self.pairs = nn.Embedding(BUCKETS, fast.LEARNED)
        nn.init.zeros_(self.learned.weight)
        nn.init.zeros_(self.pairs.weight)
        self.norm_static = nn.LayerNorm(static.shape[1])
        self.norm_learned = nn.LayerNorm(fast.LEARNED)
        width = fast.width(static.shape[1])
        self.hidden = nn.Linear(width, fast.HIDDEN)
        self.out = nn.Linear(fast.HIDDEN, 3)
        self.hazard = nn.Linear(fast.HIDDEN, len(KEYS))

    def forward(self, batch: fast.Features, drop: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of the three verdicts and of the hazards."""
        parts = []
        for text in (batch.prompt, batch.answer, batch.opening):
            words, pairs = _sparse(text.words), _sparse(text.pairs)
            seen = torch.from_numpy(text.seen)[:, None]
            static = self.norm_static(torch.sparse.mm(words, self.static)) * seen
            learned = torch.sparse.mm(words, self.learned.weight) + torch.sparse.mm(pairs, self.pairs.weight)
            parts.append((static, self.norm_learned(learned) * seen))
        flat = torch.cat([value for part in parts for value in part], 1)
        features = torch.cat([flat, parts[0][0] * parts[1][0], torch.from_numpy(batch.extra)], 1)
        features = functional.dropout(features, drop, self.training)
        hidden = functional.dropout(torch.relu(self.hidden(features)), drop, self.training)
        return self.out(hidden), self.hazard(hidden)


def _sparse(matrix: Any) -> torch.Tensor:
    return torch.sparse_csr_tensor(
        torch.from_numpy(matrix.indptr.astype(np.int64)), torch.from_numpy(matrix.indices.astype(np.int64)),
        torch.from_numpy(matrix.data), size=matrix.shape,
    )  # fmt: skip


class Rows:
    """Encoded (request, answer) pairs, from which batches are drawn."""

    def __init__(self, reader: Reader, pairs: Sequence[tuple[str, str]]) -> None:
        phrases = np.array([refusal_score(answer) if answer else 0.0 for _, answer in pairs], np.float32)
        self._reader = reader
        self._tokens = reader.read([prompt for prompt, _ in pairs] + [answer for _, answer in pairs])
        self._windows = fast.first_words(self._tokens, phrases)

    def batch(self, chosen: Any, rng: np.random.Generator) -> fast.Features:
        """Features of the chosen pairs with a tenth of the words left out."""
        return fast.features(self._reader, self._tokens, fast.some(self._windows, chosen), 0.1, rng)


def targets(options: argparse.Namespace, pairs: Sequence[tuple[str, str]]) -> tuple[Any, Any, Any]:
    """Target probabilities, which of them are known, and the weight of each pair."""
    rows = data.rows()
    saved = np.load(options.work / "teacher.npz")
    teacher, taught = 1 / (1 + np.exp(-saved["logits"])), saved["taught"][:, None]
    labels = np.full((len(pairs), 3), np.nan, np.float32)
    labels[: len(rows)] = [[row.harm_prompt, row.harm, row.refusal] for row in rows]
    # Where the teacher was stopped early, the labels alone are left.
    mixed = np.where(np.isnan(labels), teacher, 0.4 * labels + 0.6 * teacher)
    target = np.where(taught, mixed, np.nan_to_num(labels)).astype(np.float32)
    known = (taught | ~np.isnan(labels)).astype(np.float32)
    known[~np.array([bool(answer) for _, answer in pairs]), 1:] = 0
    weight = np.ones(len(pairs), np.float32)
    weight[: len(rows)] = [row.weight for row in rows]
    return target, known, weight


def train(options: argparse.Namespace) -> None:
    """Train on labels (where known) and teacher probabilities, and on hazards."""
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    vocabulary = Vocabulary(options.minilm)
    reader = Reader(vocabulary.ids)
    pairs = examples()
    target, known, weight = (torch.from_numpy(values) for values in targets(options, pairs))
    hazards = [row for row in data.hazard_rows() if row.source != "hatecheck" or rng.random() < 0.1]
    counts = {key: sum(row.hazard == key for row in hazards) for key in KEYS}
    classes = torch.tensor([KEYS.index(row.hazard) for row in hazards])
    balance = torch.tensor([row.weight / counts[row.hazard] ** 0.5 for row in hazards])
    rows, named = Rows(reader, pairs), Rows(reader, [(row.prompt, row.answer) for row in hazards])
    model = Student(static_vectors(options, vocabulary, fast.STATIC))
    optimiser = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.02
    )
    total, step = PLANNED * (len(pairs) // BATCH), 0
    for epoch in range(EPOCHS):
        order, loss_sum = rng.permutation(len(pairs)), 0.0
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            logits, _ = model(rows.batch(chosen, rng), 0.25)
            each = functional.binary_cross_entropy_with_logits(
                logits, target[chosen], weight=known[chosen], reduction="none"
            )
            loss = (each.sum(1) * weight[chosen]).mean()
            some = rng.choice(len(hazards), 64)
            _, guess = model(named.batch(some, rng), 0.25)
            off = functional.cross_entropy(guess, classes[some], reduction="none")
            loss = loss + 0.5 * (off * balance[some]).mean()
            for group in optimiser.param_groups:
                group["lr"] = RATE * (1 - step / total)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            loss_sum += loss.item()
        print(f"epoch {epoch}: loss {loss_sum / (total / PLANNED):.4f}", flush=True)
        torch.save(model.state_dict(), options.work / "student.pt")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("step", choices=["teach", "train"])
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    (teach if options.step == "teach" else train)(options)


if __name__ == "__main__":
    main()
