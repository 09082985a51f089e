"""Objects as columns of plain JSON values for the map's page and archives, and the tiles that show them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.map.sources import areas, boxes, scores
from pipelines.plan import Plan, PlannedScene
from tiling import Tile
from tiling.geo import lonlat_points, moved

Corners = NDArray[np.float64]
"""(4, 2) longitude and latitude of the top left, top right, bottom right and bottom left corner."""


@dataclass(frozen=True, slots=True)
class BestTile:
    """The tile that shows an object best, and the object's box in it."""

    tile: str
    """Id of the tile."""
    box: tuple[float, float, float, float] | None
    """x0, y0, x1, y1 as shares of the tile's sides; None where the tile is not in the plan."""


def scenes_by_id(plan: Plan) -> dict[str, PlannedScene]:
    """Planned scenes by scene id."""
    return {item.scene.scene_id: item for item in plan.scenes}


def find_tile(scenes: Mapping[str, PlannedScene], tile_id: str) -> tuple[PlannedScene, Tile] | None:
    """A planned tile and its scene, None where the plan has no such tile."""
    planned = scenes.get(tile_id.rpartition("/")[0])
    tile = planned.grid.find(tile_id) if planned else None
    return (planned, tile) if planned and tile else None


def tile_corners(scenes: Mapping[str, PlannedScene], tile_ids: Iterable[str]) -> dict[str, Corners]:
    """Corners of tiles on the globe; tiles that are not in the plan are left out."""
    found: dict[str, Corners] = {}
    known = [(tile_id, place) for tile_id in sorted(set(tile_ids)) if (place := find_tile(scenes, tile_id))]
    for scene_id, group in groupby(known, key=lambda item: item[1][0].scene.scene_id):
        own, planned = list(group), scenes[scene_id]
        pixels = np.array([_corners(tile) for _, (_, tile) in own], dtype=np.float64)
        lonlat = lonlat_points(moved(pixels.reshape(-1, 2), planned.work.transform), planned.scene.crs)
        found.update(zip([tile_id for tile_id, _ in own], lonlat.reshape(-1, 4, 2), strict=True))
    return found


def best_tiles(scenes: Mapping[str, PlannedScene], table: pa.Table) -> list[BestTile]:
    """The tile that shows each object best: the one of its tiles whose middle is nearest to the object.

    Args:
        scenes: planned scenes by id.
        table: object rows with `tile_ids` and `region`.
    """
    tiles: list[list[str]] = table["tile_ids"].to_pylist()
    at = tile_corners(scenes, (tile for own in tiles for tile in own))
    pairs = [(number, tile) for number, own in enumerate(tiles) for tile in own if tile in at]
    found = [BestTile(own[0] if own else "", None) for own in tiles]
    if pairs:
        number = np.array([pair[0] for pair in pairs])
        low, high = _box_shares(table, number, np.stack([at[tile] for _, tile in pairs]))
        off = np.hypot(*((low + high) / 2 - 0.5).T)
        order = np.lexsort((off, number))
        for index in order[np.unique(number[order], return_index=True)[1]]:
            x0, y0, x1, y1 = np.concatenate([low[index], high[index]]).round(4).tolist()
            found[number[index]] = BestTile(pairs[index][1], (x0, y0, x1, y1))
    return found


def _box_shares(
    table: pa.Table, number: NDArray[np.int64], corners: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimum and maximum corners (n, 2) of the objects' boxes, as shares of the tiles' sides.

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


MAX_OBJECTS = 20_000
"""Objects in the page itself at most; of more objects it holds a sample."""
MIN_PER_QUESTION = 200
"""Objects of each question that a sample holds at least."""
MAX_POINTS = 400_000
"""Number of outline points in the page above which outlines are simplified."""
SHOWN_TILES = 4
"""Maximum number of tile ids listed for one object."""
DOT_PX = 8.0
"""Objects smaller than this on the screen are shown as dots."""
COLUMNS = ("q", "s", "a", "x", "y", "z", "g", "id", "label", "thinking", "tiles", "n", "tile", "box", "date")


@dataclass(slots=True)
class Words:
    """The texts of the page, each stored once; columns hold their numbers."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Number of each text, in ascending order."""

    def number(self, text: str | None) -> int:
        """Number of a text."""
        return self.numbers.setdefault(text or "", len(self.numbers))


def sample_sizes(totals: list[int]) -> list[int]:
    """Number of objects of each question in the page: all, or a share of what the page may hold."""
    whole = sum(totals)
    if whole <= MAX_OBJECTS:
        return totals
    minimum = [min(total, MIN_PER_QUESTION) for total in totals]
    return [max(low, MAX_OBJECTS * total // whole) for low, total in zip(minimum, totals, strict=True)]


def sampled(ids: NDArray[np.object_], size: int) -> NDArray[np.int64]:
    """Indexes of `size` objects, ascending: those of the lowest ids, which as digests are spread evenly."""
    return np.sort(np.argsort(ids, kind="stable")[:size])


def columns(
    table: pa.Table, question: int, *, scenes: Mapping[str, PlannedScene], words: Words
) -> dict[str, list[object]]:
    """Columns of some objects of one question, without outlines.

    Args:
        table: object rows.
        question: number of the question on the page.
        scenes: planned scenes by id.
        words: where texts go.
    """
    bounds, seen = boxes(table), best_tiles(scenes, table)
    tiles: list[list[str]] = table["tile_ids"].to_pylist()
    middles = ((bounds[:, :2] + bounds[:, 2:]) / 2).round(7)
    return {
        "q": [question] * len(table),
        "s": scores(table).tolist(),
        "a": areas(table).tolist(),
        "x": middles[:, 0].tolist(),
        "y": middles[:, 1].tolist(),
        "z": dot_zooms(bounds).tolist(),
        "g": [None] * len(table),
        "id": table["id"].to_pylist(),
        "label": [words.number(text) for text in table["label"].to_pylist()],
        "thinking": [words.number(text) for text in table["thinking"].to_pylist()],
        "tiles": [[words.number(tile) for tile in own[:SHOWN_TILES]] for own in tiles],
        "n": [len(own) for own in tiles],
        "tile": [words.number(place.tile) for place in seen],
        "box": [place.box for place in seen],
        "date": [words.number(day) for day in days(table)],
    }


def geojson_outlines(shapes: NDArray[np.object_]) -> tuple[list[object], bool]:
    """Geometries as GeoJSON, to a centimetre, simplified if they are too many; and if they were."""
    tolerance, light = 1e-6, shapes
    while shapely.get_num_coordinates(light).sum() > MAX_POINTS and tolerance < 1e-3:
        light = shapely.simplify(light, tolerance)
        tolerance *= 2
    rounded = shapely.transform(light, lambda points: points.round(7))
    return [shapely.geometry.mapping(shape) for shape in rounded], light is not shapes


def dot_zooms(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimum zooms (n,) at which objects with bounds (n, 4) are larger than a dot."""
    share = np.maximum(mercator_sides(bounds).max(axis=1), 1e-9)
    zooms: NDArray[np.float64] = np.log2(DOT_PX / (512.0 * share))
    return zooms.round(2)


def mercator_sides(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) width and height of bounds (n, 4) as shares of the world's, in web mercator."""
    latitude = np.radians(np.clip(bounds[:, 1::2], -85.0, 85.0))
    north = np.arcsinh(np.tan(latitude)) / (2 * np.pi)
    return np.column_stack([(bounds[:, 2] - bounds[:, 0]) / 360.0, north[:, 1] - north[:, 0]])


def days(table: pa.Table) -> list[str]:
    """Acquisition day of each object, empty where unknown."""
    return [when.date().isoformat() if when else "" for when in table["datetime"].to_pylist()]
