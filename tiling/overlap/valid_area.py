"""Finds where a scene holds data by a read of its overviews; used when scenes overlap."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Scene, SceneError
from tiling.geo import WorkingGrid
from tiling.merge import outlines
from tiling.overlap.coverage import OVERVIEW_PX
from tiling.raster import Area, OpenOptions, Valid, held, read_values

SMALL_PX = 2048
"""A scene without overviews is read for this only if no side is longer, since it is decoded completely."""

SIMPLIFIED_PX = 0.4
"""Tolerance by which the border is simplified, overview pixels: less than its distance inside the data."""

MIN_GAP_PX = 64.0
"""Smaller gaps and specks of data are ignored, square overview pixels."""


def find_valid_area(scene: Scene, work: WorkingGrid, options: OpenOptions) -> shapely.Geometry | None:
    """Where a scene surely holds data.

    The border is drawn one overview pixel inside the data. Overlapping scenes answer the ground between the
    two borders too, so that no ground is left out.

    Args:
        scene: The scene.
        work: Its working grid.
        options: What its files may declare.

    Returns:
        Ground in working pixels; None if it holds data everywhere, or if only a read of all its pixels could
        tell.
    """
    try:
        valid = _check(scene, options)
    except SceneError:
        return None  # the tiles will fail one by one
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
    """Pixels with data whose neighbours hold data too; pixels beyond the scene's edge count as data."""
    around = np.pad(valid, 1, mode="edge")
    height, width = valid.shape
    shifts = [around[y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(np.logical_and.reduce(shifts), dtype=bool)


def _without_small_holes(part: shapely.Polygon) -> shapely.Polygon:
    kept = [ring for ring in part.interiors if shapely.area(shapely.Polygon(ring)) >= MIN_GAP_PX]
    return shapely.Polygon(part.exterior, kept)
