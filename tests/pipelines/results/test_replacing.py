"""A result under replacement is never read half: a reader sees every cell as it was or as it is."""

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines.errors import UnreadableError
from pipelines.results import query, query_files
from pipelines.results.query import again, open_dataset, select
from pipelines.tables.collection import COLLECTION_FILE
from pipelines.tables.objects import object_name, write_cell
from tests.pipelines.results.replacer import CELLS, ROWS, part
from tiling.storage.store import Store

LONGEST_S = 20.0
MIN_READS = 12
"""Looks at all cells at least, while they are replaced."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A published result of some cells, all of them of the first version."""
    store = Store(str(tmp_path))
    names = [write_cell(store, "q", cell, part(cell, version=0)) for cell in CELLS]
    store.write(
        COLLECTION_FILE, json.dumps({"assets": {name: {"href": f"./{name}"} for name in names}}).encode()
    )
    return store


@contextmanager
def replacing(store: Store) -> Iterator[None]:
    """A block during which another process replaces one cell after another."""
    command = [sys.executable, "-m", "tests.pipelines.results.replacer", store.root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.terminate()


def read_all(files: list[str]) -> None:
    duckdb.sql(f"SELECT max(ST_AsText(geometry)), sum(area_m2) FROM read_parquet({files})").fetchall()


def versions(store: Store) -> dict[str, int]:
    """The version of each cell, by a question that reads all of its rows; fails where a cell is a mixture."""

    def ask() -> list[tuple[str, str, int, int, float]]:
        sql = (
            "SELECT label, thinking, count(*), count(DISTINCT id), sum(area_m2) FROM objects "
            "WHERE ST_AsText(geometry) IS NOT NULL GROUP BY 1, 2"
        )
        with open_dataset(store, sql=sql) as connection:
            return select(connection, sql).fetchall()

    found = {}
    for cell, version, rows, ids, total in again(ask):
        assert cell not in found, "a cell of two versions"
        assert (rows, ids) == (ROWS[int(version)],) * 2
        assert total == rows * (int(version) + 1.0)
        found[cell] = int(version)
    return found


def test_every_cell_is_read_old_or_new_while_all_are_replaced(store: Store) -> None:
    seen: Counter[tuple[str, int]] = Counter()
    mixed = reads = 0

    def enough() -> bool:
        return reads >= MIN_READS and mixed > 0 and len({version for _, version in seen}) == len(ROWS)

    with replacing(store):
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and not enough():
            found = versions(store)
            assert sorted(found) == CELLS
            seen.update(found.items())
            mixed += len(set(found.values())) > 1
            reads += 1
    assert len({version for _, version in seen}) == len(ROWS), (
        "the cells were not replaced while they were read"
    )
    assert mixed > 0


def test_files_beyond_those_kept_open_are_refused_not_mixed(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_files, "MAX_OPEN_FILES", 0)
    sql = "SELECT count(*), sum(area_m2) FROM objects"
    with open_dataset(store, sql=sql) as connection:
        rows = select(connection, sql)
        write_cell(store, "q", CELLS[0], part(CELLS[0], version=1))
        with pytest.raises(duckdb.Error, match=query_files.REPLACED):
            rows.fetchall()
    assert versions(store)[CELLS[0]] == 1


def test_object_storage_refuses_a_file_that_was_replaced(store: Store, bucket: str) -> None:
    remote = Store(f"{bucket}/out")
    for name in (COLLECTION_FILE, *(object_name("q", cell) for cell in CELLS)):
        remote.write(name, store.read(name))

    def ask_while_replaced() -> None:
        sql = "SELECT count(*), sum(area_m2) FROM objects"
        with open_dataset(remote, sql=sql) as connection:
            write_cell(remote, "q", CELLS[-1], part(CELLS[-1], version=1))
            select(connection, sql).fetchall()

    with pytest.raises(UnreadableError):
        ask_while_replaced()
    assert versions(remote) == {CELLS[0]: 0, CELLS[1]: 0, CELLS[2]: 1}


def test_a_file_kept_open_is_read_to_the_end_though_it_is_gone(store: Store) -> None:
    sql = "SELECT label, any_value(thinking), count(*) FROM objects GROUP BY 1 ORDER BY 1"
    with open_dataset(store, sql=sql) as connection:
        rows = select(connection, f"SELECT * FROM ({sql})")
        first = rows.fetchall()
        Path(store.path(object_name("q", CELLS[0]))).unlink()
        assert select(connection, sql).fetchall() == first
        assert [row[0] for row in first] == CELLS


def test_plain_reading_by_path_is_what_would_fail(store: Store) -> None:
    """Shows that the replacer does what the others withstand: DuckDB by path meets footers of other files."""
    failures = 0
    with replacing(store):
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and not failures:
            files = [store.path(object_name("q", cell)) for cell in CELLS]
            try:
                duckdb.sql(
                    f"SELECT count(*), max(ST_AsText(geometry)), sum(area_m2) FROM read_parquet({files})"
                ).fetchall()
            except duckdb.Error:
                failures += 1
    assert failures


def test_the_versions_can_be_distinguished(store: Store) -> None:
    assert versions(store) == dict.fromkeys(CELLS, 0)
    write_cell(store, "q", CELLS[1], part(CELLS[1], version=2))
    assert versions(store) == {CELLS[0]: 0, CELLS[1]: 2, CELLS[2]: 0}


def test_a_file_that_goes_before_it_is_opened_is_asked_for_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = query.view_files

    def then_gone(*args: Any, **options: Any) -> query.Views:
        views = listed(*args, **options)
        monkeypatch.setattr(query, "view_files", listed)
        return {**views, "objects": [*views["objects"], "objects/query=q/cell=9/objects.parquet"]}

    monkeypatch.setattr(query, "view_files", then_gone)
    assert sorted(versions(store)) == CELLS
    monkeypatch.setattr(query, "view_files", then_gone)
    with pytest.raises(UnreadableError, match="ask again"), open_dataset(store, sql="SELECT 1 FROM objects"):
        pass
