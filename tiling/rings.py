"""Polygons as rings of points in arrays, and what is measured on them. Knows no unit and no CRS."""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.polygons import POLYGON
from tiling.ragged import end_to_end, picked


@dataclass(frozen=True, slots=True)
class Rings:
    """Rings of polygons and multipolygons, those of one shape behind one another."""

    points: NDArray[np.float64]
    """(k, 2) x, y; every ring ends with its first point again."""
    starts: NDArray[np.int64]
    """(r + 1,) where each ring begins among the points, and where the last one ends."""
    shape: NDArray[np.int64]
    """(r,) the shape each ring is of, ascending from 0; every shape has one."""
    shell: NDArray[np.bool_]
    """(r,) it is the outer ring of a polygon; the holes of the polygon follow."""

    def __len__(self) -> int:
        return int(self.shape[-1]) + 1 if len(self.shape) else 0

    @property
    def shape_starts(self) -> NDArray[np.int64]:
        """(n + 1,) where the rings of each shape begin, and where the last ones end."""
        return np.append(np.flatnonzero(np.diff(self.shape, prepend=-1)), len(self.shape))

    @property
    def first_points(self) -> NDArray[np.int64]:
        """(n,) where the points of each shape begin."""
        return self.starts[self.shape_starts[:-1]]

    @property
    def n_points(self) -> NDArray[np.int64]:
        """(n,) points of each shape."""
        return np.diff(np.append(self.first_points, len(self.points)))

    @property
    def simple(self) -> NDArray[np.bool_]:
        """(n,) which shapes are one ring each."""
        return np.asarray(np.diff(self.shape_starts) == 1, dtype=bool)

    def take(self, index: NDArray[np.int64]) -> "Rings":
        """Some of the shapes, in a given order."""
        rings, begins = picked(self.shape_starts, index)
        shape = np.repeat(np.arange(len(index)), np.diff(begins))
        return replace(self._rings(rings), shape=shape)

    def _rings(self, rings: NDArray[np.int64]) -> "Rings":
        places, starts = picked(self.starts, rings)
        return Rings(self.points[places], starts, self.shape[rings], self.shell[rings])

    def moved(self, points: NDArray[np.float64]) -> "Rings":
        """The same rings with other points."""
        return replace(self, points=points)

    def shapes(self) -> NDArray[np.object_]:
        """The shapes (n,) as shapely polygons and multipolygons."""
        begins = np.append(np.flatnonzero(self.shell), len(self.shell))
        polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, self.points, (self.starts, begins))
        owner = self.shape[self.shell]
        several = np.flatnonzero(np.bincount(owner, minlength=len(self)) > 1)
        found = np.empty(len(self), dtype=object)
        found[owner] = polygons
        parts = np.isin(owner, several)
        if len(several):
            numbers = np.searchsorted(several, owner[parts])
            found[several] = shapely.multipolygons(polygons[parts], indices=numbers)
        return found


def rings_of(shapes: NDArray[np.object_]) -> Rings:
    """The rings of polygons and multipolygons (n,) that are not empty."""
    simple = (shapely.get_type_id(shapes) == POLYGON) & (shapely.get_num_interior_rings(shapes) == 0)
    plain = _of_rings(shapes[simple], np.arange(len(shapes))[simple], None)
    if simple.all():
        return plain
    polygons, owner = shapely.get_parts(shapes[~simple], return_index=True)
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    shell = np.diff(polygon, prepend=-1) != 0
    others = _of_rings(rings, np.flatnonzero(~simple)[owner[polygon]], shell)
    both = all_rings(plain, others)
    return both._rings(np.argsort(both.shape, kind="stable"))


def rings_of_boxes(corners: NDArray[np.float64]) -> Rings:
    """The rings of boxes given by (n, 5, 2) corners, the first one again at the end."""
    count = len(corners)
    return Rings(
        corners.reshape(-1, 2), np.arange(count + 1) * 5, np.arange(count), np.ones(count, dtype=bool)
    )


def _of_rings(
    shapes: NDArray[np.object_], numbers: NDArray[np.int64], shell: NDArray[np.bool_] | None
) -> Rings:
    """Shapes with one ring each, and the number each is to have."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    starts = np.append(np.flatnonzero(np.diff(owner, prepend=-1)), len(points))
    return Rings(points, starts, numbers, np.ones(len(shapes), dtype=bool) if shell is None else shell)


def all_rings(one: Rings, other: Rings) -> Rings:
    """Rings behind one another, their shapes numbered as they are."""
    return Rings(
        np.concatenate((one.points, other.points)),
        end_to_end((one.starts, other.starts)),
        np.concatenate((one.shape, other.shape)),
        np.concatenate((one.shell, other.shell)),
    )


def with_shapes(rings: Rings, places: NDArray[np.int64], others: Rings) -> Rings:
    """The shapes, those at some places replaced by others."""
    index = np.arange(len(rings))
    index[places] = len(rings) + np.arange(len(others))
    return all_rings(rings, replace(others, shape=others.shape + len(rings))).take(index)


def over_rings(rings: Rings, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (r,) over the edges of every ring.

    Args:
        rings: The rings.
        edges: (k - 1,) a number for every two neighbouring points; those between rings are left out.
    """
    counted = np.append(edges, 0.0)
    counted[rings.starts[1:] - 1] = 0.0
    return np.asarray(np.add.reduceat(counted, rings.starts[:-1]), dtype=np.float64)


def over_shapes(rings: Rings, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums (n,) of a number per ring (r,) over the rings of every shape, holes subtracted."""
    signed = np.where(rings.shell, np.abs(values), -np.abs(values))
    return np.asarray(np.add.reduceat(signed, rings.shape_starts[:-1]), dtype=np.float64)


def bounds_of(rings: Rings) -> NDArray[np.float64]:
    """(n, 4) least x, least y, greatest x, greatest y of every shape."""
    first = rings.first_points
    return np.hstack((np.minimum.reduceat(rings.points, first), np.maximum.reduceat(rings.points, first)))


def oriented(rings: Rings) -> Rings:
    """The same rings, shells counterclockwise and holes clockwise, each from the same first point."""
    lengths = np.diff(rings.starts)
    wrong = np.flatnonzero((over_rings(rings, _doubled_areas(rings)) > 0) != rings.shell)
    if not len(wrong):
        return rings
    order = np.arange(len(rings.points))
    places, _ = picked(rings.starts, wrong)
    order[places] = np.repeat(rings.starts[wrong] + rings.starts[wrong + 1] - 1, lengths[wrong]) - places
    return rings.moved(rings.points[order])


def centroids(rings: Rings) -> NDArray[np.float64]:
    """(n, 2) centroid of every shape, holes left out; the first point of one without area."""
    origin = np.repeat(rings.points[rings.first_points], rings.n_points, axis=0)
    local = rings.moved(rings.points - origin)
    x, y = local.points.T
    doubled = _doubled_areas(local)
    ring_areas = over_rings(local, doubled)
    sign = np.where((ring_areas > 0) == rings.shell, 1.0, -1.0)
    starts = rings.shape_starts[:-1]
    area = np.add.reduceat(sign * ring_areas, starts)
    moments = [
        np.add.reduceat(sign * over_rings(local, doubled * (axis[:-1] + axis[1:])), starts) for axis in (x, y)
    ]
    flat = np.abs(area) < 1e-300
    centre = np.column_stack(moments) / np.where(flat, np.inf, 3 * area)[:, None]
    return rings.points[rings.first_points] + centre


def contain(rings: Rings, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which shapes (n,) have their own one of (n, 2) points inside: a ray crosses an odd number of edges."""
    x, y = np.repeat(points, rings.n_points, axis=0).T
    (ax, ay), (bx, by) = rings.points[:-1].T, rings.points[1:].T
    passes = (ay > y[:-1]) != (by > y[:-1])
    rise = np.where(passes, by - ay, 1.0)
    crossed = passes & (x[:-1] < ax + (y[:-1] - ay) / rise * (bx - ax))
    per_ring = over_rings(rings, crossed.astype(np.float64))
    return np.asarray(np.add.reduceat(per_ring, rings.shape_starts[:-1]) % 2 == 1, dtype=bool)


def areas_in_boxes(rings: Rings, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (n,) of every shape in its own one of (n, 4) boxes x0, y0, x1, y1; exact.

    Of a ring, it is the integral of the distance from the box's left side, held between 0 and the box's
    width, over the way up and down within the box's height.
    """
    box = np.repeat(boxes, rings.n_points, axis=0)[:-1]
    width, height = (box[:, 2:] - box[:, :2]).T
    (ax, ay), (bx, by) = (rings.points[:-1] - box[:, :2]).T, (rings.points[1:] - box[:, :2]).T
    up = by - ay
    low, high = np.clip(ay, 0.0, height), np.clip(by, 0.0, height)
    slope = (bx - ax) / np.where(up == 0, 1.0, up)
    left, right = ax + (low - ay) * slope, ax + (high - ay) * slope
    return over_shapes(rings, over_rings(rings, (high - low) * _mean_held(left, right, width)))


def _mean_held(
    one: NDArray[np.float64], other: NDArray[np.float64], limit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of a number, held between 0 and a limit, on the straight way from one value to another."""

    def integral(value: NDArray[np.float64]) -> NDArray[np.float64]:
        held = np.clip(value, 0.0, limit)
        return held * held / 2 + limit * np.clip(value - limit, 0.0, None)

    apart = np.abs(other - one) > 1e-7
    step = np.where(apart, other - one, 1.0)
    return np.where(apart, (integral(other) - integral(one)) / step, np.clip((one + other) / 2, 0.0, limit))


def _doubled_areas(rings: Rings) -> NDArray[np.float64]:
    """Twice the signed area (k - 1,) between every edge and the origin."""
    x, y = rings.points.T
    return np.asarray(x[:-1] * y[1:] - x[1:] * y[:-1], dtype=np.float64)
