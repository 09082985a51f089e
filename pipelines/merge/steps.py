"""The steps of the merge and their tasks: merge a block, match across borders, unite across blocks.

A step is a plain callable, a task and its result are plain values; all can be pickled.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.merge.rows import FinaliseObjects, FinalObjects, SceneTask
from pipelines.merge.spill import read_border, read_objects, write_objects, write_open
from pipelines.tables import ledger_name, read_answers
from tiling import Transform, Window
from tiling.geo import Ragged
from tiling.merge import (
    TAU,
    Evidence,
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
class Block:
    """A rectangle of chunks of one scene."""

    chunk_ids: tuple[str, ...]
    """Its planned chunks."""
    hull: Window
    """Hull of the windows of all tiles in the rectangle, working pixels."""
    alone: tuple[int, int, int, int]
    """x0, y0, x1, y1 of the part that no tile outside the rectangle sees, working pixels. It reaches past the
    scene's edges; it is empty if tiles outside see everything."""


@dataclass(frozen=True, slots=True)
class BlockTask:
    """One block of chunks to be merged."""

    task: SceneTask
    """Its scene and question."""
    block: Block
    """Its chunks."""
    unplanned: NDArray[np.int64]
    """(k, 4) windows of unplanned tiles that meet planned ones, working pixels."""
    name: str
    """Prefix of the names of its spill files."""

    @property
    def open_name(self) -> str:
        """Name of the file of open fragments."""
        return f"{self.name}-open"


@dataclass(frozen=True, slots=True)
class MergedBlock:
    """The result of merging one block."""

    final: FinalObjects
    """Its finished objects, which no tile outside the block affects."""
    open: Evidence | None
    """What is known within the block of its open fragments, which other blocks may affect; row by row of
    their spill file, None where there are none."""
    open_tiles: NDArray[np.int64]
    """(n, 2) x0, y0 of the tile of each open fragment, working pixels; tile and row define the order of
    position."""
    missing: NDArray[np.int64]
    """(k, 4) windows of tiles that failed or whose answer cannot be read, working pixels."""
    nodata: NDArray[np.int64]
    """(k, 4) windows of tiles without data, working pixels."""


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
            return MergedBlock(final, None, found.windows[:, :2], answers.missing, answers.nodata)
        write_open(self.finalise.spill, item.open_name, found)
        return MergedBlock(final, found.evidence, found.windows[:, :2], answers.missing, answers.nodata)


@dataclass(frozen=True, slots=True)
class BorderTask:
    """One block and the later blocks whose tiles meet its own."""

    name: str
    """Spill file of the block's open fragments."""
    others: tuple[str, ...]
    """Spill files of the others' open fragments."""
    missing: NDArray[np.int64]
    """(k, 4) windows of tiles of all blocks around that failed or cannot be read, working pixels."""
    transform: Transform
    """Working pixel to world of the scene."""


@dataclass(frozen=True, slots=True)
class BorderMatches:
    """Matches across a block's border, as row numbers of the spill files."""

    matches: tuple[Matches, ...]
    """Pairs of a row of the block and a row of each of the others."""
    near_missing: NDArray[np.int64]
    """Rows of the block that a missing tile may have supported."""


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
class UnionTask:
    """Some objects, as rows of spill files that are to be united."""

    task: SceneTask
    """Scene and question."""
    sources: tuple[tuple[str, NDArray[np.int64]], ...]
    """Spill files, and the row numbers to read from each."""
    groups: Ragged
    """The members of every object, as indexes over the rows read from all files in turn."""
    name: str
    """Name of the file to spill."""
    whole: bool
    """Whether the groups are whole objects; if not, they are pieces of objects too large for one task."""


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
