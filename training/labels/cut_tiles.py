"""Training tiles and examples cut from labelled images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from reasoner.query import Query
from tiling.geo import to_world
from training.data import ArrayImage, ArrayShapes, Example, TrainingTile, reading_order
from training.labels.labelled_image import LabelledImage
from training.labels.windows import TURNS, Square, cut_pixels, ellipse, moved_boxes, painted

MIN_VISIBLE = 0.4
"""Share of an object that must lie in a window for it to count as there."""
MIN_SIDE_PX = 3.0
"""Sides of what is seen of an object, tile pixels; smaller is dropped."""
ROUND = frozenset({"tree", "tank"})
"""Classes painted as the ellipse in their box where no outline is known."""
TRIES = 8
"""Places tried before a window of less valid ground than half is taken."""


@dataclass(frozen=True, slots=True)
class _VisibleObjects:
    """Objects seen in a window, tile pixels, in reading order."""

    classes: tuple[str, ...]
    """(n,) catalogue names."""
    boxes: NDArray[np.float64]
    """(n, 4) within the tile."""
    shapes: tuple[shapely.Polygon, ...]
    """(n,) what is painted; may reach past the tile."""


def cut_labelled(
    image: LabelledImage,
    *,
    x0: float,
    y0: float,
    side: float,
    tile_px: int,
    turn: int,
    numbers: Mapping[str, int],
) -> TrainingTile:
    """Cut a square window of an image as a training tile.

    An object stays if at least 40 % of it lies in the window and what is seen of it has 3 pixels a side.

    Args:
        image: The image.
        x0: Left edge of the window, image pixels.
        y0: Top edge of the window, image pixels.
        side: Side of the window, image pixels; the tile is zero where it leaves the image.
        tile_px: Side of the tile, pixels.
        turn: 0 to 7, one of the eight symmetries of the square.
        numbers: Number of every class the image has.

    Raises:
        KeyError: A class has no number.
        ValueError: The side, the tile or the turn is out of range.
    """
    square = Square(x0, y0, side, tile_px, turn)
    seen = _seen(image, square)
    return TrainingTile(
        cut_pixels(image.pixels, square),
        painted(seen.shapes, side=tile_px),
        np.array([numbers[class_name] for class_name in seen.classes], np.int16),
        np.rint(seen.boxes).astype(np.int32),
    )


def random_labelled_tile(
    image: LabelledImage,
    rng: np.random.Generator,
    *,
    scale: float,
    tile_px: int,
    jitter: float = 0.25,
    numbers: Mapping[str, int],
    around: NDArray[np.float64] | None = None,
) -> TrainingTile:
    """Cut a tile at a random place, scale and turn, its light varied a little.

    Args:
        image: The image; where it is smaller than the window, it lies at a random place in the window.
        rng: Randomness.
        scale: Tile pixels per image pixel, in the middle.
        tile_px: Side of the tile, pixels.
        jitter: The window's side varies by a factor of 1 ± this.
        numbers: Number of every class the image has.
        around: Box (4,) in image pixels whose middle the tile must show; None for any place.

    Raises:
        KeyError: A class has no number.
    """
    side = tile_px / scale * float(rng.uniform(1 - jitter, 1 + jitter))
    x0, y0 = _random_corner(image, rng, side) if around is None else _corner_over(image, rng, side, around)
    turn = int(rng.integers(TURNS))
    tile = cut_labelled(image, x0=x0, y0=y0, side=side, tile_px=tile_px, turn=turn, numbers=numbers)
    gain, lift = rng.normal(1, 0.06, 3), rng.normal(0, 6)
    return replace(tile, pixels=np.clip(tile.pixels * gain + lift, 0, 255).astype(np.uint8))


def _random_corner(image: LabelledImage, rng: np.random.Generator, side: float) -> tuple[float, float]:
    height, width = image.valid.shape
    x0 = y0 = 0.0
    for _ in range(TRIES):
        x0, y0 = (float(rng.uniform(min(0.0, n - side), max(0.0, n - side))) for n in (width, height))
        left, top = max(int(x0), 0), max(int(y0), 0)
        if image.valid[top : top + int(side) + 1, left : left + int(side) + 1].mean() >= 0.5:
            break
    return x0, y0


def _corner_over(
    image: LabelledImage, rng: np.random.Generator, side: float, box: NDArray[np.float64]
) -> tuple[float, float]:
    """A corner from which a window shows the middle of a box, within the image where that is possible."""
    height, width = image.valid.shape
    middle = (box[:2] + box[2:]) / 2
    x0, y0 = (
        float(np.clip(m - rng.uniform(0.1, 0.9) * side, min(0.0, n - side), max(0.0, n - side)))
        for m, n in zip(middle, (width, height), strict=True)
    )
    return x0, y0


def grid_squares(
    image: LabelledImage, *, scale: float, tile_px: int, overlap: float = 0.0
) -> tuple[Square, ...]:
    """Fewest windows that cover an image, evenly spread, row by row; one reaching past a smaller image.

    Args:
        image: The image.
        scale: Tile pixels per image pixel.
        tile_px: Side of the tiles, pixels.
        overlap: Minimum overlap of neighbours, share of a side, below 1.
    """
    height, width = image.valid.shape
    side = tile_px / scale
    return tuple(
        Square(float(x0), float(y0), side, tile_px)
        for y0 in _starts(height, side, overlap)
        for x0 in _starts(width, side, overlap)
    )


def _starts(length: int, side: float, overlap: float) -> NDArray[np.float64]:
    if length <= side:
        return np.zeros(1)
    count = 1 + int(np.ceil((length - side) / (side * (1 - overlap)) - 1e-9))
    return np.linspace(0.0, length - side, count)


def grid_tiles(
    image: LabelledImage, *, scale: float, tile_px: int, numbers: Mapping[str, int], overlap: float = 0.0
) -> tuple[TrainingTile, ...]:
    """Training tiles, unturned, of a fixed grid that covers an image.

    Raises:
        KeyError: A class has no number.
    """
    return tuple(
        cut_labelled(image, x0=s.x0, y0=s.y0, side=s.side, tile_px=tile_px, turn=0, numbers=numbers)
        for s in grid_squares(image, scale=scale, tile_px=tile_px, overlap=overlap)
    )


def examples_of(
    image: LabelledImage,
    *,
    scale: float,
    tile_px: int,
    questions: Mapping[str, Sequence[str]],
    source: str,
) -> tuple[Example, ...]:
    """One example per tile of the grid and complete class that has questions, which take turns.

    Args:
        image: The image.
        scale: Tile pixels per image pixel.
        tile_px: Side of the tiles, pixels.
        questions: Questions that mean a class, by its name.
        source: Name of the dataset.
    """
    asked = [class_name for class_name in image.complete if questions.get(class_name)]
    examples = []
    for index, square in enumerate(grid_squares(image, scale=scale, tile_px=tile_px)):
        picture, seen = ArrayImage(cut_pixels(image.pixels, square)), _seen(image, square)
        for class_name in asked:
            query = Query(questions[class_name][index % len(questions[class_name])])
            own = [i for i, name in enumerate(seen.classes) if name == class_name]
            examples.append(
                Example(
                    id=f"{image.name}/{square.x0:.0f}-{square.y0:.0f}/{class_name}",
                    source=source,
                    place=image.place,
                    query=query,
                    size=(tile_px, tile_px),
                    boxes=seen.boxes[own],
                    picture=picture,
                    shapes=_masks(image, class_name, [seen.shapes[i] for i in own], tile_px),
                    class_name=class_name,
                )
            )
    return tuple(examples)


def _masks(
    image: LabelledImage, class_name: str, shapes: Sequence[shapely.Polygon], side: int
) -> ArrayShapes | None:
    """Masks of a class whose objects all have outlines, None of others."""
    own = [outline for outline, name in zip(image.outlines, image.classes, strict=True) if name == class_name]
    if not own or None in own:
        return None
    each = [painted([shape], side=side) > 0 for shape in shapes]
    return ArrayShapes(np.array(each, bool).reshape(-1, side, side))


def _seen(image: LabelledImage, square: Square) -> _VisibleObjects:
    """What of an image's objects counts as seen in a window."""
    edge = float(square.tile_px)
    boxes = moved_boxes(image.boxes, square.matrix)
    near = np.flatnonzero((boxes[:, :2] < edge).all(axis=1) & (boxes[:, 2:] > 0).all(axis=1))
    found = []
    for i in near:
        shape = _shape(image.classes[i], image.outlines[i], boxes[i], square)
        box, share = _within(boxes[i], shape if image.outlines[i] is not None else None, edge)
        if share >= MIN_VISIBLE and min(box[2] - box[0], box[3] - box[1]) >= MIN_SIDE_PX:
            found.append((image.classes[i], box, shape))
    found.sort(key=lambda entry: reading_order([int(v) for v in np.rint(entry[1])]))
    return _VisibleObjects(
        tuple(class_name for class_name, _, _ in found),
        np.array([box for _, box, _ in found], np.float64).reshape(-1, 4),
        tuple(shape for _, _, shape in found),
    )


def _shape(
    class_name: str, outline: shapely.Polygon | None, box: NDArray[np.float64], square: Square
) -> shapely.Polygon:
    if outline is not None:
        shape: shapely.Polygon = to_world([outline], square.matrix)[0]
        return shape
    return ellipse(box.tolist()) if class_name in ROUND else shapely.box(*box)


def _within(
    box: NDArray[np.float64], outline: shapely.Polygon | None, edge: float
) -> tuple[NDArray[np.float64], float]:
    """What of a box lies in the tile, and which share of the object that is."""
    inside = np.clip(box, 0.0, edge)
    if (inside == box).all():
        return box, 1.0
    if outline is None or not outline.area > 0:
        return inside, float(np.prod(inside[2:] - inside[:2]) / np.prod(box[2:] - box[:2]))
    part = shapely.intersection(outline, shapely.box(0.0, 0.0, edge, edge))
    if part.is_empty:
        return inside, 0.0
    return np.asarray(part.bounds, np.float64), float(part.area / outline.area)
