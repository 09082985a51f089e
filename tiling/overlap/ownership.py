"""Ownership of ground that several scenes cover, and the tiles of each scene that follow from it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Axis, Grid, Scene, Window
from tiling.geo import moved_between
from tiling.overlap.coverage import THIN_PX, SceneCoverage

MIN_SHARED_PX = 8
"""Minimum width by which scenes cover each other's ground along the border, so that objects across the border
are merged, working pixels."""


def by_priority(scenes: Sequence[Scene]) -> list[int]:
    """Indexes of scenes by priority for owning shared ground: newest first, undated last, then by id."""
    return sorted(range(len(scenes)), key=lambda index: _rank(scenes[index]))


def owned_ground(
    coverages: Sequence[SceneCoverage], before: Sequence[int], own: int
) -> shapely.Geometry | None:
    """The part of a scene where no scene of higher priority holds data.

    Args:
        coverages: of all scenes.
        before: indexes of those that overlap it and have the higher priority.
        own: index of the scene.

    Returns:
        Ground in the scene's working pixels, None if the scene owns all of it.

    Raises:
        SceneError: a coordinate cannot be expressed in another scene's CRS.
    """
    if not before:
        return None
    grid, others = coverages[own].grid, [coverages[index] for index in before]
    taken = [moved_between([other.valid], other.grid, grid)[0] for other in others]
    left: shapely.Geometry = shapely.difference(grid.area, shapely.union_all(shapely.make_valid(taken)))
    return left


def wanted_tiles(
    grid: Grid, *, owned: shapely.Geometry | None = None, asked: shapely.Geometry | None = None
) -> NDArray[np.bool_] | None:
    """Select the tiles of a scene that are to be answered.

    Args:
        grid: The scene's tiles.
        owned: Ground that the scene owns, working pixels: a tile is selected if its core meets it. None: all.
        asked: The area of interest, working pixels: a tile is selected if its window meets it. None: all.

    Returns:
        (rows, columns), true where the tile is selected; None if all are.
    """
    if owned is None and asked is None:
        return None
    wanted = np.ones((grid.rows.count, grid.columns.count), dtype=bool)
    if owned is not None:
        wanted &= _meeting(_widened_ground(owned, grid.overlap_px), core_boxes(grid))
    if asked is not None:
        wanted &= _meeting(asked, window_boxes(grid))
    return None if wanted.all() else wanted


def core_boxes(grid: Grid) -> NDArray[np.object_]:
    """(rows, columns) cores of a grid's tiles, working pixels."""
    x0, x1 = _cores(grid.columns)
    y0, y1 = _cores(grid.rows)
    return np.asarray(shapely.box(x0[None, :], y0[:, None], x1[None, :], y1[:, None]), dtype=object)


def window_boxes(grid: Grid) -> NDArray[np.object_]:
    """(rows, columns) windows of a grid's tiles, clipped to the scene, working pixels."""
    x0, x1 = _windows(grid.columns)
    y0, y1 = _windows(grid.rows)
    return np.asarray(shapely.box(x0[None, :], y0[:, None], x1[None, :], y1[:, None]), dtype=object)


def _cores(axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    cuts = np.array([axis.cut(index) for index in range(axis.count + 1)], dtype=np.float64)
    return cuts[:-1], cuts[1:]


def _windows(axis: Axis) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    starts = np.array([axis.start(index) for index in range(axis.count)], dtype=np.float64)
    return starts, np.minimum(starts + axis.tile_px, axis.length)


def _widened_ground(owned: shapely.Geometry, overlap_px: int) -> shapely.Geometry:
    """Owned ground without slivers, widened where needed so that both scenes cover the border.

    Windows reach past cores by half the overlap; if that is too little, a further tile is needed.
    """
    firm = shapely.buffer(owned, -THIN_PX, join_style="mitre")
    more = MIN_SHARED_PX - overlap_px / 2
    return firm if more <= 0 else shapely.buffer(firm, THIN_PX + more, join_style="mitre")


def _meeting(ground: shapely.Geometry, boxes: NDArray[np.object_]) -> NDArray[np.bool_]:
    shapely.prepare(ground)
    return np.asarray(shapely.intersects(ground, boxes) & ~shapely.touches(ground, boxes), dtype=bool)


def _rank(scene: Scene) -> tuple[bool, float, str]:
    if scene.datetime is None:
        return True, 0.0, scene.scene_id
    instant = datetime.fromisoformat(scene.datetime)
    known = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return False, -known.timestamp(), scene.scene_id


def neighbours(outlines: Sequence[shapely.Geometry]) -> list[tuple[int, ...]]:
    """Per outline, the indexes of the others that touch it, ascending.

    Args:
        outlines: Ground footprints, longitude and latitude, split at ±180°.
    """
    if not outlines:
        return []
    shapes = np.asarray(outlines, dtype=object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    found: list[list[int]] = [[] for _ in outlines]
    for one, other in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if one != other:
            found[one].append(other)
    return [tuple(each) for each in found]


NEAR_TILES = 2
"""Windows of tiles this many rows or columns apart may meet, as the last tile is shifted back."""


def covered(grid: Grid, wanted: NDArray[np.bool_] | None) -> shapely.Geometry:
    """The union of the windows of the planned tiles, working pixels.

    Args:
        grid: The scene's tiles.
        wanted: (rows, columns), true where a tile is planned; None if all are.
    """
    if wanted is None:
        return shapely.box(0, 0, grid.width, grid.height)
    ground: shapely.Geometry = shapely.union_all(window_boxes(grid)[wanted])
    return ground


def unplanned_beside(grid: Grid, wanted: NDArray[np.bool_] | None) -> list[Window]:
    """Windows of unplanned tiles that meet the window of a planned tile, row by row.

    Args:
        grid: The scene's tiles.
        wanted: (rows, columns), true where a tile is planned; None if all are.
    """
    if wanted is None:
        return []
    near = ~wanted & _widened(_widened(wanted).T).T
    return [grid.tile(row, col).window for row, col in np.argwhere(near).tolist()]


def _widened(wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True within `NEAR_TILES` rows of a true element."""
    rows = len(wanted)
    padded = np.pad(wanted, ((NEAR_TILES, NEAR_TILES), (0, 0)))
    shifts = [padded[shift : shift + rows] for shift in range(2 * NEAR_TILES + 1)]
    return np.asarray(np.logical_or.reduce(shifts), dtype=bool)
