"""Makes a trained folder small enough to ship: weights in half precision, nothing else changed."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def halve(folder: Path) -> None:
    """Rewrite a folder's model.safetensors in float16; the loaders compute in float32 all the same.

    Args:
        folder: A folder that a trainer left.
    """
    path = folder / "model.safetensors"
    with safe_open(path, framework="pt") as stored:
        metadata = stored.metadata()
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a mapping
    halved = {
        name: value.to(torch.float16) if value.is_floating_point() else value
        for name, value in weights.items()
    }
    save_file(halved, path, metadata=metadata)
