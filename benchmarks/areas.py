"""Areas on the ellipsoid: ours, those of PROJ's equal-area cylinder, and pyproj's geodesics one by one.

On the cylinder an edge is straight where the shortest line is not. What lies between the two has, for an edge
of length L, up to L³ tan(latitude) / 12 R; edges that face one another, as a square's do, cancel it.
"""

import statistics
from collections.abc import Callable
from functools import partial

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from benchmarks.measure import Row, divided, interleaved, timed
from benchmarks.settings import Settings
from tiling.geo import PolygonArray, areas_m2, polygons_from_shapes, ring_areas, shape_sums

NAME = "areas"
GEOD = Geod(ellps="WGS84")
CYLINDER = Transformer.from_crs("OGC:CRS84", "+proj=cea +ellps=WGS84", always_xy=True)
SHAPES = {"squares": 4, "triangles": 3}
SIDES_M, LATITUDES = (10.0, 150.0, 1000.0), (0.0, 45.0, 70.0)
NOTHING_M2 = 1e-5
"""A smaller error is one of pyproj's own."""
COUNT, CORNERS = 200, 12
"""Shapes of a kind whose areas are compared; corners of those that are timed."""

Area = Callable[[PolygonArray], NDArray[np.float64]]


def measure(settings: Settings) -> list[Row]:
    """Errors of ours and of the cylinder, and the time of all three."""
    rows = [_error_row(name, side, latitude) for name in SHAPES for side in SIDES_M for latitude in LATITUDES]
    return [*rows, *_time_rows(settings)]


def on_cylinder(polygons: PolygonArray) -> NDArray[np.float64]:
    """Planar areas (n,) on the equal-area cylinder, square metres."""
    flat = polygons.moved(np.column_stack(CYLINDER.transform(polygons.points[:, 0], polygons.points[:, 1])))
    return shape_sums(flat, ring_areas(flat))


def geodesic(polygons: PolygonArray) -> NDArray[np.float64]:
    """Areas (n,) by pyproj's geodesics, square metres: the truth, but for some 1e-4 of rounding."""
    return np.array([abs(GEOD.geometry_area_perimeter(shape)[0]) for shape in polygons.shapes()])


def _error_row(name: str, side_m: float, latitude: float) -> Row:
    polygons = _regular(SHAPES[name], side_m, latitude)
    true = geodesic(polygons)
    ours, flat = (float(np.abs(area(polygons) - true).max()) for area in (areas_m2, on_cylinder))
    what = f"{name} of {side_m:g} m at {latitude:g}°: largest error of the cylinder over ours"
    return Row(NAME, what, (flat / max(ours, NOTHING_M2),), f"{flat:.2g} and {ours:.2g} m²")


def _regular(corners: int, side_m: float, latitude: float) -> PolygonArray:
    """Equal-sided shapes, turned by chance, anywhere along a parallel."""
    rng = np.random.default_rng(corners)
    radius = np.full(corners, side_m / (2 * np.sin(np.pi / corners)))
    shapes = []
    for lon, first in rng.uniform((-179.0, 0.0), (179.0, 360.0), (COUNT, 2)):
        azimuths = first + np.arange(corners) * 360.0 / corners
        x, y, _ = GEOD.fwd(np.full(corners, lon), np.full(corners, latitude), azimuths, radius)
        shapes.append(shapely.Polygon(np.column_stack((x, y))))
    return polygons_from_shapes(np.array(shapes, dtype=object))


def _time_rows(settings: Settings) -> list[Row]:
    count = settings.objects // 30
    rng = np.random.default_rng(1)
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    ring = np.column_stack((np.cos(angles), np.sin(angles))) * 1e-3
    centres = rng.uniform((-170.0, -70.0), (170.0, 70.0), (count, 2))
    polygons = polygons_from_shapes(np.asarray(shapely.polygons(centres[:, None] + ring), dtype=object))
    ways: dict[str, Area] = {"ours": areas_m2, "the cylinder": on_cylinder, "geodesics": geodesic}
    found = interleaved(
        {name: partial(timed, partial(_do, way, polygons)) for name, way in ways.items()}, settings
    )
    ours, *others = ([item.seconds for item in found[name]] for name in ways)
    return [
        Row(
            NAME,
            f"{count} polygons of {CORNERS} corners: time of {name} over ours",
            divided(took, ours),
            f"{statistics.median(took):.2f} and {statistics.median(ours):.2f} s",
        )
        for name, took in zip(list(ways)[1:], others, strict=True)
    ]


def _do(way: Area, polygons: PolygonArray) -> None:
    way(polygons)
