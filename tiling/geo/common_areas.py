"""Exact areas that polygons share with boxes and with one another, for many pairs at once; for matching."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo.groups import take_offsets
from tiling.geo.polygon_array import PolygonArray, ring_areas, ring_sums, shape_sums

EDGE_PAIRS = 512
"""Two shapes with more pairs of edges than this are intersected by shapely, which is faster for these and
whose memory does not grow with the square of their size."""

_BATCH = 1_000_000
"""Pairs of edges that are computed at a time."""


@dataclass(frozen=True, slots=True)
class _Edges:
    """The edges of shapes that are not vertical, shape by shape, (e,) each."""

    left: NDArray[np.float64]
    """Minimum x."""
    right: NDArray[np.float64]
    """Maximum x."""
    height: NDArray[np.float64]
    """y at the minimum x."""
    slope: NDArray[np.float64]
    """Rise of y over x."""
    sign: NDArray[np.float64]
    """1 where the shape lies below the edge, -1 where it lies above."""
    starts: NDArray[np.int64]
    """(n + 1,) index of the first edge of each shape, and the number of all edges."""

    def at(self, index: NDArray[np.int64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The y of some edges at given x."""
        return self.height[index] + self.slope[index] * (x - self.left[index])


def areas_in_boxes(polygons: PolygonArray, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area (n,) of every shape inside the box x0, y0, x1, y1 at its index in (n, 4) boxes; exact.

    For a ring, the area is the integral over y, along the ring within the box's height, of the distance from
    the box's left side, clamped to 0 and the box's width.
    """
    box = np.repeat(boxes, polygons.n_points, axis=0)[:-1]
    width, height = (box[:, 2:] - box[:, :2]).T
    (ax, ay), (bx, by) = (polygons.points[:-1] - box[:, :2]).T, (polygons.points[1:] - box[:, :2]).T
    up = by - ay
    low, high = np.clip(ay, 0.0, height), np.clip(by, 0.0, height)
    slope = (bx - ax) / np.where(up == 0, 1.0, up)
    left, right = ax + (low - ay) * slope, ax + (high - ay) * slope
    return shape_sums(polygons, ring_sums(polygons, (high - low) * _mean_clamped(left, right, width)))


def _mean_clamped(
    one: NDArray[np.float64], other: NDArray[np.float64], limit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean of a number, clamped to 0 and a limit, that changes linearly from one value to another."""

    def integral(value: NDArray[np.float64]) -> NDArray[np.float64]:
        held = np.clip(value, 0.0, limit)
        return held * held / 2 + limit * np.clip(value - limit, 0.0, None)

    apart = np.abs(other - one) > 1e-7
    step = np.where(apart, other - one, 1.0)
    return np.where(apart, (integral(other) - integral(one)) / step, np.clip((one + other) / 2, 0.0, limit))


def shared_areas(one: PolygonArray, other: PolygonArray) -> NDArray[np.float64]:
    """Area (n,) that every shape shares with the shape at the same index among others; exact.

    The indicator of a shape is the sum over its edges of the region below the edge, with sign 1 for upper and
    -1 for lower edges. The shared area is therefore the sum, over all pairs of edges, of the area below both,
    times the product of their signs. Since the signs of a shape's edges cancel at every x, it is enough to
    integrate how far one edge lies below the other.

    Args:
        one: (n,) valid polygons and multipolygons.
        other: (n,) as many.
    """
    n_pairs = one.n_points * other.n_points
    few = np.flatnonzero(n_pairs <= EDGE_PAIRS)
    many = np.flatnonzero(n_pairs > EDGE_PAIRS)
    areas = np.zeros(len(one))
    number = np.cumsum(n_pairs[few]) // _BATCH
    for part in np.split(few, np.flatnonzero(np.diff(number)) + 1):
        areas[part] = _by_edges(_edges_of(one.take(part)), _edges_of(other.take(part)))
    if len(many):
        cut = shapely.intersection(one.take(many).shapes(), other.take(many).shapes())
        areas[many] = shapely.area(cut)
    return areas


def _edges_of(polygons: PolygonArray) -> _Edges:
    (ax, ay), (bx, by) = polygons.points[:-1].T, polygons.points[1:].T
    leads = ax != bx
    leads[polygons.starts[1:-1] - 1] = False  # these pairs of points belong to different rings
    index = np.flatnonzero(leads)
    ax, ay, bx, by = (side[index] for side in (ax, ay, bx, by))
    ring = np.searchsorted(polygons.starts, index, side="right") - 1
    below = (ring_areas(polygons) > 0) == polygons.shell  # shells run counterclockwise, holes clockwise
    forth = bx > ax
    sign = np.where(forth == below[ring], -1.0, 1.0)
    return _Edges(
        left=np.where(forth, ax, bx),
        right=np.where(forth, bx, ax),
        height=np.where(forth, ay, by),
        slope=(by - ay) / (bx - ax),
        sign=sign,
        starts=np.searchsorted(ring, polygons.shape_starts),
    )


def _by_edges(one: _Edges, other: _Edges) -> NDArray[np.float64]:
    """Area (n,) that shapes share pair by pair, by their edges."""
    widths = np.diff(other.starts)
    shape = np.repeat(np.arange(len(widths)), np.diff(one.starts))
    second, starts = take_offsets(other.starts, shape)
    first = np.repeat(np.arange(len(shape)), np.diff(starts))
    left = np.maximum(one.left[first], other.left[second])
    right = np.minimum(one.right[first], other.right[second])
    over = np.flatnonzero(right > left)
    first, second, left, right = first[over], second[over], left[over], right[over]
    here, there = (one.at(first, x) - other.at(second, x) for x in (left, right))
    below = np.minimum(here, 0.0), np.minimum(there, 0.0)
    change = there - here
    share = np.where(change == 0, 1.0, (below[1] - below[0]) / np.where(change == 0, 1.0, change))
    sign = one.sign[first] * other.sign[second]
    values = sign * (right - left) * (below[0] + below[1]) / 2 * share
    shared = np.bincount(shape[first], values, minlength=len(widths))
    return shared.astype(np.float64)  # bincount gives integers if there are no values
