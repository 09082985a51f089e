"""Claim: merging only what changed leaves every file with the bytes of a merge of everything.

Scenes apart from each other, and scenes that lie over each other.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pipelines.engine.executor import I, O, SerialExecutor
from pipelines.inference.infer_chunk import open_chunks
from pipelines.jobs.run import run_job
from pipelines.jobs.work import chunk_step
from pipelines.merge import cell_step
from pipelines.merge import job as merge_job
from pipelines.merge.steps import BlockTask
from pipelines.plan.config import JobConfig
from pipelines.plan.plan import Plan
from pipelines.plan.plan_diff import changed_between
from pipelines.plan.plan_files import read_plan, write_plan
from pipelines.plan.planning import make_plan
from pipelines.tables.ledger import committed
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig, file_bytes, oracle_config
from tests.worlds.practice import World, objects_of
from tests.worlds.rows import COMES_AND_GOES, Row, row_of
from tiling.storage.store import Store
from training.scenery.practice import write_practice


@pytest.fixture(scope="module")
def country(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four scenes of practice."""
    folder = tmp_path_factory.mktemp("country")
    write_practice(str(folder), scenes=4, size_px=230, seed=11, density=2.0)
    return folder


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Row]:
    """A row of scenes with objects over all of them, and one with none over more than two."""
    return {
        strips: row_of(tmp_path_factory.mktemp("row") / "world", strips=strips) for strips in (True, False)
    }


OFTEN = {(True, 0), (True, 2), (True, 5), (False, 1), (False, 3)}
"""Rows and changes that are merged whenever tests run; the others in `make test-all`."""
ROWS = [
    pytest.param(strips, *each, marks=() if (strips, at) in OFTEN else pytest.mark.thorough)
    for strips in (True, False)
    for at, each in enumerate(COMES_AND_GOES)
]
"""Whether objects lie over more than two scenes, and the scenes before and after."""
KINDS = ["aircraft", "building", "atoll"]
"""Kinds of which the scenes hold 2, 1, 2, 2 and 0, 1, 2, 2 and 2, 0, 0, 0 objects."""


def job(country: Path, out: Path, numbers: Sequence[int]) -> JobConfig:
    asked = World(country).questions(KINDS)
    return oracle_config(country, out=str(out), ask=asked, scenes=scenes_of(country, numbers))


def scenes_of(country: Path, numbers: Sequence[int]) -> list[str]:
    return [f"{country}/scenes/scene-{number:04d}.tif" for number in numbers]


def answered(store: Store, config: JobConfig) -> Plan:
    """Plan over what the folder holds and answer what is open, as an update does; nothing is merged."""
    plan = make_plan(config)
    write_plan(store, plan)
    list(SerialExecutor().map(chunk_step(store, plan), open_chunks(plan, committed(store))))
    return plan


def merge_what_changed(config: JobConfig) -> None:
    """Answer and merge what differs between the dataset in place and another request for it."""
    store = Store(config.out)
    old = read_plan(store)
    new = answered(store, config)
    merge_job.merge_job(store, new, only=changed_between(old, new))


@pytest.mark.parametrize("then", [[0, 1, 2, 3], [0, 2], [1], [3, 1]], ids=str)
def test_scenes_that_come_and_go(country: Path, tmp_path: Path, then: list[int]) -> None:
    first = job(country, tmp_path / "out", [0, 1])
    run_job(first)
    merge_what_changed(first.model_copy(update={"scenes": tuple(scenes_of(country, then))}))
    run_job(job(country, tmp_path / "fresh", then))
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(tmp_path / "fresh" / "objects")


@pytest.mark.parametrize(("strips", "before", "then"), ROWS, ids=str)
def test_scenes_that_come_and_go_beside_others(
    rows: dict[bool, Row], strips: bool, before: list[int], then: list[int], tmp_path: Path
) -> None:
    row = rows[strips]
    row.first_run(tmp_path / "out", before)
    merge_what_changed(row.config(tmp_path / "out", then))
    row.first_run(tmp_path / "fresh", then)
    got = file_bytes(tmp_path / "out" / "objects")
    assert got == file_bytes(tmp_path / "fresh" / "objects")
    assert len(got) > 2 or 0 not in then


def test_a_new_question_is_merged_whole_and_the_others_are_not_written(
    make_config: MakeConfig, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_job(make_config(ask=[SHIPS]))
    config = make_config(ask=[SHIPS, ATOLLS])
    store = Store(config.out)
    old = read_plan(store)
    new = answered(store, config)
    written: list[str] = []
    write = cell_step.write_cell

    def noting(store: Store, query_id: str, cell: str, rows: object) -> str:
        written.append(query_id)
        return write(store, query_id, cell, rows)

    monkeypatch.setattr(cell_step, "write_cell", noting)
    merge_job.merge_job(store, new, only=changed_between(old, new))
    assert set(written) == {new.queries[1].id}
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


def test_old_and_new_objects_can_be_compared_before_anything_is_written(
    country: Path, tmp_path: Path
) -> None:
    first = job(country, tmp_path / "out", [0, 1])
    run_job(first)
    store = Store(first.out)
    old, before = read_plan(store), file_bytes(tmp_path / "out" / "objects")
    new = answered(store, first.model_copy(update={"scenes": tuple(scenes_of(country, [1, 2]))}))
    with merge_job.open_merge(store, new, only=changed_between(old, new)) as result:
        was, will = (
            {
                (row["id"], row["scene_ids"][0])
                for question in result.questions
                for item in result.tasks(question)
                for row in rows(item).to_pylist()
            }
            for rows in (result.step.before, result.step.after)
        )
    assert {scene for _, scene in was - will} == {"scene-0000"}
    assert {scene for _, scene in will - was} == {"scene-0002"}
    assert {scene for _, scene in was & will} == {"scene-0001"}
    assert file_bytes(tmp_path / "out" / "objects") == before


def test_only_scenes_that_hang_together_with_the_change_are_merged(
    rows: dict[bool, Row], tmp_path: Path
) -> None:
    row = rows[False]
    row.first_run(tmp_path / "out", range(5))
    store = Store(str(tmp_path / "out"))
    old = read_plan(store)
    new = answered(store, row.config(tmp_path / "out", range(6)))
    merged: list[str] = []

    class Noting(SerialExecutor):
        def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
            merged.extend(item.task.planned.scene.scene_id for item in items if isinstance(item, BlockTask))
            return super().map(step, items)

    changed = changed_between(old, new)
    assert changed.scene_ids <= {"s4", "s5"}
    merge_job.merge_job(store, new, Noting(), only=changed)
    assert set(merged) <= {"s2", "s3", "s4", "s5"}
    assert len(merged) == len(set(merged))
    assert len({name for names in objects_of(tmp_path / "out")["scene_ids"] for name in names}) == 6
