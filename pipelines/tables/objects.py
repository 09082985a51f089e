"""The table of objects that users query: its schema, and its files, one per question and cell."""

import hashlib
from collections import Counter
from collections.abc import Set
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.tables.cells import EMPTY_CELL, cell_bounds, cell_points
from pipelines.tables.geoparquet import (
    covered_by,
    encoded_table,
    hilbert_distances,
)
from pipelines.tables.schema import OBJECT_COLUMNS, schema_of
from pipelines.tables.stac_items import ITEM_FILE, item_bytes
from tiling.geo import bounds_of, group_by, polygons_from_wkb
from tiling.storage import Store, read_part

OBJECTS = "objects"
COVERINGS = {"geometry": "bbox", "region": "region_bbox", "contour": "bbox"}
"""Geometry columns, the primary one first, and the columns of their covering boxes."""
GEOMETRIES = tuple(COVERINGS)
OBJECT_SCHEMA = schema_of(OBJECT_COLUMNS)
CELL = "cell"
"""Additional column of a part: the deepest cell of a row."""
POINT = ("at_lon", "at_lat")
"""Additional columns of a part: the point that assigns a row to a cell and orders it, degrees."""
PART_SCHEMA = pa.schema(
    [*OBJECT_SCHEMA, pa.field(CELL, pa.string()), *(pa.field(side, pa.float64()) for side in POINT)]
)
"""Schema of a part: rows of objects before they are written to the files of cells."""


def part_outlines(part: pa.Table) -> frozenset[bytes]:
    """Outlines of the rows of a part, WKB."""
    return frozenset(part.column("geometry").to_pylist())


def part_cells(part: pa.Table) -> list[str]:
    """Deepest cell of each row of a part."""
    cells: list[str] = part.column(CELL).to_pylist()
    return cells


def row_bytes(part: pa.Table) -> int:
    """Mean bytes of well-known binary in a row of a part, which must not be empty."""
    return sum(int(part.column(name).nbytes) for name in GEOMETRIES) // len(part)


def by_cell(part: pa.Table) -> pa.Table:
    """The rows of a part sorted by cell, so that the rows of a cell of any zoom are consecutive."""
    return part.sort_by(CELL)


def cell_rows(part: pa.Table, cell: str) -> pa.Table:
    """The rows in a cell of any zoom, from a part that is sorted by cell."""
    keys = part.column(CELL).to_numpy()
    first = int(np.searchsorted(keys, cell))
    return part.slice(first, int(np.searchsorted(keys, f"{cell}~")) - first)


def empty_part() -> pa.Table:
    """A part without rows."""
    return PART_SCHEMA.empty_table()


def split_rows(part: pa.Table, scene_ids: Set[str], outlines: Set[bytes]) -> tuple[pa.Table, pa.Table]:
    """Rows without a share of these scenes and without one of these outlines, and all other rows.

    Ids cannot identify the rows, because an id kept over updates may differ from the id of the row's place.
    """
    scenes, shapes = (part.column(name).to_pylist() for name in ("scene_ids", "geometry"))
    pairs = zip(scenes, shapes, strict=True)
    apart = [scene_ids.isdisjoint(own) and shape not in outlines for own, shape in pairs]
    other = [not each for each in apart]
    return part.filter(pa.array(apart, pa.bool_())), part.filter(pa.array(other, pa.bool_()))


def read_cell(store: Store, query_id: str, cell: str) -> pa.Table:
    """The objects of a written cell as a part.

    Raises:
        FileNotFoundError: there is no such cell.
    """
    return by_cell(as_part(pq.read_table(BytesIO(store.read(object_name(query_id, cell))))))


def as_part(rows: pa.Table) -> pa.Table:
    """Rows of objects with the additional columns of a part."""
    rings = polygons_from_wkb(rows.column("geometry").combine_chunks())
    places = cell_points(rings, bounds_of(rings))
    rows = rows.append_column(CELL, pa.array(places.cells, pa.string()))
    for side, column in zip(POINT, places.points.T, strict=True):
        rows = rows.append_column(side, pa.array(column))
    return rows.select(PART_SCHEMA.names).cast(PART_SCHEMA)


def object_cells(store: Store, query_id: str) -> list[str]:
    """Cells with a file of the question, sorted."""
    return sorted(name.split("/cell=")[1].split("/")[0] for name in object_files(store, query_id))


def write_cell(store: Store, query_id: str, cell: str, part: pa.Table) -> str:
    """Write one cell's objects in Hilbert order, atomically, and their STAC Item; the file's name."""
    rows = _distinct(part.take(pa.array(_order(part, cell))))
    name = object_name(query_id, cell)
    data = encoded_table(rows.select(OBJECT_SCHEMA.names), COVERINGS)
    store.write(name, data)
    bounds = covered_by(rows.column("bbox"))
    assert bounds is not None  # a cell is written only if it has rows
    item = item_bytes(data, name=f"{query_id}-{cell}", cell=cell_bounds(cell), rows=rows, bounds=bounds)
    store.write(item_name(name), item)
    return name


def _order(part: pa.Table, cell: str) -> NDArray[np.int64]:
    """Order along a Hilbert curve over the cell; ties are ordered by id, scenes and outline."""
    points = np.column_stack([part.column(side).to_numpy() for side in POINT])
    along = hilbert_distances(points, cell_bounds(cell))
    groups, columns = group_by(along), part.select(["id", "scene_ids", "geometry"])
    order = groups.values.copy()
    for tie in np.flatnonzero(groups.lengths > 1).tolist():
        order[groups.starts[tie] : groups.starts[tie + 1]] = _by_values(columns, groups[tie])
    return order


def _by_values(columns: pa.Table, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """These rows in the order of their values, compared column by column."""
    values = [tuple(row.values()) for row in columns.take(pa.array(rows)).to_pylist()]
    return rows[sorted(range(len(rows)), key=values.__getitem__)]


def _distinct(rows: pa.Table) -> pa.Table:
    """The rows with unique ids: of rows that share one, all but the first get a further id.

    Rows of different scenes may share an id where every scene is answered on its own: they are one object.
    """
    ids = rows.column("id").to_pylist()
    if len(set(ids)) == len(ids):
        return rows
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    own = []
    for key in zip(ids, map(tuple, rows.column("scene_ids").to_pylist()), strict=True):
        seen[key] += 1
        own.append(key[0] if seen[key] == 1 else _further_id(key[0], seen[key]))
    return rows.set_column(rows.column_names.index("id"), "id", pa.array(own, pa.string()))


def _further_id(name: str, number: int) -> str:
    return hashlib.sha256(f"{name}|{number}".encode()).hexdigest()[: len(name)]


def write_empty(store: Store, query_id: str) -> str:
    """Write the valid empty file of a question that found nothing; the file's name."""
    name = object_name(query_id, EMPTY_CELL)
    store.write(name, encoded_table(OBJECT_SCHEMA.empty_table(), COVERINGS))
    return name


def object_name(query_id: str, cell: str) -> str:
    """Name of the file of a question's objects in a cell."""
    return f"{OBJECTS}/query={query_id}/cell={cell}/objects.parquet"


def item_name(name: str) -> str:
    """Name of the STAC Item beside a file of objects."""
    return f"{name.rsplit('/', 1)[0]}/{ITEM_FILE}"


def object_files(store: Store, query_id: str | None = None) -> list[str]:
    """Names of the object files of one question, or of all."""
    folder = OBJECTS if query_id is None else f"{OBJECTS}/query={query_id}"
    return [name for name in store.names(folder) if name.endswith(".parquet")]


def count_objects(store: Store, query_id: str | None = None) -> int:
    """Number of objects in the files of one question, or of all, by the files' footers."""
    names = object_files(store, query_id)
    return sum(read_part(store.path(name), _count_rows) for name in names)


def _count_rows(file: BinaryIO) -> int:
    return int(pq.read_metadata(file).num_rows)


def instant(text: str | None) -> datetime | None:
    """A time given as ISO 8601, in UTC if it names no zone; None if it is unknown."""
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
