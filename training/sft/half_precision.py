"""Makes a trained folder small enough to ship: weights in half precision, nothing else changed."""

import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from training import DatasetError

WEIGHTS = "model.safetensors"


def save_half_precision(checkpoint: Path, out: Path) -> None:
    """Copy a model folder with its weights in float16; the loaders compute in float32 all the same.

    Args:
        checkpoint: A folder that a trainer left.
        out: Folder of the copy; files of the same names are replaced.

    Raises:
        DatasetError: The checkpoint holds no model.safetensors.
    """
    source = checkpoint / WEIGHTS
    if not source.is_file():
        raise DatasetError(f"{checkpoint} holds no {WEIGHTS}: give a model folder that a training left")
    shutil.copytree(checkpoint, out, dirs_exist_ok=True)
    with safe_open(source, framework="pt") as stored:
        metadata = stored.metadata()
        weights = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  not a mapping
    halved = {
        name: value.to(torch.float16) if value.is_floating_point() else value
        for name, value in weights.items()
    }
    save_file(halved, out / WEIGHTS, metadata=metadata)
