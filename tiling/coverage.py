"""The ground that a scene's planned tiles see. Knows tiles and windows, no scene beside it."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.grid import Grid
from tiling.ownership import window_boxes
from tiling.window import Window

NEAR_TILES = 2
"""A tile's window may meet that of the next tile but one, where the last is shifted back."""


def covered(grid: Grid, wanted: NDArray[np.bool_] | None) -> shapely.Geometry:
    """What the windows of the planned tiles cover together, work pixels.

    Args:
        grid: The scene's tiles.
        wanted: (rows, columns), true where a tile is planned; None where all are.
    """
    if wanted is None:
        return shapely.box(0, 0, grid.width, grid.height)
    ground: shapely.Geometry = shapely.union_all(window_boxes(grid)[wanted])
    return ground


def unplanned_beside(grid: Grid, wanted: NDArray[np.bool_] | None) -> list[Window]:
    """Windows of the tiles that are not planned, where they meet a planned tile's, row by row.

    Args:
        grid: The scene's tiles.
        wanted: (rows, columns), true where a tile is planned; None where all are.
    """
    if wanted is None:
        return []
    near = ~wanted & _widened(_widened(wanted).T).T
    return [grid.tile(row, col).window for row, col in np.argwhere(near).tolist()]


def _widened(wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True within so many rows of a true one."""
    rows = len(wanted)
    padded = np.pad(wanted, ((NEAR_TILES, NEAR_TILES), (0, 0)))
    shifts = [padded[shift : shift + rows] for shift in range(2 * NEAR_TILES + 1)]
    return np.asarray(np.logical_or.reduce(shifts), dtype=bool)
