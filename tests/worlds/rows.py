"""A row of small scenes, each over the next, whose dataset lies in several cells."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from tests.worlds.practice import World
from tests.worlds.sheets import UTM, Sheet, on_ground, scattered, write_sheets
from tiling.scene import Transform

CORNER: Transform = (0.5, 0.0, 498_960.0, 0.0, -0.5, 5_400_000.0)
"""Left of a border of the deepest cells, which runs at 499,139 m."""
STEP, WIDTH = 120, 220
"""Columns from one scene of the row to the next, and of each."""

COMES_AND_GOES = [
    ([0, 1, 2, 3, 4], [0, 1, 3, 4]),
    ([0, 1, 3, 4], [0, 1, 2, 3, 4, 5]),
    ([1, 2, 3], [0, 1, 2, 3]),
    ([0, 1, 2], [3, 4, 5]),
    ([0, 1, 4], [1, 4]),
    ([0, 2, 4], [1, 2, 3]),
]
"""Numbers of the scenes that are there, and of those that are there afterwards."""


@dataclass(frozen=True, slots=True)
class Row:
    """Scenes s0 to s5."""

    world: World
    """All of them, with their truth."""

    def config(self, out: Path, numbers: Sequence[int]) -> JobConfig:
        """A request for some of the scenes."""
        scenes = [f"{self.world.folder}/scenes/s{number}.tif" for number in numbers]
        return self.world.config(out, scenes=scenes, tile=96, overlap=24, chunk=200)

    def first_run(self, out: Path, numbers: Sequence[int]) -> None:
        """A run whose cells are the deepest, so that the row lies in several."""
        (out / "objects").mkdir(parents=True)
        (out / "objects" / "_cells.json").write_text(json.dumps({"zoom": 12}))
        run_job(self.config(out, numbers))


def row_of(folder: Path, *, strips: bool) -> Row:
    """Draw the row, with objects that lie over all of its scenes, or with none over more than two."""
    drawn = scattered(STEP * 5 + WIDTH, 200)
    kept = [shape for shape in drawn if strips or np.ptp(shape.bounds[::2]) < 100]
    objects = [on_ground(shape, CORNER) for shape in kept]
    return Row(write_sheets(folder, [_sheet(number) for number in range(6)], objects, UTM))


def _sheet(number: int) -> Sheet:
    a, b, c, d, e, f = CORNER
    left = (a, b, c + a * STEP * number, d, e, f)
    return Sheet(f"s{number}", left, (WIDTH, 200), UTM, f"20{10 + number * 7 % 5}:01:01 00:00:00")
