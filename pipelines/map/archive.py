"""Tile archives (PMTiles) of all objects, for maps with more objects than the page itself can hold."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyogrio
import shapely
from numpy.typing import NDArray

from pipelines.map.objects import SHOWN_TILES, best_tiles, days, dot_zooms, mercator_sides, scenes_by_id
from pipelines.map.sources import Figures, areas, boxes, each_file, scores
from pipelines.plan import Plan, PlannedScene
from tiling.geo import LONLAT
from tiling.storage import Store

MAP_FOLDER = "map"
TILE_LAYER = "objects"
FORMAT = 1
"""Version of the archives' format: raised when archives of the same objects get other contents."""
UNITS = 8192
"""Steps along a tile's side that coordinates are rounded to; map libraries use no finer ones."""
MIN_UNITS = 32
"""Steps that an outline spans at least, 2 screen pixels; nearly all do at their zoom, others are enlarged."""
OVERZOOM = 5
"""Points of one zoom are shown at so many zooms above it; they are then off by 1 screen pixel at most."""
POINTS_PER_TILE = 20_000
OUTLINES_PER_TILE = 5_000
MAX_MAP_ZOOM = 18
THINKING_CHARACTERS = 400
_UNBOUNDED = {"MAX_SIZE": 1 << 30, "MAX_FEATURES": 1 << 30}
"""Limits so high that the writer thins out no tile; the choice of zooms keeps tiles small."""

_FIELDS = [
    ("i", pa.int64()), ("q", pa.int32()), ("s", pa.float64()), ("a", pa.float64()), ("z", pa.float64()),
    ("id", pa.string()), ("label", pa.string()), ("thinking", pa.string()), ("tiles", pa.string()),
    ("n", pa.int32()), ("tile", pa.string()), ("box", pa.string()), ("date", pa.string()),
]  # fmt: skip
ARCHIVES = ("outlines", "points")
"""Names of the archives, and of the columns with their geometries."""
SCHEMA = pa.schema([*_FIELDS, *((name, pa.binary()) for name in ARCHIVES)])


@dataclass(frozen=True, slots=True)
class Zooms:
    """Zooms of an archive; at higher zooms its tiles of the highest zoom are enlarged."""

    first: int
    """Lowest."""
    last: int
    """Highest."""


def write_pyramid(store: Store, plan: Plan, figures: Sequence[Figures]) -> dict[str, object]:
    """Write both archives unless they exist already, and return what the page needs to know of them.

    Their names hold a digest of their contents, so that a page never reads the archive of another one.

    Raises:
        RequestError: an object file cannot be read.
        OSError: the storage refuses.
    """
    bounds = np.concatenate([item.bounds for item in figures])
    outlines = outline_zooms(bounds)
    points = point_zooms(bounds, outlines)
    digest = _digest(plan, figures)
    names = {kind: f"{MAP_FOLDER}/{kind}-{digest}.pmtiles" for kind in ARCHIVES}
    if not all(store.exists(name) for name in names.values()):
        with TemporaryDirectory(prefix="remotereasoner-") as folder:
            rows = _mapped_table(
                Path(folder), _tables(store, figures, scenes_by_id(plan), minimum=_minimum_side(outlines))
            )
            for kind, zooms in zip(ARCHIVES, (outlines, points), strict=True):
                store.write(names[kind], _archive(rows, kind, zooms, folder=Path(folder)))
    store.remove(sorted(set(store.names(MAP_FOLDER)) - set(names.values())))
    return {
        "outlines": {"name": names["outlines"], "minzoom": outlines.first},
        "points": {"name": names["points"], "minzoom": points.first},
    }


def remove_pyramid(store: Store) -> None:
    """Delete the archives of an earlier map."""
    store.remove_folder(MAP_FOLDER)


def outline_zooms(bounds: NDArray[np.float64]) -> Zooms:
    """The zoom for outlines with bounds (n, 4): nearly all are large enough and no tile holds too many."""
    sides = mercator_sides(bounds).max(axis=1)
    small = float(np.quantile(sides, 0.01))
    distinct = int(np.ceil(np.log2(MIN_UNITS / UNITS / max(small, 1e-9))))
    zoom = min(max(distinct, crowd_zoom(bounds, OUTLINES_PER_TILE)), MAX_MAP_ZOOM)
    return Zooms(zoom, zoom)


def point_zooms(bounds: NDArray[np.float64], outlines: Zooms) -> Zooms:
    """Zooms of the points of objects with bounds (n, 4); few, as every zoom costs a pass over all objects."""
    first = min(crowd_zoom(bounds, POINTS_PER_TILE), outlines.first)
    return Zooms(first, max(first, outlines.first - OVERZOOM))


def crowd_zoom(bounds: NDArray[np.float64], most: int) -> int:
    """Lowest zoom at which no tile holds more than `most` objects with bounds (n, 4)."""
    middle = np.radians(np.clip((bounds[:, 1] + bounds[:, 3]) / 2, -85.0, 85.0))
    x = (bounds[:, 0] + bounds[:, 2]) / 720 + 0.5
    y = 0.5 - np.arcsinh(np.tan(middle)) / (2 * np.pi)
    for zoom in range(MAX_MAP_ZOOM):
        cells = np.floor(x * 2**zoom).astype(np.int64) * 2**zoom + np.floor(y * 2**zoom).astype(np.int64)
        if np.unique(cells, return_counts=True)[1].max(initial=0) <= most:
            return zoom
    return MAX_MAP_ZOOM


def _digest(plan: Plan, figures: Sequence[Figures]) -> str:
    """Twelve hex digits that name the objects, their figures and the way archives are made."""
    made = hashlib.sha256(f"{FORMAT} {plan.run_id}".encode())
    for item in figures:
        made.update("".join([item.query.id, *item.ids]).encode())
        for numbers in (item.score, item.area, item.bounds):
            made.update(np.ascontiguousarray(numbers).tobytes())
    return made.hexdigest()[:12]


def _minimum_side(zooms: Zooms) -> float:
    """Minimum side of an outline, as a share of the world's side."""
    return float(MIN_UNITS / UNITS / 2**zooms.first)


def _tables(
    store: Store, figures: Sequence[Figures], scenes: Mapping[str, PlannedScene], *, minimum: float
) -> Iterator[pa.Table]:
    """All objects, file by file, with outlines of a minimum size."""
    first = 0
    for question, item in enumerate(figures):
        for table in each_file(store, item):
            yield _rows(table, scenes, numbers=(first, question), minimum=minimum)
            first += len(table)


def _rows(
    table: pa.Table, scenes: Mapping[str, PlannedScene], *, numbers: tuple[int, int], minimum: float
) -> pa.Table:
    first, question = numbers
    seen, tiles = best_tiles(scenes, table), table["tile_ids"].to_pylist()
    own = {
        "i": np.arange(first, first + len(table)),
        "q": np.full(len(table), question),
        "s": scores(table),
        "a": areas(table),
        "z": dot_zooms(boxes(table)),
        "id": table["id"].combine_chunks(),
        "label": table["label"].combine_chunks(),
        "thinking": [_short(text) for text in table["thinking"].to_pylist()],
        "tiles": ["\n".join(own[:SHOWN_TILES]) for own in tiles],
        "n": [len(own) for own in tiles],
        "tile": [place.tile for place in seen],
        "box": [" ".join(map(str, place.box)) if place.box else "" for place in seen],
        "date": days(table),
        "outlines": shapely.to_wkb(_outlines(table, minimum)),
        "points": shapely.to_wkb(_points(table)),
    }
    return pa.table([pa.array(own[field.name], field.type) for field in SCHEMA], schema=SCHEMA)


def _points(table: pa.Table) -> NDArray[np.object_]:
    bounds = boxes(table)
    return np.asarray(shapely.points((bounds[:, :2] + bounds[:, 2:]) / 2), dtype=object)


def _outlines(table: pa.Table, minimum: float) -> NDArray[np.object_]:
    """Outlines; one too small for a tile's steps becomes a box of the minimum size, else it would be lost."""
    shapes = shapely.from_wkb(table["geometry"].to_numpy())
    bounds = boxes(table)
    tiny = mercator_sides(bounds).max(axis=1) < minimum
    grown = shapely.box(*_grown(bounds[tiny], minimum * 180.0).T)
    result = np.array(shapes, dtype=object)
    result[tiny] = grown
    return result


def _grown(bounds: NDArray[np.float64], by: float) -> NDArray[np.float64]:
    """Boxes (n, 4) that reach so many degrees of longitude to each side of the middles of other boxes."""
    middle = (bounds[:, :2] + bounds[:, 2:]) / 2
    half = np.column_stack([np.full(len(bounds), by), by * np.cos(np.radians(middle[:, 1]))])
    return np.column_stack([middle - half, middle + half])


def _short(text: str | None) -> str:
    whole = text or ""
    return whole if len(whole) <= THINKING_CHARACTERS else whole[: THINKING_CHARACTERS - 1] + "…"


def _mapped_table(folder: Path, tables: Iterator[pa.Table]) -> pa.Table:
    """A table memory-mapped from a local file with all rows, so that a country's objects need no memory."""
    path = folder / "rows.arrow"
    with pa.ipc.new_file(path, SCHEMA) as sink:
        for table in tables:
            sink.write_table(table)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _archive(rows: pa.Table, kind: str, zooms: Zooms, *, folder: Path) -> bytes:
    path = folder / f"{kind}.pmtiles"
    sizes = {"MINZOOM": zooms.first, "MAXZOOM": zooms.last, "EXTENT": UNITS, "NAME": TILE_LAYER, **_UNBOUNDED}
    pyogrio.write_arrow(
        rows.drop_columns([name for name in ARCHIVES if name != kind]),
        path,
        driver="PMTiles",
        layer=TILE_LAYER,
        geometry_name=kind,
        geometry_type="Point" if kind == "points" else "Unknown",
        crs=LONLAT,
        dataset_options=sizes,
    )
    return path.read_bytes()
