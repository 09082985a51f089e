"""The recipe of a GRPO training: every choice a user makes, checked on construction."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from reasoner.errors import ModelError
from reasoner.profiles import profile_named
from training import LabelledDataRecipe, RecipeError
from training.data import QuestionMix
from training.rl.batches import Batches, check_group, slice_size
from training.scenery import PoolRecipe

REWARD_PARTS = ("format", "location", "quantity", "accuracy", "repetition", "mask", "text")
"""Names of the parts a composite reward may weigh."""

_STRICT: Mapping[str, str] = {"extra": "forbid"}
"""Read by pydantic where a recipe comes from a file: unknown keys are refused at every depth."""


@dataclass(frozen=True, slots=True)
class LoraRecipe:
    """Low-rank matrices beside frozen weights."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    r: int = 8
    """Rank, at least 1."""
    alpha: float = 16.0
    """The product of the two matrices counts alpha / r."""
    dropout: float = 0.0
    """Share of their input dropped while training, [0, 1)."""
    targets: tuple[str, ...] = (
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    )
    """Last names of the linear layers that get matrices."""
    vision: bool = False
    """Layers of the vision tower with these names get them too; without it the tower stays frozen."""

    def __post_init__(self) -> None:
        _at_least("lora.r", self.r, 1)
        _above("lora.alpha", self.alpha, 0)
        _share("lora.dropout", self.dropout)
        if not self.targets or not all(name.isidentifier() for name in self.targets):
            raise RecipeError(f"lora.targets {list(self.targets)}: name at least one linear layer, as q_proj")


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Where the questions come from."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    format: Literal["practice", "earthreason", "rrsisd", "refsegrs", "risbench", "real"] = "practice"
    """Layout of the data."""
    root: str = ""
    """Folder that holds it; empty where the layout needs none."""
    split: str = "train"
    """Part of it to learn from."""
    tiles: int | None = None
    """Tiles cut, for layouts of whole scenes; None takes the layout's own number."""
    limit: int | None = None
    """Most examples taken; None takes all."""
    phrasing: Literal["ask", "spare"] = "ask"
    """Wording of practice questions."""

    def __post_init__(self) -> None:
        for name in ("tiles", "limit"):
            value = getattr(self, name)
            if value is not None:
                _at_least(f"data.{name}", value, 1)


@dataclass(frozen=True, slots=True)
class TileRecipe:
    """Questions about random tiles of practice scenes and labelled photographs."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    count: int
    """How many questions, each about a tile of its own."""
    questions: QuestionMix = field(default_factory=QuestionMix)
    """Which forms of question."""
    pool: PoolRecipe = field(default_factory=PoolRecipe)
    """The practice scenes."""
    real: LabelledDataRecipe | None = None
    """Labelled photographs beside them."""

    def __post_init__(self) -> None:
        _at_least("tiles.count", self.count, 1)


@dataclass(frozen=True, slots=True)
class GrpoRecipe:
    """How a reasoner is trained by reward alone."""

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    model: str
    """Checkpoint to start from: nano, a folder or a hub id."""
    data: DataRecipe | None = None
    """The questions, of a dataset on disk."""
    tiles: TileRecipe | None = None
    """The questions, of random tiles, in place of `data`."""
    architecture: str | None = None
    """Shipped architecture that a dry run builds where the checkpoint is not at hand."""
    profile: str | None = None
    """How the model is asked and read; None chooses by the checkpoint."""
    lora: LoraRecipe | None = None
    """Low-rank training; None trains every weight."""
    seed: int = 0
    """Seed of sampling and of the order of questions."""
    workers: int = 1
    """Processes, one GPU each where there are GPUs."""
    group: int = 4
    """Completions of one question whose rewards are compared, at least 2."""
    prompts_per_step: int = 1
    """Questions a worker takes in one optimiser step."""
    grad_accum: int = 1
    """Slices in which a worker's completions of one step go through the model, to save memory."""
    epochs: float | None = None
    """Passes over the questions; with max_steps too, what is reached first ends the training."""
    max_steps: int | None = None
    """Optimiser steps at most."""
    temperature: float = 0.9
    """Of sampling, above 0."""
    top_p: float = 1.0
    """Probability mass sampled from, (0, 1]."""
    max_completion: int = 1024
    """Longest completion, tokens."""
    max_pixels: int = 802_816
    """Largest image after resizing, pixels."""
    lr: float = 1e-6
    """Peak learning rate."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """How the rate goes after the warm-up; linear and cosine end at zero."""
    warmup: float = 0.0
    """Share of all steps over which the rate rises from zero, [0, 1)."""
    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo"] = "dapo"
    """How token losses are averaged."""
    importance_sampling_level: Literal["token", "sequence"] = "token"
    """Unit of the importance ratio; `sequence` is GSPO."""
    beta: float = 0.0
    """Weight of the divergence from the starting model; above 0 that model is kept beside."""
    epsilon: float = 0.2
    """How far the importance ratio may fall below 1."""
    epsilon_high: float | None = None
    """How far it may rise above 1; None takes epsilon."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Over what the spread is taken that advantages are divided by."""
    weights: Mapping[str, float] = field(default_factory=lambda: {"format": 1.0, "location": 1.0})
    """Weight of each reward part; a part not named counts nothing."""
    segmenter: str = "nano"
    """What makes the masks that the mask reward compares; loaded only where that part has a weight."""
    bf16: bool = True
    """Compute in bfloat16."""
    save_every: int = 100
    """Steps between checkpoints."""
    keep: int = 2
    """Checkpoints kept, the newest ones."""

    def __post_init__(self) -> None:
        _check_counts(self)
        _check_rates(self)
        check_group(self.group)
        _ = self.batches
        _check_weights(self.weights)
        if (self.data is None) == (self.tiles is None):
            raise RecipeError("give data, a dataset on disk, or tiles, random tiles: one of the two")
        if not self.model:
            raise RecipeError("model is empty: give nano, a folder or a hub id")
        if self.profile is not None:
            _check_profile(self.profile)

    @property
    def batches(self) -> Batches:
        """How completions share out; TRL's `num_generations`, `per_device_train_batch_size` and the rest."""
        size = slice_size(self.group * self.prompts_per_step, self.grad_accum)
        return Batches(self.group, size, workers=self.workers, grad_accum=self.grad_accum)

    def steps(self, examples: int) -> int:
        """Optimiser steps over that many questions.

        Raises:
            RecipeError: there are fewer questions than one step takes.
        """
        return self.batches.steps(examples, epochs=self.epochs, max_steps=self.max_steps)


def _check_counts(recipe: GrpoRecipe) -> None:
    for name in ("workers", "prompts_per_step", "grad_accum", "max_completion", "save_every", "keep"):
        _at_least(name, getattr(recipe, name), 1)
    _at_least("seed", recipe.seed, 0)
    _at_least("max_pixels", recipe.max_pixels, 28 * 28)
    if recipe.epochs is None and recipe.max_steps is None:
        raise RecipeError("give epochs, max_steps or both: nothing says when the training ends")
    if recipe.max_steps is not None:
        _at_least("max_steps", recipe.max_steps, 1)
    if recipe.epochs is not None:
        _above("epochs", recipe.epochs, 0)


def _check_rates(recipe: GrpoRecipe) -> None:
    for name in ("temperature", "lr", "top_p", "epsilon"):
        _above(name, getattr(recipe, name), 0)
    _at_least("beta", recipe.beta, 0)
    _share("warmup", recipe.warmup)
    if recipe.top_p > 1:
        raise RecipeError(f"top_p {recipe.top_p}: a share of probability, at most 1")
    if recipe.epsilon_high is not None:
        _above("epsilon_high", recipe.epsilon_high, 0)


def _check_weights(weights: Mapping[str, float]) -> None:
    for part, weight in weights.items():
        if part not in REWARD_PARTS:
            raise RecipeError(f"weights.{part}: no such reward part, use {', '.join(REWARD_PARTS)}")
        _at_least(f"weights.{part}", weight, 0)
    if not any(weights.values()):
        raise RecipeError("weights: at least one reward part must weigh more than 0")


def _check_profile(name: str) -> None:
    try:
        profile_named(name)
    except ModelError as error:
        raise RecipeError(f"profile: {error}") from error


def _at_least(name: str, value: float, minimum: float) -> None:
    if not (value >= minimum and math.isfinite(value)):
        raise RecipeError(f"{name} {value}: must be at least {minimum}")


def _above(name: str, value: float, bound: float) -> None:
    if not (value > bound and math.isfinite(value)):
        raise RecipeError(f"{name} {value}: must be above {bound}")


def _share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise RecipeError(f"{name} {value}: must be at least 0 and below 1")
