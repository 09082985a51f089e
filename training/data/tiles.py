"""Training tiles: what is visible in each, and where they come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.data.classes import CATALOGUE, PRACTICE_CLASSES

T = TypeVar("T", bound=np.generic)
NAMES = tuple(each.name for each in CATALOGUE)
PRACTICE_NUMBERS = tuple(range(len(PRACTICE_CLASSES)))
MIN_PIECE_PX = 20


@dataclass(frozen=True, slots=True)
class SceneRaster:
    """A practice scene ready for cutting."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), red, green, blue."""
    labels: NDArray[np.int32]
    """(height, width) 1-based number of the object over each pixel, 0 for ground."""
    classes: NDArray[np.int16]
    """(n_objects + 1,) class number of each label; -1 for ground."""


@dataclass(frozen=True, slots=True)
class TrainingTile:
    """One tile and the pieces of objects visible in it, in reading order."""

    pixels: NDArray[np.uint8]
    """(tile, tile, 3), red, green, blue."""
    pieces: NDArray[np.int32]
    """(tile, tile) 1-based number of the piece over each pixel, 0 for ground."""
    classes: NDArray[np.int16]
    """(n,) class number of each piece."""
    boxes: NDArray[np.int32]
    """(n, 4) x0, y0, x1, y1 half-open tile pixels."""
    known: tuple[int, ...] = PRACTICE_NUMBERS
    """Numbers of the classes of which it is known whether they are here; only these may be asked for."""
    outlined: bool = True
    """The pieces are true outlines; else they are drawn from boxes."""


def cut(scene: SceneRaster, *, x0: int, y0: int, tile_px: int, turn: int = 0) -> TrainingTile:
    """Cut one tile; `turn` 0–7 picks one of the eight symmetries of the square."""
    area = np.s_[y0 : y0 + tile_px, x0 : x0 + tile_px]
    pixels, labels = _turned(scene.pixels[area], turn), _turned(scene.labels[area], turn)
    pieces, n = ndimage.label(labels > 0, structure=np.ones((3, 3), bool))
    found = ndimage.find_objects(pieces)
    keep: list[tuple[int, tuple[int, int, int, int], int]] = []
    for number in range(1, n + 1):
        rows, columns = found[number - 1]
        inside = pieces[rows, columns] == number
        if inside.sum() < MIN_PIECE_PX:
            continue
        class_number = int(scene.classes[np.bincount(labels[rows, columns][inside]).argmax()])
        keep.append((number, (columns.start, rows.start, columns.stop, rows.stop), class_number))
    keep.sort(key=lambda piece: reading_order(piece[1]))
    renumber = np.zeros(n + 1, np.int32)
    for place, (number, _, _) in enumerate(keep, start=1):
        renumber[number] = place
    return TrainingTile(
        np.ascontiguousarray(pixels),
        renumber[pieces],
        np.array([class_number for _, _, class_number in keep], np.int16),
        np.array([box for _, box, _ in keep], np.int32).reshape(-1, 4),
    )


def reading_order(box: Sequence[int]) -> tuple[int, int]:
    """Sort key of a box: rows of 16 pixels from the top, then from the left, by its centre."""
    return (box[1] + box[3]) // 32, box[0] + box[2]


def random_tile(scenes: Sequence[SceneRaster], rng: np.random.Generator, *, tile_px: int) -> TrainingTile:
    """Cut a tile at a random place of a random scene, turned at random, its light varied a little."""
    scene = scenes[int(rng.integers(len(scenes)))]
    height, width = scene.labels.shape
    x0, y0 = int(rng.integers(width - tile_px + 1)), int(rng.integers(height - tile_px + 1))
    tile = cut(scene, x0=x0, y0=y0, tile_px=tile_px, turn=int(rng.integers(8)))
    gain, lift = rng.normal(1, 0.06, 3), rng.normal(0, 6)
    pixels = np.clip(tile.pixels * gain + lift, 0, 255).astype(np.uint8)
    return TrainingTile(pixels, tile.pieces, tile.classes, tile.boxes)


def _turned(array: NDArray[T], turn: int) -> NDArray[T]:
    flipped = array[:, ::-1] if turn & 4 else array
    return np.rot90(flipped, turn & 3)


class TileSource(Protocol):
    """Something that gives random tiles."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Give a tile; equal generators give equal tiles."""
        ...


@dataclass(frozen=True, slots=True)
class PracticeTiles:
    """Tiles of practice scenes."""

    scenes: Sequence[SceneRaster]
    """The scenes; each is as likely as the next."""
    tile_px: int
    """Side of a tile, pixels."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Give a tile from a random place of a random scene."""
        return random_tile(self.scenes, rng, tile_px=self.tile_px)


@dataclass(frozen=True, slots=True)
class Mixture:
    """Several sources, each drawn from as often as its share says."""

    parts: tuple[tuple[float, TileSource], ...]
    """(share, source); the shares are scaled to sum to one."""

    def tile(self, rng: np.random.Generator) -> TrainingTile:
        """Choose a source, then a tile of it."""
        shares = np.array([share for share, _ in self.parts])
        chosen = int(rng.choice(len(shares), p=shares / shares.sum()))
        return self.parts[chosen][1].tile(rng)
