"""From pixels to world to longitude and latitude, and square metres. Knows no files and no masks."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from shapely.affinity import affine_transform

from tiling.errors import SceneError
from tiling.scene import Transform
from tiling.window import Window

LONLAT = "OGC:CRS84"
"""The CRS of everything users get: longitude, latitude on WGS 84, degrees."""

GEOD = Geod(ellps="WGS84")
"""The ellipsoid distances and areas are measured on."""

MAX_STEP_M = 1000.0
"""Edges are cut into steps of at most this before reprojection; a straight edge of 1 km bends by 2 cm."""

Geometries = Sequence[shapely.Geometry] | NDArray[np.object_]
"""Shapely geometries in a list or an object array."""


def moved(points: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Map (n, 2) points x, y through an affine transform: (n, 2) float64."""
    a, b, c, d, e, f = transform
    x, y = points[:, 0], points[:, 1]
    return np.column_stack((a * x + b * y + c, d * x + e * y + f))


def inverse(transform: Transform) -> Transform:
    """The way back."""
    back = ~Affine(*transform)
    return (back.a, back.b, back.c, back.d, back.e, back.f)


def to_world(geometries: Geometries, transform: Transform) -> NDArray[np.object_]:
    """Map geometries from pixels to world.

    Args:
        geometries: (n,) geometries, x = column, y = row, pixels.
        transform: Pixel to world.

    Returns:
        (n,) object array of geometries in world coordinates.
    """
    return np.asarray(shapely.transform(_array(geometries), lambda p: moved(p, transform)), dtype=object)


def to_pixels(geometries: Geometries, transform: Transform) -> NDArray[np.object_]:
    """Map geometries from world to pixels: the inverse of the way to world, same shapes and order."""
    return to_world(geometries, inverse(transform))


def _array(geometries: Geometries) -> NDArray[np.object_]:
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array


def footprint(window: Window, transform: Transform) -> shapely.Polygon:
    """The ground under a window, world coordinates; four corners, rotated with the grid."""
    box = shapely.box(window.x0, window.y0, window.x1, window.y1)
    polygon: shapely.Polygon = to_world([box], transform)[0]
    return polygon


@lru_cache(maxsize=256)
def lonlat_transformer(crs: str) -> Transformer:
    """The way from a CRS (authority code or WKT) to longitude and latitude, x before y."""
    return Transformer.from_crs(CRS.from_user_input(crs), CRS.from_user_input(LONLAT), always_xy=True)


@lru_cache(maxsize=256)
def _step(crs: str) -> float | None:
    """Longest edge that may be reprojected whole, in units of the CRS; None where edges stay straight."""
    system = CRS.from_user_input(crs)
    if system.is_geographic:
        return None
    return MAX_STEP_M / (system.axis_info[0].unit_conversion_factor or 1.0)


def lonlat_points(points: NDArray[np.float64], crs: str) -> NDArray[np.float64]:
    """Map (n, 2) world x, y to (n, 2) longitude, latitude in degrees.

    Raises:
        SceneError: A point has no longitude and latitude in that CRS.
    """
    try:
        lon, lat = lonlat_transformer(crs).transform(points[:, 0], points[:, 1], errcheck=True)
    except ProjError as exc:
        raise SceneError(crs, f"coordinates cannot be turned into longitude and latitude: {exc}") from exc
    placed = np.column_stack((lon, lat)).astype(np.float64)
    if not np.isfinite(placed).all():
        raise SceneError(crs, "some coordinates have no longitude and latitude in this CRS")
    return placed


def to_lonlat(geometries: Geometries, crs: str) -> NDArray[np.object_]:
    """Map geometries from a CRS to OGC:CRS84; what crosses ±180° is split there.

    Args:
        geometries: (n,) geometries in that CRS, x before y.
        crs: Authority code or WKT.

    Returns:
        (n,) object array, longitude and latitude in degrees, longitudes within -180..180.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    array = _array(geometries)
    step = _step(crs)
    if step is not None:
        array = np.asarray(shapely.segmentize(array, step), dtype=object)
    placed = np.asarray(shapely.transform(array, lambda p: lonlat_points(p, crs)), dtype=object)
    if step is not None:  # coordinates in degrees hang together as they are
        placed = unrolled(placed)
    bounds = shapely.bounds(placed)
    for index in np.flatnonzero((bounds[:, 0] < -180.0) | (bounds[:, 2] > 180.0)):
        placed[index] = _cut_180(placed[index])
    return placed


def unrolled(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Make whole what leaps over ±180°, (n,) in degrees; its longitudes may leave -180..180."""
    whole = geometries.copy()
    for index in _leaping(geometries):
        whole[index] = _unrolled(geometries[index])
    return whole


def _leaping(geometries: NDArray[np.object_]) -> NDArray[np.int64]:
    """Which geometries have an edge longer than half the globe: the mark of a ring that passes ±180°."""
    points, owner = shapely.get_coordinates(geometries, return_index=True)
    leap = (np.abs(np.diff(points[:, 0])) > 180.0) & (np.diff(owner) == 0)
    return np.unique(owner[:-1][leap]) if len(owner) else owner


def _unrolled(geometry: shapely.Geometry) -> shapely.Geometry:
    """Bring all longitudes within half a turn of the first one; they may leave -180..180."""
    first = shapely.get_coordinates(geometry)[0, 0]

    def unroll(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon = points[:, 0] - 360.0 * np.round((points[:, 0] - first) / 360.0)
        return np.column_stack((lon, points[:, 1]))

    return shapely.transform(geometry, unroll)


def _cut_180(geometry: shapely.Geometry) -> shapely.Geometry:
    """Cut at every 180° ± a turn and lay the parts side by side within -180..180."""
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        part = shapely.intersection(geometry, shapely.box(turn - 180.0, -90.0, turn + 180.0, 90.0))
        parts.append(affine_transform(part, (1.0, 0.0, 0.0, 1.0, -turn, 0.0)))
    return shapely.union_all(parts)


def area_m2(geometry: shapely.Geometry) -> float:
    """Area on the WGS 84 ellipsoid, square metres, holes subtracted.

    Args:
        geometry: Polygon or MultiPolygon, longitude and latitude in degrees.
    """
    oriented = shapely.orient_polygons(geometry, exterior_cw=False)
    area, _ = GEOD.geometry_area_perimeter(oriented)
    return abs(float(area))
