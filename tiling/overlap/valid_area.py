"""Where a scene holds data, as far as a read of its overviews tells."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Scene, SceneError
from tiling.geo import WorkingGrid
from tiling.merge import outlines
from tiling.overlap.coverage import OVERVIEW_PX
from tiling.raster import Area, OpenOptions, Valid, held, read_values

SMALL_PX = 2048
"""A scene without overviews is looked at only if no side is longer: it is decoded whole for that."""

SIMPLIFIED_PX = 0.4
"""The border may be drawn so much straighter, pixels of the look: less than it lies inside the data."""

MIN_GAP_PX = 64.0
"""Smaller gaps and specks of data are overlooked, square pixels of the look."""


def find_valid_area(scene: Scene, work: WorkingGrid, options: OpenOptions) -> shapely.Geometry | None:
    """Where a scene surely holds data.

    The border of the data is drawn a pixel of the look inside it: what is left over between is for any
    scene beside it to answer too, so that no ground falls between two.

    Args:
        scene: The scene.
        work: Its working grid.
        options: What its files may declare.

    Returns:
        Ground in working pixels; None where it holds data everywhere, or where only a read of all its pixels
        could tell.
    """
    try:
        valid = _check(scene, options)
    except SceneError:
        return None  # the tiles will say so one by one
    if valid is None or valid.all():
        return None
    height, width = valid.shape
    parts = outlines(_shrunk(valid).astype(np.float32), min_area_px=MIN_GAP_PX)
    whole = shapely.simplify(shapely.union_all([_without_small_holes(part) for part in parts]), SIMPLIFIED_PX)
    scale = np.array([work.width / width, work.height / height])
    ground: shapely.Geometry = shapely.transform(whole, lambda points: points * scale)
    return ground


def _check(scene: Scene, options: OpenOptions) -> Valid | None:
    """Validity of the whole scene in few pixels; None where that is not cheap or nothing can be invalid."""
    with held(scene.bands[0].uri, options, version=scene.identity) as dataset:
        cheap = bool(dataset.overviews(scene.bands[0].index)) or max(scene.width, scene.height) <= SMALL_PX
    if not cheap:
        return None
    shrink = max(1.0, max(scene.width, scene.height) / OVERVIEW_PX)
    shape = (max(1, round(scene.height / shrink)), max(1, round(scene.width / shrink)))
    return read_values(scene, Area(0, 0, scene.width, scene.height, *shape), options=options)[1]


def _shrunk(valid: Valid) -> NDArray[np.bool_]:
    """Data whose neighbours hold data too; the scene's edge takes nothing away."""
    around = np.pad(valid, 1, mode="edge")
    height, width = valid.shape
    shifts = [around[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(np.logical_and.reduce(shifts), dtype=bool)


def _without_small_holes(part: shapely.Polygon) -> shapely.Polygon:
    kept = [ring for ring in part.interiors if shapely.area(shapely.Polygon(ring)) >= MIN_GAP_PX]
    return shapely.Polygon(part.exterior, kept)
