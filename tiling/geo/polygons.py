"""Small helpers for arrays of shapely polygons: parts, repair, intersection over union."""

import numpy as np
import shapely
from numpy.typing import NDArray

POLYGON = 3
"""Shapely's type number of polygons."""


def parts_of(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """All polygons within geometries: collections are split, and lines, points and empty parts left out."""
    parts = shapely.get_parts(shapely.get_parts(np.atleast_1d(geometries)))
    kept = (shapely.get_type_id(parts) == POLYGON) & ~shapely.is_empty(parts)
    return np.asarray(parts[kept], dtype=object)


def valid_polygons(polygons: NDArray[np.object_]) -> NDArray[np.object_]:
    """The polygons, with invalid ones replaced by the valid polygons that they enclose."""
    good = shapely.is_valid(polygons)
    if good.all():
        return polygons
    mended = shapely.make_valid(polygons[~good], method="structure")
    return np.concatenate([polygons[good], parts_of(mended)])


def repaired(geometry: shapely.Geometry) -> shapely.Geometry:
    """The geometry, repaired if it is invalid, which mapping between grids can make it."""
    return geometry if shapely.is_valid(geometry) else shapely.make_valid(geometry, method="structure")


def ious(one: NDArray[np.object_], other: NDArray[np.object_]) -> NDArray[np.float64]:
    """Intersection over union (n,) of the shapes of two arrays (n,) pair by pair, 0 to 1."""
    one, other = shapely.make_valid(one), shapely.make_valid(other)
    shared = shapely.area(shapely.intersection(one, other))
    whole = shapely.area(one) + shapely.area(other) - shared
    return np.where(whole > 0, shared / np.where(whole > 0, whole, 1.0), shapely.equals(one, other))


def iou(one: shapely.Geometry, other: shapely.Geometry) -> float:
    """Intersection over union of two shapes, 0 to 1; 1 for equal shapes without area."""
    return float(ious(np.array([one], dtype=object), np.array([other], dtype=object))[0])
