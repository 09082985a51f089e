"""Where tiles lie on the globe, and where in its tile an object lies. Reads no pixel and no file."""

import re
from collections.abc import Iterable, Mapping
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
    at = frames(scenes, (tile for own in tiles for tile in own))
    pairs = [(number, tile) for number, own in enumerate(tiles) for tile in own if tile in at]
    found = [Place(own[0] if own else "", None) for own in tiles]
    if pairs:
        number = np.array([pair[0] for pair in pairs])
        low, high = _box_shares(table, number, np.stack([at[tile] for _, tile in pairs]))
        off = np.hypot(*((low + high) / 2 - 0.5).T)
        order = np.lexsort((off, number))
        for index in order[np.unique(number[order], return_index=True)[1]]:
            x0, y0, x1, y1 = np.concatenate([low[index], high[index]]).round(4).tolist()
            found[number[index]] = Place(pairs[index][1], (x0, y0, x1, y1))
    return found


def _box_shares(
    table: pa.Table, number: NDArray[np.int64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and greatest shares (n, 2) of the tiles' sides at which the objects' boxes lie.

    Args:
        table: object rows with `region`.
        number: (n,) row of each pair of object and tile.
        corners: (n, 4, 2) corners of its tile.
    """
    regions = shapely.from_wkb(table["region"].to_numpy())[number]
    points, owner = shapely.get_coordinates(regions, return_index=True)
    origin, right, down = (corners[:, corner] for corner in (0, 1, 3))
    sides = np.stack([right - origin, down - origin], axis=2)
    shares = (np.linalg.inv(sides)[owner] @ (points - origin[owner])[:, :, None])[:, :, 0]
    low, high = np.full((len(number), 2), np.inf), np.full((len(number), 2), -np.inf)
    np.minimum.at(low, owner, shares)
    np.maximum.at(high, owner, shares)
    return low, high


def _corners(tile: Tile) -> list[tuple[int, int]]:
    own = tile.window
    return [(own.x0, own.y0), (own.x1, own.y0), (own.x1, own.y1), (own.x0, own.y1)]
