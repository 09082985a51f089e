"""`status` tells progress, rate, time left and reasons from the files alone, at any moment of a run."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.jobs.run import run_job
from pipelines.plan.plan_files import read_plan
from pipelines.results.status import MAX_FILES_READ, read_status
from tests.commands import command
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig
from tiling.storage.store import Store


@pytest.fixture
def store(whole_copy: Path) -> Store:
    return Store(str(whole_copy))


def ledger(store: Store) -> list[Path]:
    return sorted(Path(store.root).glob("answers/*/*.parquet"))


def written(files: Mapping[Path, float]) -> None:
    """Let files be so many seconds old."""
    for path, ago in files.items():
        os.utime(path, (time.time() - ago, time.time() - ago))


def unpublished(store: Store) -> None:
    (Path(store.root) / "collection.json").unlink()


def test_a_finished_run_has_all_its_tiles_and_no_time_left(store: Store) -> None:
    report = read_status(store)
    assert report.tiles_done == report.tiles
    assert report.files_done == report.files_planned
    assert (report.published, report.eta_seconds, report.failures) == (True, None, {})
    assert {item.text for item in report.questions.values()} == {SHIPS, ATOLLS}


def test_rate_and_time_left_follow_from_when_files_were_written(store: Store) -> None:
    unpublished(store)
    plan, files = read_plan(store), ledger(store)
    size = {ref.chunk_id: ref.n_tiles for ref in plan.chunks}
    kept, gone = files[:-3], files[-3:]
    for path in gone:
        path.unlink()
    written({path: 10.0 * (len(kept) - at) for at, path in enumerate(kept)})
    tiles = [size[path.stem.removeprefix("chunk=")] for path in kept]
    report = read_status(store)
    rate = sum(tiles[1:]) / 2 / (10.0 * (len(kept) - 1))
    left = sum(size[path.stem.removeprefix("chunk=")] for path in gone) / 2
    assert report.tiles_per_second == pytest.approx(rate, rel=0.02)
    assert report.eta_seconds == pytest.approx(left / rate, rel=0.02)
    assert report.silent_seconds == pytest.approx(10.0, abs=5.0)
    assert report.published is False
    assert report.files_done == len(kept)
    assert sum(item.tiles_done for item in report.questions.values()) == sum(tiles)


def test_a_pause_between_two_runs_is_no_part_of_the_rate(store: Store) -> None:
    files = ledger(store)
    written({path: 2.0 * (len(files) - at) for at, path in enumerate(files)})
    together = read_status(store).tiles_per_second
    written(dict.fromkeys(files[: len(files) // 2], 100000.0))
    assert read_status(store).tiles_per_second == pytest.approx(together, rel=0.25)


def test_a_run_that_writes_no_more_has_no_time_left(store: Store) -> None:
    unpublished(store)
    files = ledger(store)
    files[-1].unlink()
    written({path: 7200.0 + at for at, path in enumerate(files[:-1])})
    report = read_status(store)
    assert report.eta_seconds is None
    assert report.silent_seconds == pytest.approx(7200, abs=60)
    assert report.tiles_per_second


def spoil(path: Path, problem: str, rows: int) -> None:
    """Let the first rows of a ledger file have failed."""
    table = pq.read_table(path)
    statuses, problems = table["status"].to_pylist(), table["problem"].to_pylist()
    for row in range(rows):
        tile = table["tile_id"][row].as_py()
        statuses[row], problems[row] = "failed", problem.format(tile=tile)
    names = table.column_names
    table = table.set_column(names.index("status"), "status", pa.array(statuses))
    pq.write_table(table.set_column(names.index("problem"), "problem", pa.array(problems)), path)


def test_failures_are_counted_by_reason_whatever_tile_they_name(store: Store) -> None:
    # Their names follow from ids, and some hold one tile only.
    first, second, third, *_ = sorted(ledger(store), key=lambda path: -pq.read_metadata(path).num_rows)
    spoil(first, "CUDA out of memory at {tile}", 2)
    spoil(second, "CUDA out of memory at {tile}", 1)
    spoil(third, "the worker died", 1)
    assert read_status(store).failures == {
        "failed: CUDA out of memory at the tile": 3,
        "failed: the worker died": 1,
    }


def test_a_damaged_file_is_a_reason_and_no_error(store: Store) -> None:
    ledger(store)[0].write_bytes(b"half a file")
    (reason,) = read_status(store).failures
    assert reason.startswith("unreadable")


def test_many_files_are_listed_in_seconds_and_some_are_read(store: Store) -> None:
    plan = read_plan(store)
    assert MAX_FILES_READ < 1000
    folder = Path(store.root) / "answers" / f"query={plan.queries[0].id}"
    for number in range(20_000):  # of another plan: listed, and not counted
        (folder / f"chunk={number:016x}.parquet").touch()
    began = time.process_time()
    report = read_status(store)
    assert time.process_time() - began < 3
    assert report.files_done == report.files_planned == report.files_read


def test_the_command_prints_one_object_or_tables(store: Store) -> None:
    result = command("status", store.root, "--json")
    report = json.loads(result.out)
    assert report["published"] is True
    assert report["questions"]
    people = command("status", store.root, "--watch", "1")
    assert people.code == 0
    assert SHIPS in people.err
    assert command("status", store.root, "--watch", "1", "--json").code == 2


def test_status_of_a_run_that_has_only_begun(make_config: MakeConfig) -> None:
    config = make_config()
    run_job(config)
    for path in Path(config.out).glob("answers/*/*.parquet"):
        path.unlink()
    report = read_status(Store(config.out))
    assert (report.tiles_done, report.files_done, report.silent_seconds) == (0, 0, None)
    assert (report.tiles_per_second, report.eta_seconds) == (None, None)
