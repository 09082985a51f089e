"""The check proves completeness: whatever is missing, doubled or damaged is named."""

from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import RequestError
from pipelines.results.check import check_result
from pipelines.results.status import read_status
from tiling.storage.store import Store


@pytest.fixture
def store(whole_copy: Path) -> Store:
    return Store(str(whole_copy))


def ledger_file(store: Store) -> str:
    """The ledger file with the most rows."""
    return max(store.names("answers"), key=lambda name: pq.read_metadata(BytesIO(store.read(name))).num_rows)


def test_a_whole_result_is_complete_and_valid(whole: Path) -> None:
    report = check_result(Store(str(whole)))
    assert (report.complete, report.valid, report.problems) == (True, True, ())


def test_a_deleted_ledger_file_is_named(store: Store) -> None:
    gone = ledger_file(store)
    store.remove([gone])
    report = check_result(store)
    assert not report.complete
    assert report.valid
    assert any(problem.startswith(gone) for problem in report.problems)


def test_a_lost_and_a_doubled_row_are_named(store: Store) -> None:
    name = ledger_file(store)
    table = pq.read_table(BytesIO(store.read(name)))
    sink = BytesIO()
    pq.write_table(pa.concat_tables([table.slice(1), table.slice(1, 1)]), sink)
    store.write(name, sink.getvalue())
    lost, doubled = table["tile_id"][0].as_py(), table["tile_id"][1].as_py()
    problems = check_result(store).problems
    assert f"{name}: tile {lost} has no row" in problems
    assert f"{name}: tile {doubled} has 2 rows" in problems


@pytest.mark.parametrize("folder", ["answers", "objects"])
def test_a_damaged_file_is_named(store: Store, folder: str) -> None:
    name = next(name for name in store.names(folder) if name.endswith(".parquet"))
    store.write(name, store.read(name)[:-40])
    report = check_result(store)
    assert not report.valid
    assert any(problem.startswith(f"{name}: unreadable") for problem in report.problems)


def test_a_missing_object_file_and_an_orphan_are_named(store: Store) -> None:
    name = next(name for name in store.names("objects") if name.endswith(".parquet"))
    store.write("objects/query=x/cell=0/objects.parquet", store.read(name))
    store.remove([name])
    problems = check_result(store).problems
    assert f"{name}: missing, but published" in problems
    assert "objects/query=x/cell=0/objects.parquet: there, but not published" in problems


def test_status_counts_from_the_listing(store: Store) -> None:
    before = read_status(store)
    store.remove([ledger_file(store)])
    after = read_status(store)
    assert before.chunks_done == before.chunks_planned
    assert (after.files_done, after.chunks_done) == (before.files_done - 1, before.chunks_done - 1)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no run"):
        check_result(Store(str(tmp_path)))
