"""The three steps of the merge, plain callables: merge a block, match across borders, unite across blocks."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.merge.blocks import Block
from pipelines.merge.rows import FinaliseObjects, FinalObjects, SceneTask
from pipelines.merge.spill import read_border, read_objects, write_objects, write_open
from pipelines.tables import ledger_name, read_answers
from tiling import Transform
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
class BlockTask:
    """One block of chunks to be merged."""

    task: SceneTask
    """Its scene and question."""
    block: Block
    """Its chunks."""
    unplanned: NDArray[np.int64]
    """(k, 4) windows of tiles beside planned ones that are not planned, working pixels."""
    name: str
    """What the names of its spill files begin with."""

    @property
    def open_name(self) -> str:
        """Name of the file of open fragments."""
        return f"{self.name}-open"


@dataclass(frozen=True, slots=True)
class OpenRows:
    """Fragments that other blocks' tiles have a say in, row by row of their spill file."""

    evidence: Evidence
    """What is known of them within the block."""
    tiles: NDArray[np.int64]
    """(n, 2) x0, y0 of the tile of each, working pixels: with the row, the order of the ground."""


@dataclass(frozen=True, slots=True)
class MergedBlock:
    """What one block comes to."""

    final: FinalObjects
    """Its objects that no tile outside has a say in."""
    open: OpenRows | None
    """All other fragments, None where there are none."""
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
    """It runs sooner without the collector of reference cycles."""
    finalise: FinaliseObjects
    """Turns objects into rows."""

    def __call__(self, item: BlockTask) -> MergedBlock:
        """Objects of a block, and what is open.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no place in longitude and latitude.
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
class BorderTask:
    """One block and those that come after it and whose tiles meet its own."""

    name: str
    """Spill file of what is open in the block."""
    others: tuple[str, ...]
    """Spill files of what is open in the others."""
    missing: NDArray[np.int64]
    """(k, 4) windows of tiles of all blocks around that failed or cannot be read, working pixels."""
    transform: Transform
    """Working pixel to world of the scene."""


@dataclass(frozen=True, slots=True)
class BorderMatches:
    """What was found at a block's border, by rows of the files."""

    matches: tuple[Matches, ...]
    """Pairs of a row of the block and a row of each of the others."""
    spared: NDArray[np.int64]
    """Rows of the block that a missing tile may have supported."""


@dataclass(frozen=True, slots=True)
class BorderStep:
    """Matches what is open in one block with the others; a plain picklable callable."""

    doing: ClassVar[str] = "matching across blocks"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It runs sooner without the collector of reference cycles."""
    spill: Store
    """Where the files are."""

    def __call__(self, item: BorderTask) -> BorderMatches:
        """What is found at the block's border.

        Raises:
            OSError: the storage refuses.
        """
        rows, outlines = read_border(self.spill, item.name, item.transform)
        spared = touching(outlines, np.arange(len(rows)), item.missing)
        matches = tuple(self._matches(rows, outlines, name, item.transform) for name in item.others)
        return BorderMatches(matches, rows[spared])

    def _matches(
        self, rows: NDArray[np.int64], outlines: Outlines, name: str, transform: Transform
    ) -> Matches:
        their_rows, theirs = read_border(self.spill, name, transform)
        found = matches_between(outlines, theirs, tau=TAU)
        return replace(found, first=rows[found.first], second=their_rows[found.second])


@dataclass(frozen=True, slots=True)
class UnionTask:
    """Some objects, by the rows of spill files that they are made of."""

    task: SceneTask
    """Scene and question."""
    sources: tuple[tuple[str, NDArray[np.int64]], ...]
    """Spill files, and of each the rows that are wanted."""
    groups: Ragged
    """The members of every object, counted over all wanted rows of all files."""
    name: str
    """Of the file to spill."""
    whole: bool
    """They are objects; if not, they are pieces of one that is too long for one task."""


@dataclass(frozen=True, slots=True)
class UnionStep:
    """Unites fragments of several blocks that are one object; a plain picklable callable."""

    doing: ClassVar[str] = "uniting across blocks"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It runs sooner without the collector of reference cycles."""
    finalise: FinaliseObjects
    """Turns objects into rows."""

    def __call__(self, item: UnionTask) -> FinalObjects | None:
        """What became of the objects; of pieces nothing but the file.

        Raises:
            SceneError: a coordinate has no place in longitude and latitude.
            OSError: the storage refuses.
        """
        spill = self.finalise.spill
        members = concat_objects([read_objects(spill, name, rows) for name, rows in item.sources])
        united = unite(members, item.groups, item.task.planned.work.transform)
        if item.whole:
            return self.finalise(item.task, united, item.name)
        write_objects(spill, item.name, united)
        return None
