"""Matches outlines that show the same object, in working pixels, and groups what matches into objects."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import (
    SNAP_PX,
    Pairs,
    PolygonArray,
    Ragged,
    areas_in_boxes,
    components,
    group_by,
    shared_areas,
    snapped,
)
from tiling.merge.fragment_table import Extents, extents_of
from tiling.merge.tolerances import INSIDE_PX

PAIR_BATCH = 100_000
"""Pairs that are compared at a time, which bounds the memory."""

SURE_PX2 = 1e-6
"""Rounding tolerance: bounds of areas are conclusive only if they miss the limit by more than this."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """Outlines and the tiles in which they were detected, (n,) each."""

    polygons: PolygonArray
    """Valid polygons, working pixels."""
    extents: Extents
    """The extents of the outlines."""
    tiles: NDArray[np.int64]
    """(n, 4) x0, y0, x1, y1 of the tile of each, working pixels."""

    def __len__(self) -> int:
        return len(self.tiles)


@dataclass(frozen=True, slots=True)
class Matches:
    """Pairs that show the same object, sorted; (m,) each."""

    first: NDArray[np.int64]
    """Index of the first of each pair."""
    second: NDArray[np.int64]
    """Index of the second."""
    first_inside: NDArray[np.bool_]
    """The first lies inside the second's tile."""
    second_inside: NDArray[np.bool_]
    """The second lies inside the first's tile."""

    @property
    def pairs(self) -> Pairs:
        """First and second indexes."""
        return self.first, self.second

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> "Matches":
        """Some of them."""
        return Matches(
            self.first[index], self.second[index], self.first_inside[index], self.second_inside[index]
        )


def concat_matches(parts: Sequence[Matches]) -> Matches:
    """The pairs of several parts, at least one, one part after another."""
    return Matches(
        *(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Matches))
    )


def outlines_of(polygons: PolygonArray, tiles: NDArray[np.int64]) -> Outlines:
    """Outlines with their extents.

    Args:
        polygons: (n,) valid polygons, working pixels.
        tiles: (n, 4) x0, y0, x1, y1 of the tile of each, working pixels.
    """
    return Outlines(polygons, extents_of(polygons), tiles)


def matches_within(outlines: Outlines, *, tau: float) -> Matches:
    """Pairs of outlines of different tiles that share enough area in the strip where the tiles overlap.

    They match if the area they share is at least `tau` times the smaller of their areas in the strip. Tiles
    that only abut share a line instead of a strip; there the lengths on that line are compared.

    Args:
        outlines: All outlines.
        tau: Share, 0 to 1.

    Returns:
        The pairs, with the lower index first.
    """
    a, b = _near(outlines, outlines)
    once = a < b
    a, b = a[once], b[once]
    x, y = outlines.tiles[:, :2].T
    kept = (x[a] != x[b]) | (y[a] != y[b])
    return _matches(outlines, outlines, (a[kept], b[kept]), tau)


def matches_between(one: Outlines, other: Outlines, *, tau: float) -> Matches:
    """Pairs of an outline of one part of a scene and one of another part; the parts share no tile.

    Args:
        one: Outlines of the first part.
        other: Those of the second, of the same grid.
        tau: Share, 0 to 1.
    """
    return _matches(one, other, _near(one, other), tau)


def _near(one: Outlines, other: Outlines) -> Pairs:
    """Pairs whose extents meet, with a tolerance for rounding if the tiles only abut."""
    margin = SNAP_PX if _abut(np.concatenate((one.tiles, other.tiles))) else 0.0
    here = _diagonals(one.extents, margin)
    there = here if other is one else _diagonals(other.extents, margin)
    a, b = shapely.STRtree(there).query(here)
    return a, b


def _diagonals(extents: Extents, margin: float) -> NDArray[np.object_]:
    """Lines (n,) with the bounding boxes of outlines, widened by a margin; faster to make than boxes."""
    wide = extents.bounds + np.array([-margin, -margin, margin, margin])
    return np.asarray(shapely.linestrings(wide.reshape(-1, 2, 2)), dtype=object)


def _abut(tiles: NDArray[np.int64]) -> bool:
    """Whether some of these tiles abut or are apart, without a common strip."""
    sides = np.max(tiles[:, 2:] - tiles[:, :2], axis=0, initial=0)
    steps = [np.diff(np.unique(starts)) for starts in tiles[:, :2].T]
    return any(len(step) and step.max() >= side for step, side in zip(steps, sides, strict=True))


def _matches(one: Outlines, other: Outlines, near: Pairs, tau: float) -> Matches:
    a, b = near
    found = np.concatenate(
        [np.empty(0, dtype=bool)]
        + [
            _match(one, other, (a[part], b[part]), tau)
            for part in (np.s_[start : start + PAIR_BATCH] for start in range(0, len(a), PAIR_BATCH))
        ]
    )
    a, b = a[found], b[found]
    order = np.lexsort((b, a))
    a, b = a[order], b[order]
    return Matches(
        a,
        b,
        _inside(one.extents.bounds.take(a, axis=0), other.tiles.take(b, axis=0)),
        _inside(other.extents.bounds.take(b, axis=0), one.tiles.take(a, axis=0)),
    )


def _inside(bounds: NDArray[np.float64], tiles: NDArray[np.int64]) -> NDArray[np.bool_]:
    (x0, y0, x1, y1), (left, top, right, bottom) = bounds.T, tiles.T
    low = (x0 >= left - INSIDE_PX) & (y0 >= top - INSIDE_PX)
    return np.asarray(low & (x1 <= right + INSIDE_PX) & (y1 <= bottom + INSIDE_PX), dtype=bool)


def _match(one: Outlines, other: Outlines, near: Pairs, tau: float) -> NDArray[np.bool_]:
    """Which of (m,) pairs match; outlines are compared only if their extents are inconclusive."""
    a, b = near
    strips = _common(one.tiles.take(a, axis=0), other.tiles.take(b, axis=0))
    lined = np.asarray((strips[:, 0] == strips[:, 2]) | (strips[:, 1] == strips[:, 3]))
    first, second = one.extents.take(a), other.extents.take(b)
    within = [_bounded(each, strips) for each in (first, second)]
    low, high = (np.minimum(*ends) for ends in zip(*within, strict=True))
    match = (_shared_at_least(first, second) >= tau * high + SURE_PX2) & ~lined
    never = (_shared_at_most(first, second) < tau * low - SURE_PX2) & ~lined
    doubt = np.flatnonzero(~match & ~never)
    polygons = one.polygons.take(a[doubt]), other.polygons.take(b[doubt])
    match[doubt] = _match_closely(*polygons, strips.take(doubt, axis=0), lined[doubt], tau)
    return np.asarray(match, dtype=bool)


def _match_closely(
    one: PolygonArray, other: PolygonArray, strips: NDArray[np.float64], lined: NDArray[np.bool_], tau: float
) -> NDArray[np.bool_]:
    """Which pairs match, by their areas in the strips and their shared area."""
    if not len(one):
        return np.zeros(0, dtype=bool)
    smaller = np.minimum(*(areas_in_boxes(each, strips) for each in (one, other)))
    shared = shared_areas(one, other)
    match = (shared > SURE_PX2) & (shared >= tau * smaller - SURE_PX2)
    linear = np.flatnonzero(lined)
    shapes = [each.take(linear).shapes() for each in (one, other)]
    match[linear] = _match_along(shapes[0], shapes[1], strips[linear], tau)
    return np.asarray(match, dtype=bool)


def _match_along(
    one: NDArray[np.object_], other: NDArray[np.object_], strips: NDArray[np.float64], tau: float
) -> NDArray[np.bool_]:
    """Which pairs share enough of the smaller length along strips that are lines."""
    one, other = snapped(one), snapped(other)
    lines = np.asarray(shapely.linestrings(strips.reshape(-1, 2, 2)), dtype=object)
    smaller = np.minimum(*(shapely.length(shapely.intersection(each, lines)) for each in (one, other)))
    together = shapely.length(shapely.intersection(one, other))
    return np.asarray((together > 0) & (together >= tau * smaller), dtype=bool)


def _bounded(
    extents: Extents, strips: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimum and maximum area (m,) that outlines can have in their strips, by their extents."""
    inside, box = _sizes(_common(extents.bounds, strips)), _sizes(extents.bounds)
    return np.clip(extents.area - (box - inside), 0.0, None), np.minimum(extents.area, inside)


def _shared_at_least(one: Extents, other: Extents) -> NDArray[np.float64]:
    """Minimum area (m,) that pairs share: the sum of their areas minus that of an octagon around both."""
    low = np.minimum(one.bounds[:, :2], other.bounds[:, :2])
    high = np.maximum(one.bounds[:, 2:], other.bounds[:, 2:])
    around = np.hstack((low, high))
    return np.asarray(one.area + other.area - _octagons(one, other, around), dtype=np.float64)


def _octagons(one: Extents, other: Extents, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Upper bound (m,) of the area of the octagons around the pairs: (m, 4) boxes with cut corners."""
    x0, y0, x1, y1 = boxes.T
    u0, v0 = np.minimum(one.slants[:, :2], other.slants[:, :2]).T
    u1, v1 = np.maximum(one.slants[:, 2:], other.slants[:, 2:]).T
    most = np.minimum(x1 - x0, y1 - y0) / 2  # with cuts up to this, corners do not meet
    legs = (np.clip(leg, 0.0, most) for leg in (x1 + y1 - u1, u0 - x0 - y0, x1 - y0 - v1, v0 - x0 + y1))
    return np.asarray((x1 - x0) * (y1 - y0) - sum(leg**2 for leg in legs) / 2, dtype=np.float64)


def _shared_at_most(one: Extents, other: Extents) -> NDArray[np.float64]:
    """Maximum area (m,) that pairs can share: the shared area of their bounding boxes."""
    return _sizes(_common(one.bounds, other.bounds))


def _sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas (m,) of (m, 4) boxes."""
    x0, y0, x1, y1 = boxes.T
    return np.asarray((x1 - x0) * (y1 - y0), dtype=np.float64)


def _common(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Intersections (m, 4) of pairs of boxes; of zero size if they do not intersect."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    return np.hstack((low, np.maximum(low, high))).astype(np.float64, copy=False)


def resolve_clusters(
    suppressed: NDArray[np.bool_],
    pairs: Pairs,
    *,
    truncated: NDArray[np.bool_],
    priority: NDArray[np.float64],
) -> Ragged:
    """Group the members that are not suppressed into objects.

    Args:
        suppressed: (n,) true for suppressed members.
        pairs: Members that match.
        truncated: (n,) true for truncated members, which are united with all members they match.
        priority: (n,) of complete members that match, the one with the highest represents the object.

    Returns:
        The members of every object, ascending; objects by their first member.
    """
    first, second = pairs
    alive = ~(suppressed[first] | suppressed[second])
    pairs = first[alive], second[alive]
    labels, left = components(len(suppressed), pairs), np.flatnonzero(~suppressed)
    clusters = group_by(labels[left])
    clusters = Ragged(left[clusters.values], clusters.starts)
    if not len(clusters):
        return clusters
    begins = clusters.starts[:-1]
    together = np.logical_or.reduceat(truncated[clusters.values], begins) | (clusters.lengths == 1)
    members = clusters.take(np.flatnonzero(~together)).values
    united = clusters.take(np.flatnonzero(together))
    ranked = members[np.lexsort((members, -priority[members], labels[members]))]
    alone = _representatives(ranked, pairs, len(suppressed))
    values = np.concatenate((united.values, alone))
    starts = np.concatenate((united.starts, united.starts[-1] + 1 + np.arange(len(alone))))
    order = np.argsort(values[starts[:-1]], kind="stable")
    return Ragged(values, starts).take(order)


def _representatives(ranked: NDArray[np.int64], pairs: Pairs, count: int) -> NDArray[np.int64]:
    """The complete members, best first, that match no earlier representative.

    A member is dropped only if it matches a representative, not if it matches a dropped member: so of two
    objects that one tile separates, neither is lost to a mask over both in another tile.
    """
    place = np.full(count, -1)
    place[ranked] = np.arange(len(ranked))
    one, other = (place[index] for index in pairs)
    inside = (one >= 0) & (other >= 0)
    before, after = np.minimum(one, other)[inside], np.maximum(one, other)[inside]
    represents = [True] * len(ranked)
    turn = np.lexsort((after, before))
    for better, worse in zip(before[turn].tolist(), after[turn].tolist(), strict=True):
        if represents[better]:
            represents[worse] = False
    return np.asarray(ranked[np.array(represents, dtype=bool)], dtype=np.int64)
