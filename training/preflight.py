"""Refuses, before anything is started or written, what a training would only meet on its way.

Reads recipes, labels and starting models.
"""

from reasoner.engines.nano_sam import SamConfig, read_config
from reasoner.loading import check_model
from reasoner.model_files import Role, find_model
from training.data_mix import LabelledDataRecipe, check_pool, chosen_datasets
from training.errors import RecipeError
from training.labels import read_labelled_dataset
from training.recipe_yaml import TileTraining
from training.rl import GrpoRecipe
from training.scenery import PoolRecipe
from training.sft import SegmenterRecipe, SftRecipe, open_nano
from training.sizing import conventions
from training.trainers import reading_for


def check_sft(training: TileTraining[SftRecipe], *, workers: int) -> None:
    """Check what a supervised training needs.

    Raises:
        DatasetError: a labelled dataset is not where or what the recipe says.
        ModelError: there is no model to start from.
        RecipeError: the workers cannot share a batch, or the start is of another architecture.
    """
    _check_shares(training.recipe.batch, workers)
    _check_tiles(training.pool, training.real)
    if training.recipe.start:
        open_nano(training.recipe.start, [], shape=training.recipe.shape)


def check_segmenter(training: TileTraining[SegmenterRecipe], *, workers: int) -> None:
    """Check what a segmenter's training needs.

    Raises:
        DatasetError: a labelled dataset is not where or what the recipe says.
        ModelError: there is no segmenter to start from.
        RecipeError: the workers cannot share a batch, or the start has other sizes.
    """
    _check_shares(training.recipe.batch, workers)
    _check_tiles(training.pool, training.real)
    if training.recipe.start:
        _check_start(training.recipe.start, training.recipe.sam)


def check_grpo(recipe: GrpoRecipe) -> None:
    """Check what a policy optimisation needs.

    Raises:
        DatasetError: the data is not where or what the recipe says.
        ModelError: there is no such model.
        RecipeError: the questions are too few, or the model's conventions are not known.
    """
    check_model(recipe.model)
    if recipe.weights.get("mask"):
        check_model(recipe.segmenter, role=Role.SEGMENTER)
    conventions(recipe.model, architecture=recipe.architecture, profile=recipe.profile)
    if recipe.tiles is None:
        recipe.steps(len(reading_for(recipe).examples))
        return
    recipe.steps(recipe.tiles.count)
    _check_tiles(recipe.tiles.pool, recipe.tiles.real)


def _check_shares(batch: int, workers: int) -> None:
    if workers < 1 or batch % workers:
        raise RecipeError(f"a batch of {batch} cannot be shared evenly by {workers} workers: change one")


def _check_tiles(pool: PoolRecipe, real: LabelledDataRecipe | None) -> None:
    check_pool(pool)
    for each in chosen_datasets(real) if real is not None else ():
        read_labelled_dataset(each)


def _check_start(name: str, wanted: SamConfig) -> None:
    has = read_config(find_model(name, Role.SEGMENTER))
    for part in ("image_size", "encoder", "decoder"):
        there, asked = getattr(has, part), getattr(wanted, part)
        if there != asked:
            raise RecipeError(f"start: {name} has {part} {there}, the recipe's sam asks for {asked}")
