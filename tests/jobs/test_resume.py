"""A run that dies anywhere and is started again gives the same bytes, and does no committed file twice."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipelines.errors import IncompleteError, RequestError
from pipelines.inference import steps
from pipelines.jobs.run import run_job
from pipelines.merge import cell_step, job
from pipelines.plan.plan_files import read_plan
from pipelines.tables.ledger import AnswerRow, write_rows
from tests.worlds.fixtures import SHIPS, MakeConfig, file_bytes
from tiling.storage.store import Store


class DiesError(OSError):
    """The scripted failure."""


def dying_write(call: int, written: list[str]) -> object:
    """A ledger writer that dies on its k-th call, and notes what it wrote before."""

    def write(store: Store, rows: Sequence[AnswerRow]) -> str:
        if len(written) + 1 == call:
            raise DiesError(f"call {call}")
        written.append(write_rows(store, rows))
        return written[-1]

    return write


@pytest.mark.parametrize("call", [1, 2, 5])
def test_a_run_killed_at_a_commit_resumes_to_the_same_bytes(
    make_config: MakeConfig, whole: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    config, first, second = make_config(), [], []
    monkeypatch.setattr(steps, "write_rows", dying_write(call, first))
    with pytest.raises(DiesError):
        run_job(config)
    monkeypatch.setattr(steps, "write_rows", dying_write(0, second))
    report = run_job(config)
    assert len(first) == call - 1
    assert not set(first) & set(second)
    assert report.ok + report.empty == 2 * report.tiles
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


def test_a_run_killed_in_the_merge_resumes_to_the_same_bytes(
    make_config: MakeConfig, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config()
    with monkeypatch.context() as patch:
        patch.setattr(cell_step, "write_cell", dying_merge)
        with pytest.raises(DiesError):
            run_job(config)
    report = run_job(config)
    assert report.chunks_done == 0
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


def dying_merge(*_: object) -> str:
    raise DiesError("in the merge")


def test_half_written_files_are_cleared_and_never_read(
    make_config: MakeConfig, whole: Path, whole_copy: Path
) -> None:
    config = make_config()
    left = Path(config.out) / "answers" / "query=x" / "chunk=y.parquet.tmp-0a0b0c0d"
    left.parent.mkdir()
    left.write_bytes(b"half")
    run_job(config)
    assert not left.exists()
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


def test_a_finished_run_does_nothing_again(make_config: MakeConfig, whole_copy: Path) -> None:
    config = make_config()
    before = {path: path.stat().st_mtime_ns for path in Path(config.out).rglob("*") if path.is_file()}
    report = run_job(config)
    assert report.chunks_done == 0
    assert {path: path.stat().st_mtime_ns for path in Path(config.out).rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("change", "field"), [({"ask": [SHIPS]}, "queries"), ({"tile": 96}, "grid"), ({"gsd": 1.0}, "gsd")]
)
def test_another_job_in_the_same_folder_is_refused_by_field(
    make_config: MakeConfig, whole_copy: Path, change: dict[str, object], field: str
) -> None:
    before = file_bytes(whole_copy)
    with pytest.raises(RequestError, match=f"{field}.*differ.*--overwrite"):
        run_job(make_config(**change))
    assert file_bytes(whole_copy) == before


def test_overwrite_leaves_nothing_of_the_old_job(
    make_config: MakeConfig, whole_copy: Path, tmp_path: Path
) -> None:
    run_job(make_config(ask=[SHIPS]), overwrite=True)
    run_job(make_config(ask=[SHIPS], out=str(tmp_path / "fresh")))
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(tmp_path / "fresh" / "objects")
    assert not list((tmp_path / "out").rglob("query=find-all-the-atolls*"))


def test_a_missing_ledger_file_stops_the_merge_by_name(whole_copy: Path) -> None:
    gone = next((whole_copy / "answers").rglob("*.parquet"))
    gone.unlink()
    store = Store(str(whole_copy))
    with pytest.raises(IncompleteError, match=gone.name):
        job.merge_job(store, read_plan(store))
