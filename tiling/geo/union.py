"""Unions of outlines in working pixels, on a fine grid that closes slits."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo.crs import polygons_to_pixels
from tiling.geo.polygon_array import PolygonArray
from tiling.geo.polygons import parts_of, valid_polygons

SNAP_PX = 1 / 4096
"""Unions are computed on a grid this fine, which closes slits by rounding without visible changes."""

MIN_HOLE_PX = 1.0
"""Smaller holes of a union are gaps between its pieces and are filled, square pixels."""


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
