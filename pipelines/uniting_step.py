"""Sightings of several blocks that are one thing become one. Reads what was put aside; decides nothing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.open_sightings import all_told, get_told, put_told, told_of
from pipelines.settling import Outcome, SceneTask, Settling
from tiling.ragged import Runs
from tiling.things import unite


@dataclass(frozen=True, slots=True)
class GroupTask:
    """Some things, by the rows of files that stand in them."""

    task: SceneTask
    """Scene and question."""
    sources: tuple[tuple[str, NDArray[np.int64]], ...]
    """Files, and of each the rows that are wanted."""
    groups: Runs
    """The members of every thing, counted over all wanted rows of all files."""
    name: str
    """Of the file to put aside."""
    whole: bool
    """They are things; if not, they are pieces of one that is too long for one task."""


@dataclass(frozen=True, slots=True)
class UnitingStep:
    """Unites what stands together; a plain picklable callable."""

    doing: ClassVar[str] = "uniting across blocks"
    """For those who wait."""
    settling: Settling
    """Puts things aside."""

    def __call__(self, item: GroupTask) -> Outcome | None:
        """What became of the things; of pieces nothing but the file.

        Raises:
            SceneError: a coordinate has no place in the CRS of a scene beside it.
            OSError: the storage refuses.
        """
        scratch = self.settling.scratch
        told = all_told([get_told(scratch, name, rows) for name, rows in item.sources])
        thinking = dict(zip(told.things.seen_best.tolist(), told.thinking.tolist(), strict=True))
        things = unite(told.things, item.groups, item.task.planned.work.transform)
        united = told_of(things, thinking)
        if item.whole:
            return self.settling(item.task, united, item.name)
        put_told(scratch, item.name, united)
        return None
