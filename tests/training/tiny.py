"""Recipes so small that a training of a few steps takes seconds, written where a test needs them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

POOL = {"scenes": 6, "size_px": 256, "seed": 3, "densities": [1.0], "empty_every": 12}
SFT: Mapping[str, Any] = {
    "batch": 4,
    "dense_steps": 2,
    "steps": 4,
    "lr": 1e-2,
    "bf16": False,
    "save_every": 3,
    "shape": {"tile_px": 64, "width": 48, "text_layers": 1, "vision_layers": 2, "heads": 2},
    "pool": POOL,
}
SEGMENTER: Mapping[str, Any] = {
    "batch": 2,
    "boxes": 2,
    "steps": 4,
    "bf16": False,
    "sam": {
        "image_size": 64,
        "encoder": {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1]},
    },
    "pool": POOL,
}
GRPO: Mapping[str, Any] = {
    "group": 2,
    "prompts_per_step": 1,
    "max_steps": 1,
    "temperature": 1.0,
    "lr": 1e-3,
    "bf16": False,
    "max_completion": 12,
    "weights": {"format": 1.0, "location": 1.0, "repetition": 1.0},
    "tiles": {"count": 4, "questions": {"shares": {"ask": 1.0}}, "pool": POOL},
}


def write_recipe(path: Path, fields: Mapping[str, object], **changed: object) -> Path:
    """Write a recipe file, some of its fields changed."""
    path.write_text(yaml.safe_dump({**fields, **changed}), "utf-8")
    return path
