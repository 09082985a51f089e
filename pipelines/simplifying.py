"""Outlines with fewer corners: those that touch keep their common borders. Knows no file and no column."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.components import components
from tiling.ragged import runs_of

METRES_A_DEGREE = 111_320.0
"""Of latitude; near enough for a tolerance."""


def simplified(shapes: NDArray[np.object_], tolerance_m: float) -> NDArray[np.object_]:
    """Leave out corners; polygons that make up a coverage together, side by side without overlaps, still do.

    Args:
        shapes: (n,) valid polygons and multipolygons, longitude and latitude, degrees.
        tolerance_m: how far an outline may move, about, metres.

    Returns:
        (n,) valid shapes of the same kinds.
    """
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    local = _scaled(shapes, _scales(middles[:, 1]))
    found = np.asarray(shapely.simplify(local, tolerance_m, preserve_topology=True), dtype=object)
    back = _scaled(found, 1 / _scales(middles[:, 1]))
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for group in runs_of(components(len(shapes), (a, b))):
        if len(group) > 1:
            back[group] = _coverage(shapes[group], tolerance_m, back[group])
    return back


def _coverage(
    shapes: NDArray[np.object_], tolerance_m: float, alone: NDArray[np.object_]
) -> NDArray[np.object_]:
    """Shapes that touch, simplified together; each on its own where they overlap."""
    if not shapely.coverage_is_valid(shapes):
        return alone
    scale = np.repeat(_scales(np.array([shapely.total_bounds(shapes)[1]])), len(shapes), axis=0)
    found = shapely.coverage_simplify(_scaled(shapes, scale), tolerance_m)
    return _scaled(np.asarray(found, dtype=object), 1 / scale)


def _scales(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) metres of a degree of longitude and latitude."""
    across = METRES_A_DEGREE * np.cos(np.radians(latitudes))
    return np.column_stack((np.maximum(across, 1.0), np.full(len(latitudes), METRES_A_DEGREE)))


def _scaled(shapes: NDArray[np.object_], scales: NDArray[np.float64]) -> NDArray[np.object_]:
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    return np.asarray(shapely.set_coordinates(shapes.copy(), points * scales[owner]), dtype=object)
