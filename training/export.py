"""Write the trained weights as the shipped safetensors files (int8 rows with scales).

`python -m training.export --minilm FOLDER --work FOLDER`
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from holdfast.judges.embedded.weights import quantised
from training.encoder import Vocabulary

OUT = Path(__file__).parents[1] / "src/holdfast/judges/embedded/data"
_PARTS = {
    "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
    "attention.output.dense": "mix", "attention.output.LayerNorm": "norm1",
    "intermediate.dense": "up", "output.dense": "down", "output.LayerNorm": "norm2",
}  # fmt: skip


def encoder_tensors(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Our names for the tensors of the fine-tuned model."""
    plain = {name.removeprefix("bert."): value.float().numpy() for name, value in state.items()}
    found = {
        "words": plain["embeddings.word_embeddings.weight"],
        "positions": plain["embeddings.position_embeddings.weight"][:192],
        "type": plain["embeddings.token_type_embeddings.weight"][0],
        "embedding.norm.weight": plain["embeddings.LayerNorm.weight"],
        "embedding.norm.bias": plain["embeddings.LayerNorm.bias"],
        **{f"{a}.{b}": plain[f"{a}.{b}"] for a in ("hidden", "out") for b in ("weight", "bias")},
    }
    for name, value in plain.items():
        if name.startswith("encoder.layer."):
            number, part = name.removeprefix("encoder.layer.").split(".", 1)
            part, kind = part.rsplit(".", 1)
            found[f"layer.{number}.{_PARTS[part]}.{kind}"] = value
    return found


def student_tensors(state: dict[str, torch.Tensor]) -> dict[str, np.ndarray[Any, Any]]:
    """Our names for the tensors of the fast classifier."""
    plain = {name: value.float().numpy() for name, value in state.items()}
    for name in ("learned", "pairs"):
        plain[name] = plain.pop(f"{name}.weight")
    return plain


def packed(tensors: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    """Matrices as int8 rows with scales, vectors as float32."""
    out: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in tensors.items():
        if value.ndim == 2 and value.size > 4096:
            out[name], out[f"{name}.scale"] = quantised(np.ascontiguousarray(value, np.float32))
        else:
            out[name] = np.ascontiguousarray(value, np.float32)
    return out


def main() -> None:
    """Export vocabulary, encoder and, once trained, the fast classifier."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    names = "\n".join(Vocabulary(options.minilm).names).encode()
    save_file({"pieces": np.frombuffer(names, np.uint8)}, OUT / "vocabulary.safetensors")
    state = torch.load(options.work / "encoder.pt", weights_only=True)["model"]
    save_file(packed(encoder_tensors(state)), OUT / "encoder.safetensors")
    if (options.work / "student.pt").exists():
        student = torch.load(options.work / "student.pt", weights_only=True)
        save_file(packed(student_tensors(student)), OUT / "fast.safetensors")
    for path in sorted(OUT.glob("*.safetensors")):
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
