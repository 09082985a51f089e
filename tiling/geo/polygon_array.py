"""Arrays of polygons as coordinates and offsets, and vectorised measurements of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo.groups import concat_offsets, take_offsets

POLYGON = 3
"""Shapely's type number of polygons."""


@dataclass(frozen=True, slots=True)
class PolygonArray:
    """Polygons and multipolygons as rings of points; the rings of one shape are consecutive."""

    points: NDArray[np.float64]
    """(k, 2) x, y; the last point of every ring is its first point again."""
    starts: NDArray[np.int64]
    """(r + 1,) offsets of the rings among the points."""
    shape_starts: NDArray[np.int64]
    """(n + 1,) offsets of the shapes among the rings; every shape has at least one ring."""
    shell: NDArray[np.bool_]
    """(r,) true for the outer ring of a polygon; its holes follow it."""

    def __len__(self) -> int:
        return len(self.shape_starts) - 1

    @property
    def first_points(self) -> NDArray[np.int64]:
        """(n,) index of the first point of each shape."""
        return self.starts[self.shape_starts[:-1]]

    @property
    def n_points(self) -> NDArray[np.int64]:
        """(n,) number of points of each shape."""
        return np.diff(self.starts[self.shape_starts])

    @property
    def simple(self) -> NDArray[np.bool_]:
        """(n,) true for shapes with a single ring."""
        return np.asarray(np.diff(self.shape_starts) == 1, dtype=bool)

    def take(self, index: NDArray[np.int64]) -> "PolygonArray":
        """The shapes at the given indexes, in that order."""
        index_rings, shape_starts = take_offsets(self.shape_starts, index)
        places, starts = take_offsets(self.starts, index_rings)
        return PolygonArray(self.points.take(places, axis=0), starts, shape_starts, self.shell[index_rings])

    def moved(self, points: NDArray[np.float64]) -> "PolygonArray":
        """The same rings with other points."""
        return replace(self, points=points)

    def shapes(self) -> NDArray[np.object_]:
        """The shapes (n,) as shapely polygons and multipolygons."""
        begins = np.append(np.flatnonzero(self.shell), len(self.shell))
        polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, self.points, (self.starts, begins))
        owner = np.repeat(np.arange(len(self)), np.diff(self.shape_starts))[self.shell]
        several = np.flatnonzero(np.bincount(owner, minlength=len(self)) > 1)
        found = np.empty(len(self), dtype=object)
        found[owner] = polygons
        parts = np.isin(owner, several)
        if len(several):
            numbers = np.searchsorted(several, owner[parts])
            found[several] = shapely.multipolygons(polygons[parts], indices=numbers)
        return found


def polygons_from_shapes(shapes: NDArray[np.object_]) -> PolygonArray:
    """The array of polygons and multipolygons (n,), none of which may be empty."""
    simple = (shapely.get_type_id(shapes) == POLYGON) & (shapely.get_num_interior_rings(shapes) == 0)
    if simple.all():
        points, starts = _points_of(shapes)
        return polygons_from_rings(points, starts)
    some, others = np.flatnonzero(simple), np.flatnonzero(~simple)
    return interleaved((polygons_from_shapes(shapes[some]), some), (_several_each(shapes[others]), others))


def polygons_from_rings(points: NDArray[np.float64], starts: NDArray[np.int64]) -> PolygonArray:
    """Polygons without holes.

    Args:
        points: (k, 2) x, y; the last point of every polygon is its first point again.
        starts: (n + 1,) offsets of the polygons among the points.
    """
    count = len(starts) - 1
    return PolygonArray(points, starts, np.arange(count + 1), np.ones(count, dtype=bool))


def polygons_from_boxes(corners: NDArray[np.float64]) -> PolygonArray:
    """Boxes given by (n, 5, 2) corners, of which the last is the first again."""
    return polygons_from_rings(corners.reshape(-1, 2), np.arange(len(corners) + 1) * 5)


def _several_each(shapes: NDArray[np.object_]) -> PolygonArray:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    linear_rings, polygon = shapely.get_rings(parts, return_index=True)
    points, starts = _points_of(linear_rings)
    shape_starts = np.searchsorted(owner[polygon], np.arange(len(shapes) + 1))
    return PolygonArray(points, starts, shape_starts, np.diff(polygon, prepend=-1) != 0)


def _points_of(shapes: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points of shapes with one ring each, and the offsets of the shapes."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    return points, np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(points))


def concat_polygons(parts: Sequence[PolygonArray]) -> PolygonArray:
    """The shapes of several parts, at least one, one part after another."""
    return PolygonArray(
        np.concatenate([part.points for part in parts]),
        concat_offsets([part.starts for part in parts]),
        concat_offsets([part.shape_starts for part in parts]),
        np.concatenate([part.shell for part in parts]),
    )


def interleaved(*parts: tuple[PolygonArray, NDArray[np.int64]]) -> PolygonArray:
    """The shapes of several parts in a new order, given the positions of each part's shapes without gaps."""
    order = np.argsort(np.concatenate([places for _, places in parts]))
    return concat_polygons([polygons for polygons, _ in parts]).take(order)


def with_replaced(polygons: PolygonArray, places: NDArray[np.int64], others: PolygonArray) -> PolygonArray:
    """The shapes, with those at some positions replaced by others."""
    index = np.arange(len(polygons))
    index[places] = len(polygons) + np.arange(len(others))
    return concat_polygons([polygons, others]).take(index)


def ring_sums(polygons: PolygonArray, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (r,) over the edges of every ring.

    Args:
        polygons: The polygons.
        edges: (k - 1,) a number for every two neighbouring points; numbers between rings are ignored.
    """
    counted = np.append(edges, 0.0)
    counted[polygons.starts[1:] - 1] = 0.0
    return np.asarray(np.add.reduceat(counted, polygons.starts[:-1]), dtype=np.float64)


def shape_sums(polygons: PolygonArray, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (n,) over the rings of every shape of a number per ring (r,), with holes subtracted."""
    signed = np.where(polygons.shell, np.abs(values), -np.abs(values))
    return np.asarray(np.add.reduceat(signed, polygons.shape_starts[:-1]), dtype=np.float64)


def bounds_of(polygons: PolygonArray) -> NDArray[np.float64]:
    """(n, 4) minimum x, minimum y, maximum x, maximum y of every shape."""
    first = polygons.first_points
    return np.hstack(
        (np.minimum.reduceat(polygons.points, first), np.maximum.reduceat(polygons.points, first))
    )


def long_edged(polygons: PolygonArray, length: float) -> NDArray[np.bool_]:
    """Which shapes (n,) have an edge longer than a length."""
    x, y = polygons.points.T
    long = np.hypot(np.diff(x), np.diff(y)) > length
    long[polygons.starts[1:-1] - 1] = False  # these pairs of points belong to different rings
    found = np.zeros(len(polygons), dtype=bool)
    found[np.searchsorted(polygons.first_points, np.flatnonzero(long), side="right") - 1] = True
    return found


def oriented(polygons: PolygonArray) -> PolygonArray:
    """The polygons with shells counterclockwise and holes clockwise; first points stay the same."""
    lengths = np.diff(polygons.starts)
    wrong = np.flatnonzero((ring_areas(polygons) > 0) != polygons.shell)
    if not len(wrong):
        return polygons
    order = np.arange(len(polygons.points))
    places, _ = take_offsets(polygons.starts, wrong)
    order[places] = (
        np.repeat(polygons.starts[wrong] + polygons.starts[wrong + 1] - 1, lengths[wrong]) - places
    )
    return polygons.moved(polygons.points.take(order, axis=0))


def centroids(polygons: PolygonArray) -> NDArray[np.float64]:
    """(n, 2) centroid of every shape without its holes; for a shape without area its first point."""
    local = _local(polygons)
    x, y = local.points.T
    doubled = _doubled_areas(local)
    areas = ring_sums(local, doubled)
    sign = np.where((areas > 0) == polygons.shell, 1.0, -1.0)
    starts = polygons.shape_starts[:-1]
    area = np.add.reduceat(sign * areas, starts)
    moments = [
        np.add.reduceat(sign * ring_sums(local, doubled * (axis[:-1] + axis[1:])), starts) for axis in (x, y)
    ]
    flat = np.abs(area) < 1e-300
    centre = np.column_stack(moments) / np.where(flat, np.inf, 3 * area)[:, None]
    return polygons.points[polygons.first_points] + centre


def contain(polygons: PolygonArray, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which shapes (n,) contain the point at their index in (n, 2): a ray crosses an odd number of edges."""
    x, y = np.repeat(points, polygons.n_points, axis=0).T
    (ax, ay), (bx, by) = polygons.points[:-1].T, polygons.points[1:].T
    passes = (ay > y[:-1]) != (by > y[:-1])
    rise = np.where(passes, by - ay, 1.0)
    crossed = passes & (x[:-1] < ax + (y[:-1] - ay) / rise * (bx - ax))
    per_ring = ring_sums(polygons, crossed.astype(np.float64))
    return np.asarray(np.add.reduceat(per_ring, polygons.shape_starts[:-1]) % 2 == 1, dtype=bool)


def ring_areas(polygons: PolygonArray) -> NDArray[np.float64]:
    """Signed area (r,) of every ring, positive where it runs counterclockwise."""
    local = _local(polygons)
    return ring_sums(local, _doubled_areas(local)) / 2


def _local(polygons: PolygonArray) -> PolygonArray:
    """Every shape relative to its first point, which reduces rounding errors of large coordinates."""
    origin = np.repeat(polygons.points[polygons.first_points], polygons.n_points, axis=0)
    return polygons.moved(polygons.points - origin)


def _doubled_areas(polygons: PolygonArray) -> NDArray[np.float64]:
    """Twice the signed area (k - 1,) between every edge and the origin."""
    x, y = polygons.points.T
    return np.asarray(x[:-1] * y[1:] - x[1:] * y[:-1], dtype=np.float64)
