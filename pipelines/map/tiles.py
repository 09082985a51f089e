"""The map's tiles without objects: failed, malformed, empty, without data, or answered in words."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import shapely

from pipelines.map.sources import read_columns
from pipelines.plan import Plan
from pipelines.tables import Status, ledger_name
from reasoner.query import Query, Task
from tiling.storage import Store

MAX_TILES = 20_000
"""Tiles on the page at most; of more tiles, failed ones are kept first."""
TEXT = "text"
KINDS = (str(Status.FAILED), str(Status.MALFORMED), TEXT, str(Status.EMPTY), str(Status.NODATA))
"""Kinds of tiles on the map, the most important first."""
_WITHOUT_ANSWER = (str(Status.EMPTY), str(Status.NODATA))
_COLUMNS = ("tile_id", "status", "problem", "text", "geometry")


@dataclass(frozen=True, slots=True)
class MapTile:
    """One tile on the map."""

    tile_id: str
    """The tile."""
    kind: str
    """One of the kinds."""
    message: str
    """What went wrong, or the answer in words."""
    questions: tuple[str, ...]
    """The questions with this outcome in the tile, in the order asked."""
    geometry: bytes
    """Its footprint as WKB, longitude and latitude."""


@dataclass(frozen=True, slots=True)
class MapTiles:
    """All tiles on the map."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Tiles per kind, including those not shown; a tile with two outcomes counts twice."""
    shown: tuple[MapTile, ...] = ()
    """The tiles shown, the most important kinds first."""


def read_tiles(store: Store, plan: Plan) -> MapTiles:
    """Tiles without objects, from the ledger.

    Raises:
        RequestError: a ledger file cannot be read.
    """
    count: Counter[str] = Counter()
    kept: dict[str, list[MapTile]] = {kind: [] for kind in KINDS}
    for ref in plan.chunks:  # a tile is in one chunk only
        for tile in _combined(_tiles(store, plan.queries, ref.chunk_id), len(plan.queries)):
            count[tile.kind] += 1
            if len(kept[tile.kind]) < MAX_TILES:
                kept[tile.kind].append(tile)
    shown = [tile for kind in KINDS for tile in kept[kind]]
    return MapTiles(count, tuple(shown[:MAX_TILES]))


def footprint_points(tile: MapTile) -> list[list[list[float]]]:
    """The tile's outer ring as GeoJSON coordinates, to a centimetre."""
    points = shapely.get_coordinates(shapely.from_wkb(tile.geometry)).round(7)
    return [points.tolist()]


def _combined(tiles: Iterator[MapTile], n_questions: int) -> Iterator[MapTile]:
    """Tiles with the same outcome for several questions, once each.

    Empty tiles and tiles without data are kept only if all questions have that outcome.
    """
    found: dict[tuple[str, str, str], MapTile] = {}
    for tile in tiles:
        key = (tile.tile_id, tile.kind, tile.message)
        old = found.get(key)
        found[key] = replace(old, questions=(*old.questions, *tile.questions)) if old else tile
    for tile in found.values():
        if tile.kind not in _WITHOUT_ANSWER or len(tile.questions) == n_questions:
            yield tile


def _tiles(store: Store, queries: Sequence[Query], chunk_id: str) -> Iterator[MapTile]:
    for query in queries:
        for row in read_columns(store, ledger_name(query.id, chunk_id), _COLUMNS).to_pylist():
            kind = _kind(row["status"], query)
            if kind in KINDS:
                message = row["text"] if kind == TEXT else row["problem"]
                yield MapTile(row["tile_id"], kind, message, (query.text,), row["geometry"])


def _kind(status: str, query: Query) -> str:
    return TEXT if status == Status.OK and query.task is not Task.LOCATE else status
