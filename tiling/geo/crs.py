"""Projections: from pixels to world coordinates to longitude and latitude, and areas in square metres."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError
from shapely.affinity import affine_transform

from tiling import SceneError, Transform, Window
from tiling.geo.polygon_array import (
    PolygonArray,
    bounds_of,
    long_edged,
    oriented,
    polygons_from_shapes,
    ring_sums,
    shape_sums,
    with_replaced,
)

LONLAT = "OGC:CRS84"
"""The CRS of all results: longitude and latitude on WGS 84, degrees, longitude first."""

GEOD = Geod(ellps="WGS84")
"""The ellipsoid on which distances and areas are measured."""

MAX_STEP_M = 1000.0
"""Edges are cut into steps of at most this before reprojection; a straight edge of 1 km bends by 2 cm."""

LONG_DEGREES = 0.02
"""Longest edge that is treated as a great circle when an area is computed."""

Geometries = Sequence[shapely.Geometry] | NDArray[np.object_]
"""Shapely geometries in a list or an object array."""


def moved(points: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """Map (n, 2) points x, y through an affine transform: (n, 2) float64."""
    a, b, c, d, e, f = transform
    x, y = points[:, 0], points[:, 1]
    return np.column_stack((a * x + b * y + c, d * x + e * y + f))


def inverse(transform: Transform) -> Transform:
    """The inverse of an affine transform."""
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
    """Map geometries from world to pixels, the inverse of `to_world`; same shapes and order."""
    return to_world(geometries, inverse(transform))


def polygons_to_pixels(polygons: PolygonArray, transform: Transform) -> PolygonArray:
    """Map polygons from world to pixels, same order."""
    return polygons.moved(moved(polygons.points, inverse(transform)))


def _array(geometries: Geometries) -> NDArray[np.object_]:
    if isinstance(geometries, np.ndarray):
        return geometries
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array


def footprint(window: Window, transform: Transform) -> shapely.Polygon:
    """The footprint of a window, world coordinates: a polygon of four corners along the grid's axes."""
    box = shapely.box(window.x0, window.y0, window.x1, window.y1)
    polygon: shapely.Polygon = to_world([box], transform)[0]
    return polygon


@lru_cache(maxsize=1024)
def transformer(origin: str, target: str) -> Transformer:
    """The transformation from one CRS (code or WKT) to another, x before y; making one takes 50 ms."""
    return Transformer.from_crs(CRS.from_user_input(origin), CRS.from_user_input(target), always_xy=True)


def lonlat_transformer(crs: str) -> Transformer:
    """The transformation from a CRS (authority code or WKT) to longitude and latitude, x before y."""
    return transformer(crs, LONLAT)


@lru_cache(maxsize=256)
def _step(crs: str) -> float | None:
    """Longest edge that may be reprojected whole, in units of the CRS; None if edges stay straight."""
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
    """Map geometries from a CRS to OGC:CRS84; geometries that cross ±180° are split there.

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
        array = _short_edged(array, step)
    placed = np.asarray(shapely.transform(array, lambda p: lonlat_points(p, crs)), dtype=object)
    if step is not None:  # coordinates in degrees are connected as they are
        placed = unrolled(placed)
    bounds = shapely.bounds(placed)
    for index in np.flatnonzero((bounds[:, 0] < -180.0) | (bounds[:, 2] > 180.0)):
        placed[index] = _cut_180(placed[index])
    return placed


def _short_edged(geometries: NDArray[np.object_], step: float) -> NDArray[np.object_]:
    """The geometries with edges divided to at most a step; smaller geometries are returned as they are."""
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    large = np.flatnonzero(np.hypot(*(bounds[:, 2:] - bounds[:, :2]).T) > step)
    if len(large):
        geometries = geometries.copy()
        geometries[large] = shapely.segmentize(geometries[large], step)
    return geometries


def unrolled(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Rejoin geometries (n,) that cross ±180°, degrees; their longitudes may then leave -180..180."""
    whole = geometries.copy()
    for index in _crossing_180(geometries):
        whole[index] = _unrolled(geometries[index])
    return whole


def _crossing_180(geometries: NDArray[np.object_]) -> NDArray[np.int64]:
    """Indexes of geometries with an edge longer than half the globe, which means that they cross ±180°."""
    points, owner = shapely.get_coordinates(geometries, return_index=True)
    leap = (np.abs(np.diff(points[:, 0])) > 180.0) & (np.diff(owner) == 0)
    return np.unique(owner[:-1][leap]) if len(owner) else owner


def _unrolled(geometry: shapely.Geometry) -> shapely.Geometry:
    """Shift all longitudes to within half a turn of the first one; they may leave -180..180."""
    first = shapely.get_coordinates(geometry)[0, 0]

    def unroll(points: NDArray[np.float64]) -> NDArray[np.float64]:
        lon = points[:, 0] - 360.0 * np.round((points[:, 0] - first) / 360.0)
        return np.column_stack((lon, points[:, 1]))

    return shapely.transform(geometry, unroll)


def _cut_180(geometry: shapely.Geometry) -> shapely.Geometry:
    """Split a geometry at 180° plus any number of turns, and shift the parts into -180..180."""
    parts = []
    for turn in (-360.0, 0.0, 360.0):
        part = shapely.intersection(geometry, shapely.box(turn - 180.0, -90.0, turn + 180.0, 90.0))
        parts.append(affine_transform(part, (1.0, 0.0, 0.0, 1.0, -turn, 0.0)))
    return shapely.union_all(parts)


def polygons_to_lonlat(polygons: PolygonArray, crs: str) -> PolygonArray:
    """Map polygons from a CRS to OGC:CRS84; polygons that cross ±180° are split there.

    Args:
        polygons: Polygons and multipolygons in that CRS, x before y.
        crs: Authority code or WKT.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    placed, step = polygons.moved(lonlat_points(polygons.points, crs)), _step(crs)
    careful = _may_cross_180(placed) if step is None else _may_cross_180(placed) | long_edged(polygons, step)
    if not careful.any():
        return placed
    places = np.flatnonzero(careful)
    return with_replaced(placed, places, polygons_from_shapes(to_lonlat(polygons.take(places).shapes(), crs)))


def _may_cross_180(placed: PolygonArray) -> NDArray[np.bool_]:
    """Which shapes (n,) may cross ±180°; if all longitudes are close together, no shape is tested."""
    longitudes = placed.points[:, 0]
    low, high = longitudes.min(initial=180.0), longitudes.max(initial=-180.0)
    if low >= -180.0 and high <= 180.0 and high - low <= 180.0:
        return np.zeros(len(placed), dtype=bool)
    west, _, east, _ = bounds_of(placed).T
    return np.asarray((west < -180.0) | (east > 180.0) | (east - west > 180.0), dtype=bool)


def areas_m2(polygons: PolygonArray) -> NDArray[np.float64]:
    """Areas (n,) on the WGS 84 ellipsoid, square metres, holes subtracted.

    PROJ's equal-area cylindrical projection maps the points to the sphere with the ellipsoid's area. There
    edges are taken as great circles, which differ little from geodesics of the ellipsoid if they are short:
    the error of an area is less than 5e-8 of the square of the shape's extent. Shapes with edges longer than
    `LONG_DEGREES` are measured one by one with pyproj's geodesics.

    Args:
        polygons: Valid polygons and multipolygons, longitude and latitude in degrees.
    """
    if not len(polygons):
        return np.zeros(0)
    areas = shape_sums(polygons, ring_sums(polygons, _excess(polygons.points)) * _equal_area()[1])
    long = np.flatnonzero(long_edged(polygons, LONG_DEGREES))
    for index, shape in zip(long, oriented(polygons.take(long)).shapes(), strict=True):
        areas[index] = abs(GEOD.geometry_area_perimeter(shape)[0])
    return areas


def _excess(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (k - 1,) between every edge and the equator on a sphere of radius 1.

    Source: the spherical excess of a quadrilateral with two corners on the equator, I. Todhunter,
    Spherical Trigonometry (1886), section 103.
    """
    flat, _, top = _equal_area()
    share = flat.transform(points[:, 0], points[:, 1])[1] / top  # sine of the latitude on the sphere
    half = share / (1.0 + np.sqrt(np.clip(1.0 - share**2, 0.0, None)))  # tangent of half that latitude
    turn = np.tan(np.radians(np.diff(points[:, 0])) / 2)
    excess = 2 * np.arctan2(turn * (half[1:] + half[:-1]), 1.0 + half[1:] * half[:-1])
    return np.asarray(excess, dtype=np.float64)


@lru_cache(maxsize=1)
def _equal_area() -> tuple[Transformer, float, float]:
    """The transformation to an equal-area cylinder, its sphere's squared radius, and its height, metres."""
    flat = Transformer.from_crs(CRS.from_user_input(LONLAT), CRS.from_user_input("+proj=cea"), always_xy=True)
    top = float(flat.transform(0.0, 90.0)[1])
    return flat, GEOD.a * top, top
