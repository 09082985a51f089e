"""The steps of the merge as plain callables: merge a block, match across borders, unite across blocks."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.merge.rows import FinaliseObjects
from pipelines.merge.spill import read_border, read_objects, write_objects, write_open
from pipelines.merge.tasks import (
    BlockTask,
    BorderMatches,
    BorderTask,
    FinalObjects,
    MergedBlock,
    OpenRows,
    UnionTask,
)
from pipelines.tables import ledger_name, read_answers
from tiling import Transform
from tiling.merge import (
    TAU,
    Matches,
    Outlines,
    concat_objects,
    matches_between,
    merge_fragments,
    touching,
    unite,
)
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class BlockStep:
    """Merges the fragments of one block; a plain picklable callable."""

    doing: ClassVar[str] = "merging blocks of chunks"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It makes no reference cycles, so it runs with the garbage collector paused."""
    finalise: FinaliseObjects
    """Turns objects into rows."""

    def __call__(self, item: BlockTask) -> MergedBlock:
        """Merge a block into finished objects and open fragments.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no longitude and latitude.
        """
        names = [ledger_name(item.task.query.id, chunk_id) for chunk_id in item.block.chunk_ids]
        answers = read_answers(self.finalise.store, names)
        objects, found = merge_fragments(
            answers.fragments,
            transform=item.task.planned.work.transform,
            missing=np.concatenate((answers.missing, item.unplanned)),
            alone=item.block.alone,
        )
        final = self.finalise(item.task, objects, f"{item.name}-closed")
        if not len(found.objects):
            return MergedBlock(final, None, answers.missing, answers.nodata)
        write_open(self.finalise.spill, item.open_name, found)
        rows = OpenRows(found.evidence, found.windows[:, :2])
        return MergedBlock(final, rows, answers.missing, answers.nodata)


@dataclass(frozen=True, slots=True)
class BorderStep:
    """Matches the open fragments of one block with those of others; a plain picklable callable."""

    doing: ClassVar[str] = "matching across blocks"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It makes no reference cycles, so it runs with the garbage collector paused."""
    spill: Store
    """The folder of spill files."""

    def __call__(self, item: BorderTask) -> BorderMatches:
        """The matches of open fragments across the block's border.

        Raises:
            OSError: the storage refuses.
        """
        rows, outlines = read_border(self.spill, item.name, item.transform)
        near_missing = touching(outlines, np.arange(len(rows)), item.missing)
        matches = tuple(self._matches(rows, outlines, name, item.transform) for name in item.others)
        return BorderMatches(matches, rows[near_missing])

    def _matches(
        self, rows: NDArray[np.int64], outlines: Outlines, name: str, transform: Transform
    ) -> Matches:
        their_rows, theirs = read_border(self.spill, name, transform)
        found = matches_between(outlines, theirs, tau=TAU)
        return replace(found, first=rows[found.first], second=their_rows[found.second])


@dataclass(frozen=True, slots=True)
class UnionStep:
    """Unites fragments of several blocks that are one object; a plain picklable callable."""

    doing: ClassVar[str] = "uniting across blocks"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It makes no reference cycles, so it runs with the garbage collector paused."""
    finalise: FinaliseObjects
    """Turns objects into rows."""

    def __call__(self, item: UnionTask) -> FinalObjects | None:
        """Unite groups and finalise the objects; pieces of objects are only spilled, and None is returned.

        Raises:
            SceneError: a coordinate has no longitude and latitude.
            OSError: the storage refuses.
        """
        spill = self.finalise.spill
        members = concat_objects([read_objects(spill, name, rows) for name, rows in item.sources])
        united = unite(members, item.groups, item.task.planned.work.transform)
        if item.whole:
            return self.finalise(item.task, united, item.name)
        write_objects(spill, item.name, united)
        return None
