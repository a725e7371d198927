"""For the repairs that need gradients: the tuned model in memory, its safety rows, saving."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import InputError, RunError
from holdfast.files import cannot_write, read_json
from holdfast.models.folder import is_adapter
from holdfast.repair.adapters import CONFIG, copy_beside, open_adapter
from holdfast.repair.checkpoints import check_match, open_checkpoint
from holdfast.repair.record import FILE

if TYPE_CHECKING:
    import torch

    from holdfast.train.rows import TokenRow


def load_tuned(tuned: Path, base: Path) -> Any:
    """The tuned model in fp32, ready for gradients; of an adapter only its factors take part.

    Raises:
        InputError: The adapter or checkpoint cannot be used.
    """
    import torch
    from transformers import AutoModelForCausalLM

    from holdfast.models.weights import pick_device
    from holdfast.train.loading import quiet_bars

    device = torch.device(pick_device(None))
    with quiet_bars():
        if not is_adapter(tuned):
            check_match(open_checkpoint(tuned), open_checkpoint(base))
            folder = open_checkpoint(tuned).folder
            return _on(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), device)
        from peft import PeftModel

        open_adapter(tuned)
        folder = open_checkpoint(base).folder
        model = _on(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), device)
        try:
            return PeftModel.from_pretrained(model, str(tuned), is_trainable=True)
        except (ValueError, RuntimeError, KeyError) as error:
            first = (str(error).splitlines() or [""])[0]
            raise InputError(f"the adapter does not fit this base: {first}", path=tuned) from None


def _on(model: Any, device: Any) -> Any:
    return model.to(device)


def safety_rows(path: Path, base: Path, count: int, limit: int = 2048) -> list[TokenRow]:
    """At most `count` safety rows, tokenised with the base's template.

    They are taken evenly over the file: a mix writes refusals first and look-alikes after them, and
    a repair that saw refusals alone would teach the model to refuse everything.

    Raises:
        InputError: There are none.
    """
    from holdfast.train.loading import load_tokenizer
    from holdfast.train.rows import read_rows, tokenise

    config = read_json(base / "config.json")
    room = config.get("max_position_embeddings") or config.get("n_positions") or limit
    rows = tokenise(read_rows(path), load_tokenizer(base), min(limit, room)).rows
    if not rows:
        raise InputError("no safety row has an answer", path=path)
    taken = min(count, len(rows))
    return [rows[index * len(rows) // taken] for index in range(taken)]


def batches(rows: list[TokenRow], size: int, seed: int) -> Iterator[list[TokenRow]]:
    """The rows in seeded random batches, once."""
    import torch

    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed)).tolist()
    for start in range(0, len(order), size):
        yield [rows[i] for i in order[start : start + size]]


def answer_loss(model: Any, rows: list[TokenRow]) -> torch.Tensor:
    """Token-mean cross-entropy on the answers of `rows`.

    Raises:
        RunError: It is not a finite number.
    """
    import torch
    from torch.nn.functional import cross_entropy

    from holdfast.train.rows import collate

    device = next(model.parameters()).device
    batch = {key: value.to(device) for key, value in collate(rows, 0).items()}
    labels = batch.pop("labels")[:, 1:]
    logits = model(**batch, use_cache=False).logits[:, :-1]
    loss = cross_entropy(logits.float().transpose(1, 2), labels)
    if not torch.isfinite(loss):
        raise RunError(f"the loss on the safety rows is {float(loss)}", fix="check the tuned weights")
    return loss


def save_tuned(model: Any, tuned: Path, out: Path) -> None:
    """Write the model as what it came as, an adapter or a checkpoint, in its own precision.

    Raises:
        RunError: It cannot be written.
    """
    import torch

    kept = (CONFIG,) if is_adapter(tuned) else ("config.json", "generation_config.json")
    weights = tuple(p.name for p in tuned.glob("*.safetensors*"))
    copy_beside(tuned, out, skip=(FILE, *kept, *weights))
    if not is_adapter(tuned):
        source = open_checkpoint(tuned)
        own = source.get(source.names[0]).dtype
        model = model.to(own) if own in (torch.float16, torch.bfloat16) else model
    try:
        model.save_pretrained(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)
