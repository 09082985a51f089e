"""What each training worker runs: recipe fields in, a model folder out.

A configuration is plain values: `fields` of the recipe, and `max_steps` where a shorter run is wanted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from training.data import Example, Reading, tile_examples
from training.data_mix import DataMix, load_training_data
from training.errors import RecipeError
from training.evaluation import DataChoice, DataFormat, Protocol, read_data
from training.launching import Stage, Worker, World
from training.recipe_yaml import Fields, TileTraining, grpo_of, segmenter_of, sft_of
from training.rl import GrpoRecipe, TrainerHooks, train_grpo
from training.sft import NanoStage, SegmenterRecipe, SegmenterStage, SftRecipe
from training.sizing import conventions

Config = Mapping[str, object]
"""`fields` and `max_steps`."""


def config_of(fields: Fields, *, max_steps: int | None) -> dict[str, object]:
    """Configuration of a loop.

    Raises:
        RecipeError: the number of steps is below 1.
    """
    if max_steps is not None and max_steps < 1:
        raise RecipeError(f"max_steps is {max_steps}: give at least 1")
    return {"fields": dict(fields), "max_steps": max_steps}


def sft_training(config: Config) -> TileTraining[SftRecipe]:
    """Recipe of a supervised training, shortened as the configuration says."""
    training, most = sft_of(_fields(config)), _most(config)
    if most is None:
        return training
    dense = min(training.recipe.dense_steps, most)
    steps = min(training.recipe.steps, most - dense)
    return replace(training, recipe=replace(training.recipe, dense_steps=dense, steps=steps))


def segmenter_training(config: Config) -> TileTraining[SegmenterRecipe]:
    """Recipe of a segmenter's training, shortened as the configuration says."""
    training, most = segmenter_of(_fields(config)), _most(config)
    if most is None:
        return training
    return replace(training, recipe=replace(training.recipe, steps=min(training.recipe.steps, most)))


def grpo_training(config: Config) -> GrpoRecipe:
    """Recipe of a policy optimisation, shortened as the configuration says."""
    recipe, most = grpo_of(_fields(config)), _most(config)
    if most is None:
        return recipe
    return replace(recipe, max_steps=most if recipe.max_steps is None else min(most, recipe.max_steps))


def sft_stage(config: Config, world: World) -> Stage:
    """Build the reasoner's training for one worker."""
    training = sft_training(config)
    mix = _data_mix(training, training.recipe.shape.tile_px)
    return NanoStage(training.recipe, mix.train, checks=mix.check, world=world)


def segmenter_stage(config: Config, world: World) -> Stage:
    """Build the segmenter's training for one worker."""
    training = segmenter_training(config)
    mix = _data_mix(training, training.recipe.sam.image_size)
    return SegmenterStage(training.recipe, mix.train, checks=mix.check, world=world)


@dataclass(frozen=True, slots=True)
class GrpoLoop:
    """Policy optimisation of one worker."""

    parts: Callable[[GrpoRecipe], TrainerHooks]
    """Gives what the surroundings lend the training; called in the worker."""

    def __call__(self, worker: Worker, config: Config) -> None:
        """Take the steps that are not done yet."""
        recipe = grpo_training(config)
        train_grpo(recipe, examples_for(recipe), worker=worker, parts=self.parts(recipe))


def examples_for(recipe: GrpoRecipe) -> Sequence[Example]:
    """Questions a policy optimisation learns from.

    Raises:
        DatasetError: the data is not laid out as the recipe says.
        RecipeError: nothing can be asked.
    """
    if recipe.tiles is not None:
        tiles = recipe.tiles
        mix = load_training_data(tiles.pool, tiles.real, tile_px=_tile_px(recipe), workers=1)
        return tile_examples(mix.train, tiles.questions, count=tiles.count, seed=recipe.seed, name="tiles")
    return reading_for(recipe).examples


def reading_for(recipe: GrpoRecipe) -> Reading:
    """Read the dataset on disk that a recipe names."""
    data = recipe.data
    assert data is not None
    choice = DataChoice(
        Path(data.root),
        DataFormat(data.format),
        split=data.split,
        limit=data.limit,
        seed=recipe.seed,
        held_out=data.phrasing == "spare",
        tiles=data.tiles,
    )
    return read_data(choice, protocol=Protocol.SEGEARTH, tile_px=_tile_px(recipe))


def _data_mix(training: TileTraining[SftRecipe] | TileTraining[SegmenterRecipe], tile_px: int) -> DataMix:
    torch.set_num_threads(training.threads)
    return load_training_data(training.pool, training.real, tile_px=tile_px, workers=1)


def _tile_px(recipe: GrpoRecipe) -> int:
    return conventions(recipe.model, architecture=recipe.architecture, profile=recipe.profile).tile_px


def _fields(config: Config) -> Fields:
    fields = config["fields"]
    assert isinstance(fields, Mapping)
    return fields


def _most(config: Config) -> int | None:
    most = config.get("max_steps")
    assert most is None or isinstance(most, int)
    return most
