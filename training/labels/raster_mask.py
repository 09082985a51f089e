"""Label rasters and masks: connected pixels of one value are one object, placed by their georeference."""

from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.affinity import translate

from tiling import Scene, SceneError
from tiling.geo import parts_of, to_pixels, to_world
from tiling.merge import outlines
from tiling.raster import DEFAULT_OPTIONS, Area, describe_scene, read_values
from training import DatasetError
from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import load_scene
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelReading


def hull(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Box x0, y0, x1, y1, half-open, of what is True in (height, width); None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outline_of(mask: NDArray[np.bool_], box: tuple[int, int, int, int]) -> shapely.Polygon:
    """Outline of a mask's biggest piece, image pixels; the box itself where the mask is a pixel or two.

    Args:
        mask: (height, width).
        box: Hull of the mask.
    """
    x0, y0, x1, y1 = box
    part = np.pad(mask[y0:y1, x0:x1], 1).astype(np.float32)
    pieces = outlines(part, min_area_px=0.0)
    if not pieces or pieces[0].area < 1:
        return shapely.box(*box)
    return translate(pieces[0], x0 - 1, y0 - 1)


MIN_PIXELS = 4
"""Fewer connected pixels are not an object."""


def read_raster_mask(
    mask: Path,
    image: Path,
    *,
    values: tuple[int, ...],
    naming: Naming,
    bands: tuple[int, ...] | None = None,
) -> LabelReading:
    """Read a label raster over a scene; it may have pixels of another size, but the same CRS.

    Args:
        mask: Raster of one band of whole numbers.
        image: The scene.
        values: Values of the mask that mean the class; touching pixels (by sides) of these are one object.
        naming: One class.
        bands: Display bands of the scene: red, green, blue (three) or grey (one).

    Returns:
        The labelled image; none, with a problem, where the mask does not cover the scene: ground without
        labels must not be taken for ground without objects.

    Raises:
        DatasetError: A file cannot be read, their CRS differ, or the naming has more classes than one.
    """
    if len(naming.complete) != 1:
        raise DatasetError(f"{mask}: a label raster has one kind, not {naming.complete}")
    try:
        scene, labels = describe_scene(str(image), bands=bands), describe_scene(str(mask))
        area = Area(0, 0, labels.width, labels.height, labels.height, labels.width)
        stored, _ = read_values(labels, area, options=DEFAULT_OPTIONS)
    except SceneError as error:
        raise DatasetError(str(error)) from error
    if labels.crs != scene.crs:
        raise DatasetError(f"{mask}: its CRS {labels.crs} is not the scene's {scene.crs}: reproject it first")
    if not _covers(labels, scene):
        return LabelReading((), (Problem(str(mask), image.name, "mask does not cover its image"),))
    taken = LabelBuilder(str(mask), (scene.height, scene.width), naming)
    _take(taken, np.isin(stored[0], values), labels, scene)
    return LabelReading((taken.image(image.stem, load_scene(scene)),), tuple(taken.problems))


def _covers(mask: Scene, scene: Scene) -> bool:
    """Whether a mask reaches over a scene, but for one pixel of the mask."""
    ground = to_world([shapely.box(0, 0, scene.width, scene.height)], scene.transform)
    x0, y0, x1, y1 = to_pixels(ground, mask.transform)[0].bounds
    return bool(x0 >= -1 and y0 >= -1 and x1 <= mask.width + 1 and y1 <= mask.height + 1)


def _take(labels: LabelBuilder, inside: NDArray[np.bool_], mask: Scene, scene: Scene) -> None:
    numbered, _ = ndimage.label(inside)
    frame = shapely.box(0, 0, scene.width, scene.height)
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbered), start=1):
        where, own = f"piece {number}", numbered[rows, columns] == number
        if own.sum() < MIN_PIXELS:
            labels.note(where, f"piece of fewer than {MIN_PIXELS} pixels")
            continue
        outline = outline_of(own, (0, 0, own.shape[1], own.shape[0]))
        outline = translate(outline, columns.start, rows.start)
        placed = to_pixels(to_world([outline], mask.transform), scene.transform)
        parts = parts_of(shapely.intersection(placed, frame))
        if not len(parts):
            labels.note(where, "piece outside of its image")
            continue
        seen = parts[int(np.argmax(shapely.area(parts)))]
        labels.add(where, labels.naming.complete[0], seen.bounds, seen)
