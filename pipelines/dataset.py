"""The objects and texts that users query: columns, cells and files. Knows no fragment and no model."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from pipelines.cells import EMPTY_CELL, cell_bounds, quadkeys
from pipelines.geoparquet import BBOX, Bounds, Shapes, encoded_table, geoparquet_bytes, hilbert_order
from pipelines.ledger import AnswerRow
from pipelines.stac_cells import NAME as ITEM
from pipelines.stac_cells import item_bytes
from pipelines.storage import Store
from reasoner.query import Query
from tiling.scene_object import SceneObject
from tiling.storage import look_into

OBJECTS = "objects"
TEXTS = "texts"
COVERINGS = {"geometry": "bbox", "region": "region_bbox", "contour": "bbox"}
"""Geometry columns, the primary one first, and the columns of their covering boxes."""
GEOMETRIES = tuple(COVERINGS)
_WORLD = (-180.0, -90.0, 180.0, 90.0)
_TIME = pa.timestamp("us", tz="UTC")
OBJECT_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("query_id", pa.string()),
        ("query", pa.string()),
        ("label", pa.string()),
        ("score", pa.float64()),
        ("geometry", pa.binary()),
        ("region", pa.binary()),
        ("contour", pa.binary()),
        ("bbox", BBOX),
        ("region_bbox", BBOX),
        ("area_m2", pa.float64()),
        ("n_fragments", pa.int32()),
        ("tile_ids", pa.list_(pa.string())),
        ("touches_scene_edge", pa.bool_()),
        ("valid_fraction", pa.float64()),
        ("thinking", pa.string()),
        ("scene_ids", pa.list_(pa.string())),
        ("datetime", _TIME),
        ("run_id", pa.string()),
    ]
)
TEXT_SCHEMA = pa.schema(
    [
        ("tile_id", pa.string()),
        ("scene_id", pa.string()),
        ("query_id", pa.string()),
        ("query", pa.string()),
        ("text", pa.string()),
        ("status", pa.string()),
        ("thinking", pa.string()),
        ("geometry", pa.binary()),
        ("bbox", BBOX),
        ("run_id", pa.string()),
    ]
)
_CELL = "cell"
PART_SCHEMA = pa.schema(
    [field for field in OBJECT_SCHEMA if field.type != BBOX] + [pa.field(_CELL, pa.string())]
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What all rows of one question share."""

    query: Query
    """The question."""
    run_id: str
    """Digest of the job."""


def object_part(objects: Sequence[SceneObject], thinking: Sequence[str], origin: Origin) -> pa.Table:
    """One scene's objects as a table with WKB geometries and the deepest cell of each.

    Args:
        objects: the objects.
        thinking: per object, what the reasoner thought where it was seen best.
        origin: question and run.
    """
    cells = quadkeys([item.geometry for item in objects])
    records = [
        {**_object_record(item, origin), "thinking": thought, _CELL: cell}
        for item, thought, cell in zip(objects, thinking, cells, strict=True)
    ]
    return pa.Table.from_pylist(records, schema=PART_SCHEMA)


def part_outlines(part: pa.Table) -> frozenset[bytes]:
    """Outlines of the rows of a part, WKB."""
    return frozenset(part.column("geometry").to_pylist())


def part_cells(part: pa.Table) -> list[str]:
    """Deepest cell of each row of a part."""
    cells: list[str] = part.column(_CELL).to_pylist()
    return cells


def cell_rows(part: pa.Table, cell: str) -> pa.Table:
    """The rows of a part that lie in a cell of any zoom."""
    return part.filter(pa.array([key.startswith(cell) for key in part_cells(part)], pa.bool_()))


def empty_part() -> pa.Table:
    """A part without rows."""
    return PART_SCHEMA.empty_table()


def split_rows(part: pa.Table, scene_ids: Set[str], outlines: Set[bytes]) -> tuple[pa.Table, pa.Table]:
    """Rows that none of these scenes has a share in and that have none of these outlines, and all others.

    The id of a row does not tell it: one that has been kept from night to night is not that of the place.
    """
    scenes, shapes = (part.column(name).to_pylist() for name in ("scene_ids", "geometry"))
    pairs = zip(scenes, shapes, strict=True)
    apart = [scene_ids.isdisjoint(own) and shape not in outlines for own, shape in pairs]
    other = [not each for each in apart]
    return part.filter(pa.array(apart, pa.bool_())), part.filter(pa.array(other, pa.bool_()))


def read_cell(store: Store, query_id: str, cell: str) -> pa.Table:
    """A written cell's objects as a part again.

    Raises:
        FileNotFoundError: there is no such cell.
    """
    table = pq.read_table(BytesIO(store.read(object_name(query_id, cell))))
    shapes = shapely.from_wkb(table.column("geometry").to_numpy())
    cells = pa.array(quadkeys(shapes) if len(shapes) else [], pa.string())
    return table.append_column(_CELL, cells).select(PART_SCHEMA.names).cast(PART_SCHEMA)


def object_cells(store: Store, query_id: str) -> list[str]:
    """Cells of which a question has a file, sorted."""
    return sorted(name.split("/cell=")[1].split("/")[0] for name in object_files(store, query_id))


def write_cell(store: Store, query_id: str, cell: str, rows: pa.Table) -> str:
    """Write one cell's objects in Hilbert order, atomically, and their STAC Item; the file's name."""
    shapes = {name: shapely.from_wkb(rows.column(name).to_numpy()) for name in GEOMETRIES}
    ids, scenes = (rows.column(name).to_pylist() for name in ("id", "scene_ids"))
    names = [f"{key}|{own}" for key, own in zip(ids, scenes, strict=True)]
    order = hilbert_order(shapes["geometry"], cell_bounds(cell), names)
    ordered = {name: values[order] for name, values in shapes.items()}
    name = object_name(query_id, cell)
    data = _write_objects(store, name, rows.drop_columns([_CELL]).take(order), ordered)
    bounds = total_bounds(iter(shapes["geometry"]))
    item = item_bytes(data, name=f"{query_id}-{cell}", cell=cell_bounds(cell), rows=rows, bounds=bounds)
    store.write(item_name(name), item)
    return name


def write_empty(store: Store, query_id: str) -> str:
    """Write the valid empty file of a question that found nothing; the file's name."""
    nothing = {name: np.empty(0, dtype=object) for name in GEOMETRIES}
    rows = PART_SCHEMA.empty_table().drop_columns([_CELL])
    name = object_name(query_id, EMPTY_CELL)
    _write_objects(store, name, rows, nothing)
    return name


def object_name(query_id: str, cell: str) -> str:
    """Name of the file of a question's objects in a cell."""
    return f"{OBJECTS}/query={query_id}/cell={cell}/objects.parquet"


def item_name(name: str) -> str:
    """Name of the STAC Item beside a file of objects."""
    return f"{name.rsplit('/', 1)[0]}/{ITEM}"


def object_files(store: Store, query_id: str | None = None) -> list[str]:
    """Names of the object files of one question, or of all."""
    folder = OBJECTS if query_id is None else f"{OBJECTS}/query={query_id}"
    return [name for name in store.names(folder) if name.endswith(".parquet")]


def count_objects(store: Store, query_id: str | None = None) -> int:
    """Objects in the files of one question, or of all, by their footers."""
    names = object_files(store, query_id)
    return sum(look_into(store.path(name), _count_rows) for name in names)


def write_texts(store: Store, rows: Sequence[AnswerRow], origin: Origin) -> str:
    """Write a question's texts, one row per tile, in Hilbert order; the file's name."""
    order = hilbert_order([row.geometry for row in rows], _WORLD, [row.tile_id for row in rows])
    records = [_text_record(rows[index], origin) for index in order]
    names = [field.name for field in TEXT_SCHEMA if field.name != "bbox"]
    columns = {name: [record[name] for record in records] for name in names}
    name = f"{TEXTS}/query={origin.query.id}/texts.parquet"
    store.write(name, geoparquet_bytes(columns, TEXT_SCHEMA, {"geometry": "bbox"}))
    return name


def total_bounds(geometries: Iterator[shapely.Geometry]) -> Bounds:
    """West, south, east and north around all geometries, degrees."""
    west, south, east, north = shapely.total_bounds(list(geometries)).tolist()
    return west, south, east, north


def _object_record(item: SceneObject, origin: Origin) -> dict[str, object]:
    record = {name: getattr(item, name) for name in PART_SCHEMA.names if hasattr(item, name)}
    record |= {name: shapely.to_wkb(getattr(item, name)) for name in GEOMETRIES}
    record |= {"query_id": origin.query.id, "query": origin.query.text, "run_id": origin.run_id}
    record["datetime"] = instant(item.datetime)
    return record


def _count_rows(file: BinaryIO) -> int:
    return int(pq.read_metadata(file).num_rows)


def _text_record(row: AnswerRow, origin: Origin) -> dict[str, object]:
    return {
        "tile_id": row.tile_id,
        "scene_id": row.scene_id,
        "query_id": origin.query.id,
        "query": origin.query.text,
        "text": row.text,
        "status": str(row.status),
        "thinking": row.thinking,
        "geometry": row.geometry,
        "run_id": origin.run_id,
    }


def instant(text: str | None) -> datetime | None:
    """A time given as ISO 8601, in UTC where it names no zone; None where it is unknown."""
    if text is None:
        return None
    instant = datetime.fromisoformat(text)
    return instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)


def _write_objects(store: Store, name: str, rows: pa.Table, shapes: Shapes) -> bytes:
    data = encoded_table(rows, shapes, schema=OBJECT_SCHEMA, coverings=COVERINGS)
    store.write(name, data)
    return data
