"""Steps of policy optimisation of a 7B reasoner with random weights on a GPU, for the benchmark `training`.

A small tokenizer of its own replaces the released one; the sizes of model, image and completion are real.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from benchmarks.generating import PolicyStep, Stopwatch
from reasoner.engines.transformers_engine import fit_processor
from reasoner.model_files import read_json
from reasoner.profiles import profile_named
from reasoner.query import Query
from training.data.examples import ArrayImage, Example
from training.recipe_yaml import grpo_of, read_fields
from training.rl.grpo import Policy, build_trainer
from training.rl.grpo_recipe import GrpoRecipe
from training.rl.lora import with_lora
from training.sft.nano import BOS, EOS, IMAGE, PAD, TEMPLATE, VIDEO, VISION_START, build_tokenizer, token_id
from training.sft.sequences import all_texts
from training.sizing.architectures import config_file

RECIPE = Path(__file__).parents[1] / "training" / "recipes" / "remotereasoner-7b-grpo.yaml"
SIDE_PX = 896
"""Side of the images, pixels."""
LONGEST = 256
"""Tokens of a completion: random weights never end one."""


def large_steps(count: int) -> tuple[list[PolicyStep], int]:
    """Run steps of the reference recipe with one worker; returns the steps and the peak memory, bytes."""
    fields = {**read_fields(RECIPE), "workers": 1, "max_completion": LONGEST, "save_every": 10**9}
    recipe = grpo_of({**fields, "max_steps": count, "epochs": None})
    torch.cuda.reset_peak_memory_stats()
    steps = taken(recipe, random_policy(recipe, config_of(recipe), device="cuda"), side_px=SIDE_PX)
    return steps, torch.cuda.max_memory_allocated()


def config_of(recipe: GrpoRecipe) -> Any:
    """Configuration of the recipe's architecture."""
    fields = dict(read_json(config_file(recipe.architecture or recipe.model)))
    return AutoConfig.for_model(str(fields.pop("model_type")), **fields)


def random_policy(recipe: GrpoRecipe, config: Any, *, device: str) -> Policy:
    """A policy with random weights in bfloat16, made on the device, and a processor that fits it."""
    profile = profile_named(recipe.profile or "remotereasoner")
    processor = _processor(config)
    words = processor.tokenizer
    for name, mark in (("image", IMAGE), ("video", VIDEO), ("vision_start", VISION_START)):
        setattr(config, f"{name}_token_id", token_id(words, mark))
    with torch.device(device):
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)  # type: ignore[no-untyped-call]
    for name, mark in (("pad", PAD), ("bos", BOS), ("eos", EOS)):
        setattr(model.generation_config, f"{name}_token_id", token_id(words, mark))
    sizing = fit_processor(processor, dataclasses.replace(profile.sizing, max_pixels=recipe.max_pixels))
    if recipe.lora is not None:
        model = with_lora(model, recipe.lora)
    return Policy(model, processor, dataclasses.replace(profile, sizing=sizing))


def taken(recipe: GrpoRecipe, policy: Policy, *, side_px: int) -> list[PolicyStep]:
    """Run the recipe's steps on images of noise, and return the timed ones."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="grpo-") as out:
        trainer = build_trainer(policy, recipe, _examples(16, side_px), out=Path(out))
        watch.watched(trainer).train()
    return watch.steps()


def _processor(config: Any) -> Any:
    vision = config.vision_config
    sizes = {
        "patch_size": vision.patch_size,
        "merge_size": vision.spatial_merge_size,
        "temporal_patch_size": 2,
    }
    return Qwen2_5_VLProcessor(  # type: ignore[no-untyped-call]
        image_processor=Qwen2VLImageProcessor(**sizes),
        tokenizer=build_tokenizer(all_texts(), tile_px=SIDE_PX),
        video_processor=Qwen2VLVideoProcessor(**sizes),
        chat_template=TEMPLATE,
    )


def _examples(count: int, side_px: int) -> list[Example]:
    rng = np.random.default_rng(0)
    return [
        Example(
            id=str(number),
            source="noise",
            place="nowhere",
            query=Query("Where are ships?"),
            size=(side_px, side_px),
            boxes=np.array([[0.0, 0.0, 64.0, 64.0]]),
            picture=ArrayImage(rng.integers(0, 255, (side_px, side_px, 3), dtype=np.uint8)),
        )
        for number in range(count)
    ]
