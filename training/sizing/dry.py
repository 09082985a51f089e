"""Checks a GRPO training without weights, GPU or network: sizes, memory, steps, data and one prompt."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from reasoner.coordinates import Sizing
from reasoner.model_files import read_json
from reasoner.profiles import NANO, Profile, profile_for, profile_named
from training import DatasetError, RecipeError
from training.data import Example, Reading
from training.rl import Batches, GrpoRecipe, LoraRecipe, with_lora
from training.sizing.architectures import Dims, build_on_meta, config_file, count_parameters, dims_of
from training.sizing.dry_report import DryRunReport, FirstPrompt
from training.sizing.footprint import Load, estimate_footprint
from training.sizing.prompt_text import prompt_text, text_tokens


@dataclass(frozen=True, slots=True)
class DryRunRequest:
    """What a recipe gives to be checked, as plain values."""

    model: str
    """Checkpoint the recipe starts from."""
    reading: Reading
    """Its questions."""
    batches: Batches
    """How completions share out."""
    architecture: str | None = None
    """Shipped architecture or folder built in the checkpoint's stead."""
    lora: LoraRecipe | None = None
    """Low-rank matrices; None trains every weight."""
    profile: str | None = None
    """How the model is asked; None chooses by name and architecture."""
    epochs: float | None = 1.0
    """Passes over the questions."""
    max_steps: int | None = None
    """Optimiser steps at most."""
    max_completion: int = 1024
    """Longest completion, tokens."""
    max_pixels: int = 802_816
    """Largest image after resizing, pixels."""
    bf16: bool = True
    """Compute in bfloat16."""
    beta: float = 0.0
    """Weight of the divergence from the starting model."""


@dataclass(frozen=True, slots=True)
class _ModelSizes:
    """What was learnt from the model on the meta device."""

    dims: Dims
    """The sizes memory depends on."""
    parameters: int
    """Numbers in all of its own weights."""
    trainable: int
    """Numbers that are trained."""


def request_of(recipe: GrpoRecipe, reading: Reading) -> DryRunRequest:
    """Ask for a recipe to be checked on its questions."""
    return DryRunRequest(
        model=recipe.model,
        reading=reading,
        batches=recipe.batches,
        architecture=recipe.architecture,
        lora=recipe.lora,
        profile=recipe.profile,
        epochs=recipe.epochs,
        max_steps=recipe.max_steps,
        max_completion=recipe.max_completion,
        max_pixels=recipe.max_pixels,
        bf16=recipe.bf16,
        beta=recipe.beta,
    )


def dry_run(request: DryRunRequest) -> DryRunReport:
    """Build the model on the meta device and say what the training would take.

    Raises:
        RecipeError: the model cannot be built, or batches, layers or questions do not fit together.
        DatasetError: the first image cannot be read.
        ModelError: the model's conventions are not known.
    """
    examples = request.reading.examples
    if not examples:
        raise RecipeError(_no_examples(request.reading))
    steps = request.batches.steps(len(examples), epochs=request.epochs, max_steps=request.max_steps)
    _check_pixels(examples[0])
    sizes = _sizes(request)
    profile = conventions(request.model, architecture=request.architecture, profile=request.profile)
    sizing = _sizing(profile, sizes.dims, request.max_pixels)
    longest = _longest(examples, profile, sizing)
    return DryRunReport(
        model=request.model,
        profile=profile.name,
        parameters=sizes.parameters,
        trainable=sizes.trainable,
        footprint=estimate_footprint(
            sizes.dims, _load(request, sizes, longest=longest, exact=profile.name == NANO.name)
        ),
        image_tokens=longest[0],
        prompt_tokens=longest[1],
        batches=request.batches,
        steps=steps,
        examples=len(examples),
        problems=request.reading.counts,
        prompt=_first(examples[0], profile, sizing),
    )


def conventions(model: str, *, architecture: str | None, profile: str | None) -> Profile:
    """How a model is asked and read, found without its weights.

    Args:
        model: as the recipe names it.
        architecture: the substitute for it if it is not available.
        profile: the profile the recipe asks for; None chooses by the configuration.

    Raises:
        ModelError: there is no such profile, or none for this architecture.
        RecipeError: neither the model nor the architecture has a configuration here.
    """
    if profile is not None:
        return profile_named(profile)
    file = config_file(architecture or model)
    args = file.parent / "args.json"
    return profile_for(model, read_json(file), args=read_json(args) if args.is_file() else None)


def _sizes(request: DryRunRequest) -> _ModelSizes:
    model = build_on_meta(request.architecture or request.model)
    dims, own = dims_of(model.config), count_parameters(model)
    if request.lora is None:
        return _ModelSizes(dims, own, own)
    wrapped = with_lora(model, request.lora, init=False)
    return _ModelSizes(dims, own, count_parameters(wrapped, trainable=True))


def _sizing(profile: Profile, dims: Dims, max_pixels: int) -> Sizing:
    """The profile's resizing with the recipe's limit, on the model's own grid of image tokens.

    Raises:
        RecipeError: the limit is below the smallest image the profile allows.
    """
    minimum = profile.sizing.min_pixels
    if max_pixels < minimum:
        raise RecipeError(f"max_pixels {max_pixels}: profile {profile.name} makes no image below {minimum}")
    most = min(profile.sizing.max_pixels, max_pixels)
    return dataclasses.replace(profile.sizing, multiple=dims.token_px, max_pixels=most)


def _image_tokens(sizing: Sizing, size: tuple[int, int]) -> int:
    width, height = sizing.resized(size[1], size[0])
    return (width // sizing.multiple) * (height // sizing.multiple)


def _longest(examples: Sequence[Example], profile: Profile, sizing: Sizing) -> tuple[int, int]:
    """Tokens of the largest image, and of the longest prompt with such an image."""
    image = max(_image_tokens(sizing, size) for size in {each.size for each in examples})
    return image, image + max(text_tokens(profile, query) for query in {each.query for each in examples})


def _load(request: DryRunRequest, sizes: _ModelSizes, *, longest: tuple[int, int], exact: bool) -> Load:
    """What one GPU is given, by the trainer's own choices.

    The trainer keeps weights as they were saved beside low-rank matrices, in float32 where they are trained
    themselves, and computes the layers of all but the embedded model again on the way back.
    """
    batches, lora = request.batches, request.lora is not None
    bf16 = request.bf16 and lora and not exact
    return Load(
        parameters=sizes.parameters,
        trainable=sizes.trainable,
        micro_batch=batches.per_device_batch,
        sampled=batches.per_device_batch * batches.slices,
        image_tokens=longest[0],
        prompt_tokens=longest[1],
        completion_tokens=request.max_completion,
        lora=lora,
        bf16=bf16,
        trained_size=4,
        checkpointing=not exact,
        reference=request.beta > 0 and not lora,
        workers=batches.workers,
    )


def _first(example: Example, profile: Profile, sizing: Sizing) -> FirstPrompt:
    return FirstPrompt(
        id=example.id,
        text=prompt_text(profile, example.query),
        size=example.size,
        resized=sizing.resized(example.size[1], example.size[0])[::-1],
        boxes=tuple(tuple(box) for box in example.boxes.tolist()),
        answer=example.text,
    )


def _check_pixels(example: Example) -> None:
    try:
        pixels = example.picture.pixels()
    except (OSError, ValueError) as error:
        raise DatasetError(f"{example.source} {example.id}: its image cannot be read: {error}") from error
    if pixels.shape[:2] != example.size:
        raise DatasetError(
            f"{example.source} {example.id}: its image has {pixels.shape[:2]} rows and columns, "
            f"not {example.size}"
        )


def _no_examples(reading: Reading) -> str:
    met = ", ".join(f"{what} ({count})" for what, count in reading.counts.items())
    return f"data: no question can be used{f'; left out: {met}' if met else ''}"
