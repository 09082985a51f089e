"""Reads label rasters: connected pixels of a value are one thing, placed by their georeference.

Knows no other format.
"""

from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from shapely.affinity import translate

from tiling.errors import SceneError
from tiling.opening import DEFAULT_LIMITS, describe_scene
from tiling.placing import to_pixels, to_world
from tiling.polygons import parts_of
from tiling.raw import Area, read_values
from tiling.scene import Scene
from training.errors import DatasetError
from training.examples import Problem
from training.labels.gathering import Gathering
from training.labels.images import load_scene
from training.labels.labelled_image import LabelReading
from training.labels.masks import outline_of
from training.labels.naming import Naming

MIN_PIXELS = 4
"""Fewer connected pixels are no thing."""


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
        values: Values of the mask that mean the kind; touching pixels (by sides) of these are one thing.
        naming: One kind.
        bands: Bands of the scene shown as red, green, blue (three) or grey (one).

    Returns:
        The labelled image; none, with a problem, where the mask does not cover the scene: ground without
        labels must not be taken for ground without things.

    Raises:
        DatasetError: A file cannot be read, their CRS differ, or the naming has more kinds than one.
    """
    if len(naming.complete) != 1:
        raise DatasetError(f"{mask}: a label raster has one kind, not {naming.complete}")
    try:
        scene, labels = describe_scene(str(image), bands=bands), describe_scene(str(mask))
        area = Area(0, 0, labels.width, labels.height, labels.height, labels.width)
        stored, _ = read_values(labels, area, limits=DEFAULT_LIMITS)
    except SceneError as error:
        raise DatasetError(str(error)) from error
    if labels.crs != scene.crs:
        raise DatasetError(f"{mask}: its CRS {labels.crs} is not the scene's {scene.crs}: reproject it first")
    if not _covers(labels, scene):
        return LabelReading((), (Problem(str(mask), image.name, "mask does not cover its image"),))
    taken = Gathering(str(mask), (scene.height, scene.width), naming)
    _take(taken, np.isin(stored[0], values), labels, scene)
    return LabelReading((taken.image(image.stem, load_scene(scene)),), tuple(taken.problems))


def _covers(mask: Scene, scene: Scene) -> bool:
    """Whether a mask reaches over a scene, but for one pixel of the mask."""
    ground = to_world([shapely.box(0, 0, scene.width, scene.height)], scene.transform)
    x0, y0, x1, y1 = to_pixels(ground, mask.transform)[0].bounds
    return bool(x0 >= -1 and y0 >= -1 and x1 <= mask.width + 1 and y1 <= mask.height + 1)


def _take(labels: Gathering, inside: NDArray[np.bool_], mask: Scene, scene: Scene) -> None:
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
