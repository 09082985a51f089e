"""Checks that a result is complete and valid: compares the ledger with the plan and reads every file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from pipelines.jobs import JOURNAL_FOLDER, journal_is_open
from pipelines.plan import ChunkRef, Plan, read_plan
from pipelines.tables import (
    CHANGE_COVERINGS,
    CHANGE_SCHEMA,
    CHANGES,
    COLLECTION_FILE,
    GEOMETRIES,
    OBJECT_SCHEMA,
    OBJECTS,
    TEXT_SCHEMA,
    TEXTS,
    Status,
    committed,
    ledger_name,
    published_files,
    read_table,
)
from tiling import StorageError
from tiling.storage import Store

_KINDS = {
    OBJECTS: (GEOMETRIES, OBJECT_SCHEMA),
    TEXTS: (("geometry",), TEXT_SCHEMA),
    CHANGES: (tuple(CHANGE_COVERINGS), CHANGE_SCHEMA),
}
"""Geometry columns and columns of the files of a folder."""
_UNREADABLE = (OSError, ValueError, KeyError, pa.ArrowException, shapely.GEOSException)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    complete: bool
    """Every planned tile and question has a row, no tile failed, and the result is published."""
    valid: bool
    """Every file that exists can be read and has the right contents."""
    problems: tuple[str, ...]
    """The problems that were found, each with the name of the file."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """One problem, and whether it makes the result incomplete or invalid."""

    text: str
    incomplete: bool


def check_result(store: Store) -> CheckReport:
    """Compare plan, ledger and result.

    Raises:
        RequestError: the folder holds no plan.
    """
    plan = read_plan(store)
    findings = [*_ledger_findings(store, plan), *_result_findings(store)]
    return CheckReport(
        complete=not any(item.incomplete for item in findings),
        valid=all(item.incomplete for item in findings),
        problems=tuple(item.text for item in findings),
    )


def _ledger_findings(store: Store, plan: Plan) -> Iterator[_Finding]:
    done = committed(store)
    planned = {(query.id, ref.chunk_id): ref for query in plan.queries for ref in plan.chunks}
    if journal_is_open(store):
        yield _Finding(f"{JOURNAL_FOLDER}/: an update is under way or was killed", incomplete=True)
        done &= planned.keys()  # the update deletes the files it replaces when it ends
    for key in sorted(done - planned.keys()):
        yield _Finding(f"{ledger_name(*key)}: not in the plan", incomplete=False)
    for key, ref in planned.items():
        name = ledger_name(*key)
        if key in done:
            yield from _file_findings(store, plan, name, ref)
        else:
            yield _Finding(f"{name}: missing, {ref.n_tiles} tiles have no row", incomplete=True)


def _file_findings(store: Store, plan: Plan, name: str, ref: ChunkRef) -> Iterator[_Finding]:
    try:
        table = read_table(store, name, ["tile_id", "status"])
    except StorageError:
        raise
    except _UNREADABLE as error:
        yield _Finding(f"{name}: unreadable ({error})", incomplete=False)
        return
    rows = Counter(table.column("tile_id").to_pylist())
    planned = {tile.tile_id for tile in plan.chunk(ref).tiles}
    for tile_id in sorted(planned - rows.keys()):
        yield _Finding(f"{name}: tile {tile_id} has no row", incomplete=True)
    for tile_id in sorted(rows.keys() - planned):
        yield _Finding(f"{name}: tile {tile_id} is not in the plan", incomplete=False)
    for tile_id, count in rows.items():
        if count > 1:
            yield _Finding(f"{name}: tile {tile_id} has {count} rows", incomplete=False)
    failed = table.column("status").to_pylist().count(Status.FAILED)
    if failed:
        yield _Finding(f"{name}: {failed} tiles failed", incomplete=True)


def _result_findings(store: Store) -> Iterator[_Finding]:
    published = published_files(store)
    if published is None:
        yield _Finding(f"{COLLECTION_FILE}: missing, the result is not published", incomplete=True)
        return
    folders = (OBJECTS, TEXTS, CHANGES)
    present = {name for folder in folders for name in store.names(folder) if name.endswith(".parquet")}
    for name in sorted(set(published) - present):
        yield _Finding(f"{name}: missing, but published", incomplete=True)
    for name in sorted(present - set(published)):
        yield _Finding(f"{name}: there, but not published", incomplete=False)
    for name in sorted(present & set(published)):
        problem = _table_problem(store, name)
        if problem:
            yield _Finding(f"{name}: {problem}", incomplete=False)


def _table_problem(store: Store, name: str) -> str:
    """The problem of a file of objects, texts or changes; empty if there is none."""
    geometries, schema = _KINDS[name.split("/")[0]]
    try:
        table = pq.read_table(BytesIO(store.read(name)))
        shapes = {column: shapely.from_wkb(table.column(column).to_numpy()) for column in geometries}
    except StorageError:
        raise
    except _UNREADABLE as error:
        return f"unreadable ({error})"
    if not table.schema.equals(schema):
        return "its columns are not ours"
    wrong = {
        column: ~(shapely.is_valid(values) | shapely.is_missing(values)) for column, values in shapes.items()
    }
    bad = {column: int(values.sum()) for column, values in wrong.items()}
    found = ", ".join(f"{count} invalid in {column}" for column, count in bad.items() if count)
    return found
