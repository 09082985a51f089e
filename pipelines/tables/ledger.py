"""The ledger: one row per tile and question, one file per chunk and question; read as rows or as columns."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from pipelines.tables.schema import ANSWER_COLUMNS, FRAGMENT_COLUMNS, schema_of
from tiling import Window
from tiling.geo import polygons_from_wkb
from tiling.merge import Fragment, FragmentTable
from tiling.storage import Store

LEDGER = "answers"

LedgerKey = tuple[str, str]
"""Id of the question and id of the chunk whose rows a ledger file holds."""


class Status(StrEnum):
    """How a tile and a question ended."""

    OK = "ok"
    """Boxes, or a text for caption and VQA."""
    EMPTY = "empty"
    """A well-formed answer says that there is no target."""
    NODATA = "nodata"
    """The tile has no valid pixel; no model saw it."""
    MALFORMED = "malformed"
    """The answer cannot be read; its text is kept."""
    FAILED = "failed"
    """Reading or a model failed; the reason is in the row."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """The outcome of one tile and one question: a row of the ledger."""

    chunk_id: str
    """Chunk the tile belongs to."""
    tile_id: str
    """The tile."""
    query_id: str
    """The question's slug."""
    scene_uri: str
    """Address of the scene."""
    scene_id: str
    """Id of the scene."""
    window: Window
    """The tile's window on the working grid, pixels."""
    geometry: shapely.Polygon
    """The tile's footprint, OGC:CRS84."""
    status: Status
    """How it ended."""
    problem: str
    """What went wrong, empty if nothing did."""
    thinking: str
    """The reasoner's thinking."""
    text: str
    """Caption or VQA answer, or the raw completion where malformed."""
    boxes: tuple[tuple[float, float, float, float], ...]
    """x0, y0, x1, y1 in tile pixels."""
    fragments: tuple[Fragment, ...]
    """Outlines in the scene's CRS."""
    n_tokens: int
    """Tokens generated."""
    seconds: float
    """Share of the model time, seconds; no later step reads it."""


LEDGER_SCHEMA = schema_of(ANSWER_COLUMNS)
_WINDOW = ("x0", "y0", "x1", "y1")
_SHAPES = ("geometry", "box")
"""Columns of a fragment that are well-known binary."""


def ledger_name(query_id: str, chunk_id: str) -> str:
    """Name of the ledger file of a chunk and a question."""
    return f"{LEDGER}/query={query_id}/chunk={chunk_id}.parquet"


def committed(store: Store) -> set[LedgerKey]:
    """Keys of all ledger files, by a listing."""
    return {key for name in store.names(LEDGER) if (key := _key_of(name))}


def commit_times(store: Store) -> dict[LedgerKey, float]:
    """Time when each ledger file was written, seconds since 1970, by a listing."""
    return {key: at for name, at in store.times(LEDGER).items() if (key := _key_of(name))}


def write_rows(store: Store, rows: Sequence[AnswerRow]) -> str:
    """Commit the rows of one chunk and one question in one atomic write, and return the file's name."""
    table = pa.Table.from_pylist([_to_record(row) for row in rows], schema=LEDGER_SCHEMA)
    sink = BytesIO()
    pq.write_table(table, sink, compression="zstd")
    name = ledger_name(rows[0].query_id, rows[0].chunk_id)
    store.write(name, sink.getvalue())
    return name


def read_table(store: Store, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Columns of one ledger file.

    Raises:
        FileNotFoundError: there is no such file.
        pyarrow.ArrowInvalid: it is not a complete Parquet file.
    """
    return pq.read_table(BytesIO(store.read(name)), columns=list(columns) if columns else None)


def read_rows(store: Store, name: str) -> list[AnswerRow]:
    """Rows of one ledger file.

    Raises:
        FileNotFoundError: it is not there.
        pyarrow.ArrowInvalid: it is not a whole Parquet file.
    """
    return [_from_record(record) for record in read_table(store, name).to_pylist()]


def _key_of(name: str) -> LedgerKey | None:
    parts = name.split("/")
    if len(parts) != 3 or not parts[1].startswith("query=") or not parts[2].startswith("chunk="):
        return None
    return parts[1].removeprefix("query="), parts[2].removeprefix("chunk=").removesuffix(".parquet")


def _to_record(row: AnswerRow) -> dict[str, Any]:
    record: dict[str, Any] = {
        field: getattr(row, field) for field in LEDGER_SCHEMA.names if field not in _WINDOW
    }
    record.update(asdict(row.window))
    record["geometry"] = shapely.to_wkb(row.geometry)
    record["fragments"] = [_fragment_record(fragment) for fragment in row.fragments]
    return record


def _fragment_record(fragment: Fragment) -> dict[str, Any]:
    record = {column.name: getattr(fragment, column.name) for column in FRAGMENT_COLUMNS}
    return {**record, **{name: shapely.to_wkb(record[name]) for name in _SHAPES}}


def _from_record(record: dict[str, Any]) -> AnswerRow:
    record["window"] = Window(*(record.pop(name) for name in _WINDOW))
    record["geometry"] = shapely.from_wkb(record["geometry"])
    record["status"] = Status(record["status"])
    record["boxes"] = tuple(tuple(box) for box in record["boxes"])
    record["fragments"] = tuple(_fragment(item, record["tile_id"]) for item in record["fragments"])
    return AnswerRow(**record)


def _fragment(item: dict[str, Any], tile_id: str) -> Fragment:
    shapes = {name: shapely.from_wkb(item[name]) for name in _SHAPES}
    return Fragment(tile_id=tile_id, **{**item, **shapes})


MISSING = (Status.FAILED, Status.MALFORMED)
"""Statuses of tiles without a usable answer, where there may be objects."""

_COLUMNS = ["tile_id", "status", "thinking", *_WINDOW, "fragments"]
_PLAIN = tuple(column.name for column in FRAGMENT_COLUMNS if column.name not in _SHAPES)
_READS_AT_ONCE = 8
"""Files read at once from object storage."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of some chunks of one scene to one question, as columns."""

    fragments: FragmentTable
    """All fragments."""
    missing: NDArray[np.int64]
    """(k, 4) windows of failed and malformed tiles, working pixels."""
    nodata: NDArray[np.int64]
    """(k, 4) windows of tiles without data, working pixels."""


def read_answers(store: Store, names: Sequence[str]) -> Answers:
    """Read ledger files of one scene and question.

    Args:
        store: the output folder.
        names: the files.

    Raises:
        FileNotFoundError: one is not there.
        pyarrow.ArrowInvalid: one is not a whole Parquet file.
    """
    if store.is_local:
        table = pa.concat_tables(_columns_of(store.read(name)) for name in names)
    else:
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            table = pa.concat_tables(pool.map(lambda name: _columns_of(store.read(name)), names))
    fragments = _fragment_table(table)
    status = table.column("status").to_numpy()
    return Answers(
        fragments=fragments,
        missing=fragments.windows[np.isin(status, [str(kind) for kind in MISSING])],
        nodata=fragments.windows[status == str(Status.NODATA)],
    )


def _columns_of(data: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(data)).read(columns=_COLUMNS, use_threads=False)


def _fragment_table(table: pa.Table) -> FragmentTable:
    windows = np.column_stack([table.column(side).to_numpy() for side in _WINDOW])
    lists = table.column("fragments").combine_chunks()
    fragments = lists.flatten()
    plain = {name: fragments.field(name).to_numpy(zero_copy_only=False) for name in _PLAIN}
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return FragmentTable(
        outlines=polygons_from_wkb(fragments.field("geometry")),
        box=polygons_from_wkb(fragments.field("box")).points.reshape(-1, 5, 2),
        tile=np.repeat(np.arange(len(windows)), lengths),
        windows=windows,
        tile_ids=table.column("tile_id").to_numpy(),
        thinking=table.column("thinking").to_numpy(),
        **plain,
    )
