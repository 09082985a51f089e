"""Claim: where scenes overlap too, merging what changed gives the bytes of a merge of everything."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipelines.engine.executor import I, O, SerialExecutor
from pipelines.jobs.run import run_job
from pipelines.merge import job
from pipelines.merge.tasks import BlockTask
from pipelines.plan.config import JobConfig
from pipelines.plan.plan_diff import changed_between
from pipelines.plan.plan_files import read_plan
from tests.commands import tree
from tests.pipelines.merge.test_partial_merge import answered
from tests.worlds.practice import World, objects_of
from tests.worlds.sheets import UTM, Sheet, on_ground, scattered, write_sheets
from tiling.scene import Transform
from tiling.storage.store import Store

CORNER: Transform = (0.5, 0.0, 498_960.0, 0.0, -0.5, 5_400_000.0)
"""Left of a border of the deepest cells, which runs at 499,139 m."""
STEP, WIDTH = 120, 220
"""Columns from one scene of the row to the next, and of each."""


def sheet(number: int) -> Sheet:
    a, b, c, d, e, f = CORNER
    left = (a, b, c + a * STEP * number, d, e, f)
    return Sheet(f"s{number}", left, (WIDTH, 200), UTM, f"20{10 + number * 7 % 5}:01:01 00:00:00")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of scenes, each over the next."""

    world: World
    """All of them, with their truth."""

    def config(self, out: Path, numbers: Sequence[int]) -> JobConfig:
        scenes = [f"{self.world.folder}/scenes/s{number}.tif" for number in numbers]
        return self.world.config(out, scenes=scenes, tile=96, overlap=24, chunk=200)


def row_of(folder: Path, *, strips: bool) -> Row:
    drawn = scattered(STEP * 5 + WIDTH, 200)
    kept = [shape for shape in drawn if strips or np.ptp(shape.bounds[::2]) < 100]
    things = [on_ground(shape, CORNER) for shape in kept]
    return Row(write_sheets(folder, [sheet(number) for number in range(6)], things, UTM))


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """Six scenes with things that lie over all of them."""
    return row_of(tmp_path_factory.mktemp("row") / "world", strips=True)


@pytest.fixture(scope="module")
def loose_row(tmp_path_factory: pytest.TempPathFactory) -> Row:
    """Six scenes with nothing over more than two."""
    return row_of(tmp_path_factory.mktemp("loose") / "world", strips=False)


def first_night(row: Row, out: Path, numbers: Sequence[int]) -> None:
    """A run whose cells are the deepest, so that the row lies in several."""
    (out / "objects").mkdir(parents=True)
    (out / "objects" / "_cells.json").write_text(json.dumps({"zoom": 12}))
    run_job(row.config(out, numbers))


NIGHTS = [
    ([0, 1, 2, 3, 4], [0, 1, 3, 4]),
    ([0, 1, 3, 4], [0, 1, 2, 3, 4, 5]),
    ([1, 2, 3], [0, 1, 2, 3]),
    ([0, 1, 2], [3, 4, 5]),
    ([0, 1, 4], [1, 4]),
    ([0, 2, 4], [1, 2, 3]),
]


@pytest.mark.parametrize("rows", ["row", "loose_row"])
@pytest.mark.parametrize("numbers", NIGHTS, ids=str)
def test_scenes_that_come_and_go_beside_others(
    rows: str, numbers: tuple[list[int], list[int]], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    row: Row = request.getfixturevalue(rows)
    first_night(row, tmp_path / "out", numbers[0])
    store = Store(str(tmp_path / "out"))
    old = read_plan(store)
    new = answered(store, row.config(tmp_path / "out", numbers[1]))
    job.merge_job(store, new, only=changed_between(old, new))
    first_night(row, tmp_path / "fresh", numbers[1])
    got = tree(tmp_path / "out" / "objects")
    assert got == tree(tmp_path / "fresh" / "objects")
    assert len(got) > 2 or 0 not in numbers[1]


def test_only_scenes_that_hang_together_with_the_change_are_merged(loose_row: Row, tmp_path: Path) -> None:
    first_night(loose_row, tmp_path / "out", range(5))
    store = Store(str(tmp_path / "out"))
    old = read_plan(store)
    new = answered(store, loose_row.config(tmp_path / "out", range(6)))
    merged: list[str] = []

    class Noting(SerialExecutor):
        def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
            merged.extend(item.task.planned.scene.scene_id for item in items if isinstance(item, BlockTask))
            return super().map(step, items)

    changed = changed_between(old, new)
    assert changed.scene_ids <= {"s4", "s5"}
    job.merge_job(store, new, Noting(), only=changed)
    assert set(merged) <= {"s2", "s3", "s4", "s5"}
    assert len(merged) == len(set(merged))
    assert len({name for names in objects_of(tmp_path / "out")["scene_ids"] for name in names}) == 6
