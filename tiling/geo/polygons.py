"""Arrays of shapely polygons: parts, repair, intersection over union, and unions on a fine grid."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo.crs import polygons_to_pixels
from tiling.geo.polygon_array import POLYGON, PolygonArray

SNAP_PX = 1 / 4096
"""Unions are computed on a grid this fine, which closes slits by rounding without visible changes."""

MIN_HOLE_PX = 1.0
"""Smaller holes of a union are gaps between its pieces and are filled, square pixels."""


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


def snapped(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """The outlines (n,), working pixels, rounded to the fine grid and valid."""
    moved = np.asarray(shapely.transform(geometries, lambda p: np.round(p / SNAP_PX) * SNAP_PX), dtype=object)
    bad = ~shapely.is_valid(moved)
    if bad.any():
        moved[bad] = shapely.make_valid(moved[bad], method="structure")
    return moved


def snapped_pixels(polygons: PolygonArray, transform: Transform) -> NDArray[np.object_]:
    """Outlines (n,) in working pixels, rounded to the fine grid and valid.

    Args:
        polygons: Polygons and multipolygons, world coordinates.
        transform: Pixel to world of the working grid.
    """
    return snapped(polygons_to_pixels(polygons, transform).shapes())


def united(geometries: NDArray[np.object_]) -> shapely.Polygon | shapely.MultiPolygon:
    """The union of snapped polygons, without the pinholes between its pieces.

    Args:
        geometries: (n,) in working pixels.
    """
    parts = parts_of(np.asarray(shapely.union_all(geometries, grid_size=SNAP_PX)))
    filled = [_without_pinholes(part) for part in parts]
    return filled[0] if len(filled) == 1 else shapely.MultiPolygon(filled)


def _without_pinholes(polygon: shapely.Polygon) -> shapely.Polygon:
    holes = [ring for ring in polygon.interiors if shapely.area(shapely.Polygon(ring)) >= MIN_HOLE_PX]
    return shapely.Polygon(polygon.exterior, holes)


def valid(geometry: shapely.Polygon | shapely.MultiPolygon) -> shapely.Polygon | shapely.MultiPolygon:
    """The geometry, repaired if its outline crosses itself."""
    if shapely.is_valid(geometry):
        return geometry
    parts = valid_polygons(parts_of(np.asarray(geometry)))
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(list(parts))
