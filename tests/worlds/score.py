"""Found objects against true ones: what the product's score counts, and duplicates and the bias of areas.

The matching is the product's own.
"""

from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import greedy_pairs


@dataclass(frozen=True, slots=True)
class Score:
    """How well found objects are the true ones."""

    found: int
    """Found objects."""
    true: int
    """True objects."""
    right: int
    """Found objects matched to a true one of their own."""
    duplicates: int
    """Found objects whose true one is taken by a better match."""
    area_bias: float
    """Sum of found areas over sum of true areas of the matches, minus 1."""
    worst_iou: float
    """Smallest overlap of a match; 0 where there is none."""

    @property
    def is_exact(self) -> bool:
        """Every object found once, nothing else found, areas right within 1 %."""
        return self.found == self.true == self.right and not self.duplicates and abs(self.area_bias) < 0.01


def score(found: gpd.GeoDataFrame, true: gpd.GeoDataFrame, *, iou: float = 0.9) -> Score:
    """Compare in an equal-area projection about the truth's centre.

    Args:
        found: polygons with a CRS.
        true: polygons with a CRS, at least one.
        iou: overlap from which two are the same.
    """
    west, south, east, north = true.to_crs("OGC:CRS84").total_bounds
    flat = f"+proj=laea +lon_0={(west + east) / 2} +lat_0={(south + north) / 2} +units=m"
    shapes, truths = (np.asarray(table.geometry.to_crs(flat)) for table in (found, true))
    first, second = shapely.STRtree(truths).query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes[first], truths[second]))
    overlap = shared / (shapely.area(shapes[first]) + shapely.area(truths[second]) - shared)
    keep = overlap >= iou
    return _matched(shapes, truths, (first[keep], second[keep], overlap[keep]))


def _matched(
    shapes: NDArray[np.object_],
    truths: NDArray[np.object_],
    pairs: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]],
) -> Score:
    chosen = greedy_pairs(*pairs)
    first, second, overlap = (each[chosen] for each in pairs)
    worst = float(overlap[-1]) if len(chosen) else 0.0
    bias = (
        float(shapely.area(shapes[first]).sum() / shapely.area(truths[second]).sum() - 1)
        if len(chosen)
        else 0.0
    )
    duplicates = len(np.setdiff1d(pairs[0], first))
    return Score(len(shapes), len(truths), len(chosen), duplicates, bias, worst)
