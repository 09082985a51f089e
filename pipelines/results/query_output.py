"""Writes the rows of a query: as a table for people, as JSON or CSV for programs, or into a Parquet file."""

import csv
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import TextIO

import duckdb

from pipelines import RequestError
from pipelines.results.query import plain_errors
from tiling import StorageError
from tiling.storage import TMP_MARK, Store

SHOWN_ROWS = 40
"""Rows of a table for people at most; of more rows the first and the last are shown."""
SHOWN_SIGNS = 40
"""Characters of a geometry's WKT in such a table."""
ROW_BATCH = 10_000
"""Rows of a query that are in memory at the same time."""
_FILE_WIDTH = 160
"""Width in characters of a table if the output is not a terminal."""


def show_rows(rows: duckdb.DuckDBPyRelation) -> None:
    """Print a table on stdout, as wide as the terminal; geometries by the start of their WKT.

    Raises:
        RequestError: a value is wrong, or a file cannot be read.
    """
    width = shutil.get_terminal_size((_FILE_WIDTH, 40)).columns
    start = f"CASE WHEN {{0}} IS NOT NULL THEN left(ST_AsText({{0}}), {SHOWN_SIGNS}) || '…' END"
    with plain_errors():
        _in_words(rows, start).show(max_width=width, max_rows=SHOWN_ROWS)


def json_rows(rows: duckdb.DuckDBPyRelation) -> dict[str, object]:
    """Columns and rows as JSON values: geometries as WKT, times as ISO 8601, bytes as hex."""
    return {
        "columns": list(rows.columns),
        "rows": [dict(zip(rows.columns, row, strict=True)) for row in _plain_rows(rows)],
    }


def write_csv(rows: duckdb.DuckDBPyRelation, stream: TextIO) -> None:
    """Write a header and all rows, or nothing if not all rows can be computed.

    Geometries are written as WKT, lists and structs as JSON. Rows are buffered on disk, not in memory.

    Raises:
        RequestError: a value is wrong, or a file cannot be read.
    """
    with TemporaryFile("w+", encoding="utf-8", newline="") as spool:
        writer = csv.writer(spool, lineterminator="\n")
        writer.writerow(rows.columns)
        for row in _plain_rows(rows):
            writer.writerow([json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row])
        spool.seek(0)
        shutil.copyfileobj(spool, stream)


def write_parquet(rows: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write all rows as one Parquet file, which is GeoParquet if a column is a geometry."""
    with in_place(path) as unfinished, plain_errors():
        rows.write_parquet(str(unfinished), compression="zstd")


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    """A temporary path beside a file to write to; it replaces the file if the block ends without an error.

    Raises:
        RequestError: there is no such folder, or it cannot be written.
    """
    if not path.parent.is_dir():
        raise RequestError("file", f"there is no folder {path.parent}", "make it, or name another")
    unfinished = path.with_name(f"{path.stem}{TMP_MARK}{secrets.token_hex(4)}{path.suffix}")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except StorageError:
        raise
    except OSError as error:
        reason = f"{path} cannot be written ({error})"
        raise RequestError("file", reason, "check the folder's rights and the free space") from error
    finally:
        unfinished.unlink(missing_ok=True)


def own_file(store: Store, name: str) -> Path:
    """The path of a file to write, which must be local and outside the result.

    Raises:
        RequestError: the path is not local or lies in the result.
    """
    if "://" in name:
        raise RequestError("file", f"{name} is not a local file", "write a local file and copy it there")
    path = Path(name)
    inside = store.is_local and path.resolve().is_relative_to(Path(store.root).resolve())
    if inside or path.is_dir():
        reason = f"{name} lies in the result" if inside else f"{name} is a folder"
        raise RequestError("file", reason, "name a file somewhere else")
    return path


def _plain_rows(rows: duckdb.DuckDBPyRelation) -> Iterator[list[object]]:
    """Rows of JSON values; they are converted through Arrow, whose times need no further package."""
    with plain_errors():
        for batch in _in_words(rows, "ST_AsText({0})").to_arrow_reader(ROW_BATCH):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                yield [_plain(cell) for cell in row]


def _in_words(rows: duckdb.DuckDBPyRelation, words: str) -> duckdb.DuckDBPyRelation:
    """The rows with geometries converted by an SQL expression; columns are renamed to numbers for that."""
    wanted = []
    for number, (name, kind) in enumerate(zip(rows.columns, rows.types, strict=True), start=1):
        value = words.format(f"#{number}") if str(kind).startswith("GEOMETRY") else f"#{number}"
        wanted.append(f"{value} AS {quoted(name)}")
    return rows.project(", ".join(wanted))


def quoted(name: str) -> str:
    """A name as SQL."""
    return '"' + name.replace('"', '""') + '"'


_WORDS: tuple[tuple[type | tuple[type, ...], Callable[..., object]], ...] = (
    (float, lambda value: value if math.isfinite(value) else None),
    (bytes, lambda value: value.hex()),
    ((datetime, date, time), lambda value: value.isoformat()),
    (Decimal, float),
    (dict, lambda value: {str(key): _plain(item) for key, item in value.items()}),
    ((list, tuple), lambda value: [_plain(item) for item in value]),
)


def _plain(value: object) -> object:
    if value is None or isinstance(value, str | bool | int):
        return value
    return next((change(value) for kind, change in _WORDS if isinstance(value, kind)), str(value))
