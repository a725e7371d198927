"""Fine-tune the first layers of MiniLM as one judge: harmful request, harmful exchange, refusal.

`python -m training.encoder --minilm FOLDER --work FOLDER [--seconds N]` trains until the time is
over, saves its state and goes on where it stopped when called again; prints `done` at the end.
The encoder reads `[CLS] request [SEP] answer [SEP]` and is mean-pooled, as MiniLM was trained. It
computes in bfloat16 where the processor has it, so two runs with one seed agree closely, not to the
last bit.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from holdfast.judges.embedded.text import pieces, words
from training import data

LAYERS = 3
PROMPT, ANSWER = (48, 16), 96
ALONE = (88, 40)
CLS, SEP, UNKNOWN = 101, 102, 100
BATCH_TOKENS = 4096
PER_EPOCH = {"gptfuzz": 0.4, "hatecheck": 0.12, "gsm8k": 0.07, "gpteacher": 0.2, "sql": 0.2,
             "ailuminate": 0.4, "opened_benign": 0.25, "refused_harm": 0.3, "toxic_advice": 0.35,
             "refused_benign": 0.4, "guard_train": 0.8, "off_topic": 0.5, "continued": 0.4,
             "refused_then_harm": 0.4, "moral": 0.6, "ordinary_code": 0.15, "ordinary_ticket": 0.25,
             "ordinary_data": 0.15}  # fmt: skip
PAIRS_PER_EPOCH = 500
EPOCHS, RATE, HEAD_RATE = 4, 2e-4, 1e-3
SAVE_EVERY = 25
LONG = 500  # characters: about one window


class Vocabulary:
    """The ASCII part of MiniLM's word pieces, renumbered; `kept` holds the old numbers."""

    def __init__(self, folder: Path) -> None:
        lines = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
        keep = [
            i
            for i, piece in enumerate(lines)
            if piece.isascii() and piece and not piece.startswith("[unused")
        ]
        self.kept = np.array(keep)
        self.names = [lines[i] for i in keep]
        self.ids = {name: i for i, name in enumerate(self.names)}
        self.cls, self.sep, self.unknown = (self.ids[name] for name in ("[CLS]", "[SEP]", "[UNK]"))
        self._cache: dict[str, list[int]] = {}

    def encode(self, text: str, limit: int) -> list[int]:
        """Word pieces of the first words of a text; a few more than `limit` are cut off."""
        found: list[int] = []
        for word in words(text):
            if word not in self._cache:
                self._cache[word] = pieces(word, self.ids, self.unknown)
            found.extend(self._cache[word])
            if len(found) >= limit:
                break
        return found

    def pair(self, prompt: str, answer: str) -> list[int]:
        """`[CLS] request [SEP] answer [SEP]`; of a long request its head and its tail."""
        head, tail = PROMPT if answer else ALONE
        request = self.encode(prompt, 4096)
        if len(request) > head + tail:
            request = request[:head] + request[-tail:]
        reply = self.encode(answer, ANSWER)[:ANSWER]
        return [self.cls, *request, self.sep, *reply, self.sep] if answer else [self.cls, *request, self.sep]


class Judge(nn.Module):
    """A truncated BERT with one hidden layer and three logits: request, exchange, refusal."""

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        from transformers import AutoModel

        super().__init__()
        bert = AutoModel.from_pretrained(folder, attn_implementation="sdpa")
        bert.encoder.layer = bert.encoder.layer[:LAYERS]
        bert.pooler = None
        table = bert.embeddings.word_embeddings.weight.detach()[torch.from_numpy(vocabulary.kept)]
        bert.embeddings.word_embeddings = nn.Embedding.from_pretrained(table, freeze=True)
        bert.embeddings.requires_grad_(False)
        self.bert = bert
        self.hidden = nn.Linear(384, 128)
        self.out = nn.Linear(128, 3)

    def forward(self, sequences: list[list[int]]) -> torch.Tensor:
        """Logits, shape (n, 3)."""
        width = max(map(len, sequences))
        ids = torch.zeros(len(sequences), width, dtype=torch.long)
        mask = torch.zeros(len(sequences), width)
        for place, sequence in enumerate(sequences):
            ids[place, : len(sequence)] = torch.tensor(sequence)
            mask[place, : len(sequence)] = 1
        states = self.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        hidden = functional.dropout(torch.tanh(self.hidden(pooled)), 0.1, self.training)
        return self.out(hidden).float()


def plan(vocabulary: Vocabulary, seed: int) -> list[list[tuple[list[int], Any]]]:
    """Batches of all epochs: units of (sequence, (labels, weight)) or of hh pairs (None labels)."""
    rng = random.Random(seed)
    rows = [row for row in data.rows() if row.answer.isascii() or not row.answer or row.source != "gptfuzz"]
    pairs = [pair for pair in data.pairs() if pair[1] and pair[2]]
    batches = []
    for _ in range(EPOCHS):
        units: list[tuple[list[int], Any]] = []
        for row in rows:
            if rng.random() >= PER_EPOCH.get(row.source, 1.0):
                continue
            drop = bool(row.answer) and rng.random() < 0.15
            labels = (float("nan") if drop else row.harm_prompt, row.harm, row.refusal)
            answer = row.answer
            if len(answer) > LONG and rng.random() < 0.25:
                # Later windows are judged too; whether an answer declines shows in the first.
                answer = answer[answer.find(" ", rng.randrange(len(answer) // 2)) :]
                labels = (*labels[:2], float("nan"))
            units.append((vocabulary.pair("" if drop else row.prompt, answer), (labels, row.weight)))
        two = [
            (vocabulary.pair(p, a), vocabulary.pair(p, b)) for p, a, b in rng.sample(pairs, PAIRS_PER_EPOCH)
        ]
        batches += _batches(units, rng)
        chunk = [two[i : i + 12] for i in range(0, len(two), 12)]
        batches += [[(sequence, None) for pair in part for sequence in pair] for part in chunk]
    per_epoch = len(batches) // EPOCHS
    for epoch in range(EPOCHS):
        part = batches[epoch * per_epoch : (epoch + 1) * per_epoch]
        rng.shuffle(part)
        batches[epoch * per_epoch : (epoch + 1) * per_epoch] = part
    return batches


def _batches(units: list[tuple[list[int], Any]], rng: random.Random) -> list[list[tuple[list[int], Any]]]:
    rng.shuffle(units)
    batches: list[list[tuple[list[int], Any]]] = []
    for start in range(0, len(units), 1024):
        part: list[tuple[list[int], Any]] = []
        for unit in sorted(units[start : start + 1024], key=lambda unit: len(unit[0])):
            if part and (len(part) + 1) * len(unit[0]) > BATCH_TOKENS:
                batches.append(part)
                part = []
            part.append(unit)
        batches.append(part)
    return batches


def loss_of(model: Judge, batch: list[tuple[list[int], Any]]) -> torch.Tensor:
    """Masked cross-entropy, or for pairs the Bradley-Terry loss on the harm logit."""
    logits = model([sequence for sequence, _ in batch])
    if batch[0][1] is None:
        return -0.3 * functional.logsigmoid(logits[1::2, 1] - logits[0::2, 1]).mean()
    labels = torch.tensor([unit[0] for _, unit in batch])
    weight = torch.tensor([unit[1] for _, unit in batch])
    known = ~labels.isnan()
    target = torch.nan_to_num(labels) * 0.96 + 0.02
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (each * known * weight[:, None]).sum() / max(known.sum().item(), 1)


def main() -> None:
    """Train until done or until the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, state_file = time.monotonic(), options.work / "encoder.pt"
    torch.manual_seed(options.seed)
    vocabulary = Vocabulary(options.minilm)
    model = Judge(options.minilm, vocabulary)
    batches = plan(vocabulary, options.seed)
    heads = [*model.hidden.parameters(), *model.out.parameters()]
    body = [p for p in model.bert.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": body, "lr": RATE}, {"params": heads, "lr": HEAD_RATE}], weight_decay=0.01
    )
    total = len(batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / (0.06 * total), max(0.02, 1 - step / total))
    )
    step, running = 0, 0.0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        step, running = state["step"], state["loss"]
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
    options.work.mkdir(parents=True, exist_ok=True)

    def save() -> None:
        state = {"step": step, "total": total, "loss": running, "model": model.state_dict()}
        state |= {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}
        torch.save(state, state_file.with_suffix(".new"))
        state_file.with_suffix(".new").replace(state_file)
        print(f"{'done' if step == total else 'at'} {step}/{total}, loss {running:.3f}", flush=True)

    model.train()
    while step < total and time.monotonic() - started < options.seconds:
        torch.manual_seed(options.seed + step)  # the same dropout after a stop
        with torch.autocast("cpu", torch.bfloat16):
            loss = loss_of(model, batches[step])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        step += 1
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if step % SAVE_EVERY == 0:
            save()
    save()


if __name__ == "__main__":
    main()
