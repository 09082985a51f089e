"""Found against true objects: greedy matching on overlap. Knows no model and no file layout."""

from collections.abc import Sequence
from dataclasses import dataclass

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Score:
    """How well the found objects of one question are the true ones."""

    true: int
    """True objects."""
    found: int
    """Found objects."""
    right: int
    """Found objects that match a true one of their own."""

    @property
    def precision(self) -> float:
        """Share of the found that are right; 1 where nothing is found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """Share of the true that are found; 1 where there is nothing to find."""
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def score_objects(found: geopandas.GeoSeries, true: geopandas.GeoSeries, *, iou: float = MATCH_IOU) -> Score:
    """Match each object to at most one other, best overlap first.

    Args:
        found: polygons in any CRS.
        true: polygons in any CRS.
        iou: intersection over union from which two are the same.
    """
    if found.empty or true.empty:
        return Score(len(true), len(found), 0)
    lonlat = true.to_crs("OGC:CRS84")
    west, south, east, north = lonlat.total_bounds
    flat = f"+proj=laea +lon_0={(west + east) / 2} +lat_0={(south + north) / 2}"
    ious, pairs = _overlaps(found.to_crs(flat).to_numpy(), lonlat.to_crs(flat).to_numpy())
    keep = ious >= iou
    return Score(len(true), len(found), len(_greedy(pairs[:, keep], ious[keep])))


def _overlaps(
    found: NDArray[np.object_], true: NDArray[np.object_]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Overlap (n,) of all touching pairs, and the pairs (2, n): found, true."""
    pairs = shapely.STRtree(true).query(found, predicate="intersects")
    both = shapely.area(shapely.intersection(found[pairs[0]], true[pairs[1]]))
    either = shapely.area(found[pairs[0]]) + shapely.area(true[pairs[1]]) - both
    return both / either, pairs


def _greedy(pairs: NDArray[np.int64], ious: NDArray[np.float64]) -> Sequence[tuple[int, int]]:
    matched: list[tuple[int, int]] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for index in np.lexsort((pairs[1], pairs[0], -ious)):
        one, other = int(pairs[0, index]), int(pairs[1, index])
        if one not in used[0] and other not in used[1]:
            matched.append((one, other))
            used[0].add(one)
            used[1].add(other)
    return matched
