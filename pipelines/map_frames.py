"""Where tiles lie on the globe, and where in its tile an object lies. Reads no pixel and no file."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.plan import Plan, PlannedScene
from tiling.grid import Tile
from tiling.placing import lonlat_points, moved

_TILE = re.compile(r"(?P<scene>.+)/r(?P<row>\d+)-c(?P<col>\d+)", re.DOTALL)

Corners = NDArray[np.float64]
"""(4, 2) longitude and latitude of the top left, top right, bottom right and bottom left corner."""


@dataclass(frozen=True, slots=True)
class Place:
    """The tile an object is best seen in, and its box there."""

    tile: str
    """Id of the tile."""
    box: tuple[float, float, float, float] | None
    """x0, y0, x1, y1 as shares of the tile's sides; None where the tile is not in the plan."""


def scenes_by_id(plan: Plan) -> dict[str, PlannedScene]:
    """Planned scenes by scene id."""
    return {item.scene.scene_id: item for item in plan.scenes}


def find_tile(scenes: Mapping[str, PlannedScene], tile_id: str) -> tuple[PlannedScene, Tile] | None:
    """A planned tile and its scene, None where the plan has no such tile."""
    parts = _TILE.fullmatch(tile_id)
    planned = scenes.get(parts["scene"]) if parts else None
    if parts is None or planned is None:
        return None
    row, col = int(parts["row"]), int(parts["col"])
    if row >= planned.grid.rows.count or col >= planned.grid.columns.count:
        return None
    return planned, planned.grid.tile(row, col)


def frames(scenes: Mapping[str, PlannedScene], tile_ids: Iterable[str]) -> dict[str, Corners]:
    """Corners of tiles on the globe; tiles that are not in the plan are left out."""
    found: dict[str, Corners] = {}
    known = [(tile_id, place) for tile_id in sorted(set(tile_ids)) if (place := find_tile(scenes, tile_id))]
    for scene_id, group in groupby(known, key=lambda item: item[1][0].scene.scene_id):
        own, planned = list(group), scenes[scene_id]
        pixels = np.array([_corners(tile) for _, (_, tile) in own], dtype=np.float64)
        lonlat = lonlat_points(moved(pixels.reshape(-1, 2), planned.work.transform), planned.scene.crs)
        found.update(zip([tile_id for tile_id, _ in own], lonlat.reshape(-1, 4, 2), strict=True))
    return found


def places(scenes: Mapping[str, PlannedScene], table: pa.Table) -> list[Place]:
    """Where objects are best seen: in that of their tiles whose middle is nearest.

    Args:
        scenes: planned scenes by id.
        table: object rows with `tile_ids` and `region`.
    """
    tiles: list[list[str]] = table["tile_ids"].to_pylist()
    regions = shapely.from_wkb(table["region"].to_numpy())
    at = frames(scenes, (tile for own in tiles for tile in own))
    return [_place(own, region, at) for own, region in zip(tiles, regions, strict=True)]


def _place(tiles: Sequence[str], region: shapely.Geometry, at: Mapping[str, Corners]) -> Place:
    known = [tile for tile in tiles if tile in at]
    if not known or region is None or shapely.is_empty(region):
        return Place(tiles[0] if tiles else "", None)
    points = shapely.get_coordinates(region)
    shares = {tile: _shares(points, at[tile]) for tile in known}
    best = min(known, key=lambda tile: (_off_centre(shares[tile]), tile))
    low, high = shares[best].min(axis=0), shares[best].max(axis=0)
    x0, y0, x1, y1 = (round(float(value), 4) for value in (*low, *high))
    return Place(best, (x0, y0, x1, y1))


def _shares(points: NDArray[np.float64], corners: Corners) -> NDArray[np.float64]:
    """Points (n, 2) in longitude and latitude as shares across and down a tile: (n, 2)."""
    top_left, top_right, _, bottom_left = corners
    sides = np.column_stack([top_right - top_left, bottom_left - top_left])
    shares: NDArray[np.float64] = np.linalg.solve(sides, (points - top_left).T).T
    return shares


def _off_centre(shares: NDArray[np.float64]) -> float:
    middle = (shares.min(axis=0) + shares.max(axis=0)) / 2
    return float(np.hypot(*(middle - 0.5)))


def _corners(tile: Tile) -> list[tuple[int, int]]:
    own = tile.window
    return [(own.x0, own.y0), (own.x1, own.y0), (own.x1, own.y1), (own.x0, own.y1)]
