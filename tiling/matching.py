"""Which fragments of neighbouring tiles show the same thing. Knows pixel geometry only."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.components import Pairs

BATCH = 100_000
"""Pairs worked on at a time: their shared polygons are held in memory."""


def matching_pairs(geometry: NDArray[np.object_], tiles: NDArray[np.float64], *, tau: float) -> Pairs:
    """Pairs of geometries of different tiles that share enough of the strip both tiles see.

    They match if the area they share is at least `tau` of the lesser of their areas in the strip. Tiles
    that only abut share a line instead of a strip; there the lengths on that line are compared.

    Args:
        geometry: (n,) valid polygons, pixels.
        tiles: (n, 4) x0, y0, x1, y1 of the tile each was seen in, pixels.
        tau: Share, 0 to 1.

    Returns:
        First and second indexes (m,) of the pairs, first < second, sorted.
    """
    first, second = _near_pairs(geometry, tiles)
    match = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), BATCH):
        part = np.s_[start : start + BATCH]
        match[part] = _match(geometry, tiles, (first[part], second[part]), tau)
    first, second = first[match], second[match]
    order = np.lexsort((second, first))
    return first[order], second[order]


def _match(
    geometry: NDArray[np.object_], tiles: NDArray[np.float64], pairs: Pairs, tau: float
) -> NDArray[np.bool_]:
    first, second = pairs
    strips = _strips(tiles, first, second)
    lined = (strips[:, 0] == strips[:, 2]) | (strips[:, 1] == strips[:, 3])
    shared = shapely.intersection(geometry[first], geometry[second])
    together = np.where(lined, shapely.length(shared), shapely.area(shared))
    one, other = (_within(geometry, index, strips, lined) for index in pairs)
    return np.asarray((together > 0) & (together >= tau * np.minimum(one, other)))


def _near_pairs(geometry: NDArray[np.object_], tiles: NDArray[np.float64]) -> Pairs:
    """Pairs of different tiles that touch, each once."""
    a, b = shapely.STRtree(geometry).query(geometry, predicate="intersects")
    kept = (a < b) & (tiles[a] != tiles[b]).any(axis=1)
    return a[kept], b[kept]


def _strips(
    tiles: NDArray[np.float64], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(m, 4) what the tiles of each pair both see."""
    low = np.maximum(tiles[first, :2], tiles[second, :2])
    high = np.minimum(tiles[first, 2:], tiles[second, 2:])
    return np.hstack((low, np.maximum(low, high)))


def _within(
    geometry: NDArray[np.object_],
    index: NDArray[np.int64],
    strips: NDArray[np.float64],
    lined: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Area of each geometry in its strip, length where the strip is a line, (m,)."""
    chosen = geometry[index]
    bounds = shapely.bounds(chosen)
    measure = np.asarray(shapely.area(chosen), dtype=np.float64)
    cut = ((bounds[:, :2] < strips[:, :2]) | (bounds[:, 2:] > strips[:, 2:])).any(axis=1)
    low, high = strips[cut, :2], strips[cut, 2:]
    ground = np.asarray(shapely.box(*low.T, *high.T), dtype=object)
    ground[lined[cut]] = shapely.linestrings(np.stack((low, high), axis=1)[lined[cut]])
    inside = shapely.intersection(chosen[cut], ground)
    measure[cut] = np.where(lined[cut], shapely.length(inside), shapely.area(inside))
    return measure
