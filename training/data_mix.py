"""Puts together the tiles a recipe trains on and those it is only checked on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from training.data import NAMES, Mixture, PracticeTiles, TileSource, TrainingTile
from training.errors import RecipeError
from training.labels import (
    SHIPPED_DATASETS,
    LabelledDataset,
    LabelledImage,
    random_labelled_tile,
    read_dataset_list,
    read_labelled_dataset,
    split,
)
from training.scenery import PoolRecipe, draw_pool

NUMBERS = {name: number for number, name in enumerate(NAMES)}
CHECK_SCENES = 4
"""So many of a pool's last scenes are kept for checking."""


@dataclass(frozen=True, slots=True)
class LabelledDataRecipe:
    """Labelled photographs to train on beside the practice scenes."""

    root: str
    """Folder that the datasets' paths start from."""
    sets: str = ""
    """YAML file that names the datasets; empty for the one shipped with the recipes."""
    share: float = 0.4
    """Share of the tiles that come from them."""
    aimed: float = 0.4
    """Share of a dataset's tiles laid over one of its objects; the rest lie anywhere. With too many of them
    a model learns that what it is asked for is always there."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How often each dataset is drawn from, 1 where not named; 0 leaves it out."""
    outlined: bool = False
    """Only the datasets whose objects have outlines, as a segmenter needs."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise RecipeError(f"real.share {self.share}: must be above 0 and at most 1")
        if not 0 <= self.aimed <= 1:
            raise RecipeError(f"real.aimed {self.aimed}: must be from 0 to 1")


@dataclass(frozen=True, slots=True)
class LabelledTiles:
    """Tiles of one labelled dataset."""

    images: Sequence[LabelledImage]
    """Each is as likely as the next."""
    scale: float
    """Tile pixels per image pixel."""
    tile_px: int
    """Side of a tile, pixels."""
    aimed: float = 0.0
    """Share of the tiles laid over a labelled object, so that sparse images train not only empty answers."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Give a tile from a random place, scale and turn of a random image."""
        aims = rng.random() < self.aimed
        image = self._image(rng, filled=aims)
        around = image.boxes[rng.integers(len(image.boxes))] if aims and len(image.boxes) else None
        tile = random_labelled_tile(
            image, rng, scale=self.scale, tile_px=self.tile_px, numbers=NUMBERS, around=around
        )
        known = tuple(NUMBERS[name] for name in (*image.complete, *image.absent) if name in NUMBERS)
        outlined = all(outline is not None for outline in image.outlines)
        return replace(tile, known=known, outlined=outlined)

    def _image(self, rng: np.random.Generator, *, filled: bool) -> LabelledImage:
        """Choose an image; where a filled one is wanted, the more objects it has the likelier."""
        counts = np.array([len(image.boxes) if filled else 1 for image in self.images], float)
        if not counts.sum():
            counts[:] = 1
        return self.images[int(rng.choice(len(counts), p=counts / counts.sum()))]


@dataclass(frozen=True, slots=True)
class DataMix:
    """Tiles to train on, and tiles that are only checked."""

    train: TileSource
    """Tiles to train on."""
    check: Mapping[str, TileSource]
    """Tiles of other ground, by the name of their source."""


def check_pool(pool: PoolRecipe) -> None:
    """Refuse a pool that leaves nothing to train on.

    Raises:
        RecipeError: it is too small to keep scenes for checking.
    """
    if pool.scenes <= CHECK_SCENES:
        raise RecipeError(f"pool.scenes {pool.scenes}: give more than the {CHECK_SCENES} kept for checking")


def load_training_data(
    pool: PoolRecipe, labelled: LabelledDataRecipe | None, *, tile_px: int, workers: int
) -> DataMix:
    """Draw or map the practice scenes and read the labelled images.

    Raises:
        DatasetError: a labelled dataset is not where or what the recipe says.
        RecipeError: the list of datasets cannot be read, or the pool is too small to keep scenes apart.
    """
    check_pool(pool)
    scenes = draw_pool(pool, workers=workers)
    practice = PracticeTiles(scenes[:-CHECK_SCENES], tile_px)
    check: dict[str, TileSource] = {"practice": PracticeTiles(scenes[-CHECK_SCENES:], tile_px)}
    if labelled is None:
        return DataMix(practice, check)
    train: list[tuple[float, TileSource]] = []
    for each in chosen_datasets(labelled):
        seen, held = _images(each)
        train.append(
            (labelled.weights.get(each.name, 1.0), LabelledTiles(seen, each.scale, tile_px, labelled.aimed))
        )
        check[each.name] = LabelledTiles(held, each.scale, tile_px, labelled.aimed)
    if not train:
        raise RecipeError("real: no set is left to train on: give one a weight above 0")
    mixed = Mixture(((1 - labelled.share, practice), (labelled.share, Mixture(tuple(train)))))
    return DataMix(mixed, check)


def held_out_tiles(pool: PoolRecipe, labelled: LabelledDataRecipe | None, *, tile_px: int) -> TileSource:
    """Tiles to score models on: a pool nobody trained on, and the validation part of the labelled images.

    Raises:
        DatasetError: a labelled dataset is not where or what the recipe says.
        RecipeError: the list of datasets cannot be read.
    """
    practice = PracticeTiles(draw_pool(pool, workers=1), tile_px)
    if labelled is None:
        return practice
    parts = [
        (
            labelled.weights.get(each.name, 1.0),
            LabelledTiles(_images(each)[1], each.scale, tile_px, labelled.aimed),
        )
        for each in chosen_datasets(labelled)
    ]
    return Mixture(((1 - labelled.share, practice), (labelled.share, Mixture(tuple(parts)))))


def chosen_datasets(labelled: LabelledDataRecipe) -> list[LabelledDataset]:
    """Labelled datasets that the recipe draws from.

    Raises:
        RecipeError: the file cannot be read, or a weight names none of them.
    """
    sets = read_dataset_list(
        Path(labelled.sets) if labelled.sets else SHIPPED_DATASETS, root=Path(labelled.root)
    )
    names = [each.name for each in sets]
    unknown = sorted(set(labelled.weights) - set(names))
    if unknown:
        raise RecipeError(f"real.weights: no set {unknown[0]}, there are {', '.join(names)}")
    kept = [each for each in sets if labelled.weights.get(each.name, 1.0) > 0]
    return [each for each in kept if not labelled.outlined or each.format in OUTLINED]


OUTLINED = ("coco", "polygons", "raster_mask")
"""Formats whose objects have outlines."""


def _images(labelled: LabelledDataset) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Images to train on and to check on, without those whose labels miss objects."""
    parts = split(read_labelled_dataset(labelled).images)
    seen, held = ([one for one in part if one.complete] for part in parts)
    return seen, held
