"""The three steps of the merge, plain callables: merge a block, match across borders, unite across blocks."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.merge.blocks import Block
from pipelines.merge.rows import Outcome, SceneTask, Settling
from pipelines.merge.spill import all_told, get_border, get_told, put_open, put_told, told_of
from pipelines.tables import Answers, ledger_name, read_answers
from tiling import Transform
from tiling.geo import SNAP_PX, Runs
from tiling.merge import (
    TAU,
    Evidence,
    Matches,
    Outlines,
    Sightings,
    Things,
    decide,
    evidence_of,
    matches_between,
    on_ground,
    things_of,
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
    """(k, 4) windows of tiles beside planned ones that are not planned, work pixels."""
    name: str
    """What the names of the files it puts aside begin with."""

    @property
    def open_name(self) -> str:
        """Name of the file of what is open."""
        return f"{self.name}-open"


@dataclass(frozen=True, slots=True)
class Open:
    """What other blocks' tiles have a say in, row by row of the file put aside."""

    evidence: Evidence
    """What is known of it within the block."""
    tiles: NDArray[np.int64]
    """(n, 2) x0, y0 of the tile of each, work pixels: with the row, the order of the ground."""


@dataclass(frozen=True, slots=True)
class BlockMerge:
    """What one block comes to."""

    outcome: Outcome
    """Its things that no tile outside has a say in."""
    open: Open | None
    """The sightings of all others, None where there are none."""
    unread: NDArray[np.int64]
    """(k, 4) windows of tiles that failed or whose answer cannot be read, work pixels."""
    nodata: NDArray[np.int64]
    """(k, 4) windows of tiles without data, work pixels."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Sightings of a block in the order of the ground."""

    sightings: Sightings
    outlines: Outlines
    evidence: Evidence
    border: NDArray[np.bool_]
    """Which a tile outside the block may see too."""

    def things(self, index: NDArray[np.int64]) -> Things:
        return things_of(self.sightings.take(index), self.outlines.extents.area[index])


@dataclass(frozen=True, slots=True)
class BlockStep:
    """Joins the sightings of one block; a plain picklable callable."""

    doing: ClassVar[str] = "merging blocks of chunks"
    """For those who wait."""
    settling: Settling
    """Puts things aside."""

    def __call__(self, item: BlockTask) -> BlockMerge:
        """Things of a block, and what is open.

        Raises:
            FileNotFoundError: a ledger file is missing.
            SceneError: a coordinate has no place in the CRS of a scene beside it.
        """
        names = [ledger_name(item.task.query.id, chunk_id) for chunk_id in item.block.chunk_ids]
        answers = read_answers(self.settling.store, names)
        seen = _look(answers, item)
        closed, others = _parted(seen)
        groups = decide(seen.evidence.take(closed))
        things = unite(seen.things(closed), groups, item.task.planned.work.transform)
        told = told_of(things, answers.thinking)
        outcome = self.settling(item.task, told, f"{item.name}-closed")
        found = self._put_open(seen, others, answers, item.open_name) if len(others) else None
        return BlockMerge(outcome, found, answers.unread, answers.nodata)

    def _put_open(self, seen: _Seen, index: NDArray[np.int64], answers: Answers, name: str) -> Open:
        told = told_of(seen.things(index), answers.thinking)
        tiles = seen.outlines.tiles[index]
        put_open(self.settling.scratch, name, told, windows=tiles, border=seen.border[index])
        return Open(seen.evidence.take(index), tiles[:, :2])


def _look(answers: Answers, item: BlockTask) -> _Seen:
    sightings, outlines = on_ground(answers.sightings, item.task.planned.work.transform)
    unasked = np.concatenate((answers.unread, item.unplanned))
    evidence = evidence_of(sightings, outlines, tau=TAU, unanswered=unasked)
    x0, y0, x1, y1 = item.block.alone
    bounds = outlines.extents.bounds
    low, high = np.array([x0, y0]) + SNAP_PX, np.array([x1, y1]) - SNAP_PX
    border = np.hstack((bounds[:, :2] <= low, bounds[:, 2:] >= high))
    return _Seen(sightings, outlines, evidence, np.asarray(border.any(axis=1), dtype=bool))


def _parted(seen: _Seen) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sightings that hang together with none at the block's border, and all others."""
    together = seen.evidence.together
    others = np.isin(together, together[seen.border])
    return np.flatnonzero(~others), np.flatnonzero(others)


@dataclass(frozen=True, slots=True)
class BorderTask:
    """One block and those that come after it and whose tiles meet its own."""

    name: str
    """File of what is open in the block."""
    others: tuple[str, ...]
    """Files of what is open in the others."""
    unread: NDArray[np.int64]
    """(k, 4) windows of tiles of all blocks around that failed or cannot be read, work pixels."""
    transform: Transform
    """Work pixel to world of the scene."""


@dataclass(frozen=True, slots=True)
class Border:
    """What was found at a block's border, by rows of the files."""

    matches: tuple[Matches, ...]
    """Pairs of a row of the block and a row of each of the others."""
    spared: NDArray[np.int64]
    """Rows of the block that a tile without an answer may have confirmed."""


@dataclass(frozen=True, slots=True)
class BorderStep:
    """Matches what is open in one block with the others; a plain picklable callable."""

    doing: ClassVar[str] = "matching across blocks"
    """For those who wait."""
    scratch: Store
    """Where the files are."""

    def __call__(self, item: BorderTask) -> Border:
        """What is found at the block's border.

        Raises:
            OSError: the storage refuses.
        """
        rows, outlines = get_border(self.scratch, item.name, item.transform)
        spared = touching(outlines, np.arange(len(rows)), item.unread)
        matches = tuple(self._matches(rows, outlines, name, item.transform) for name in item.others)
        return Border(matches, rows[spared])

    def _matches(
        self, rows: NDArray[np.int64], outlines: Outlines, name: str, transform: Transform
    ) -> Matches:
        their_rows, theirs = get_border(self.scratch, name, transform)
        found = matches_between(outlines, theirs, tau=TAU)
        return replace(found, first=rows[found.first], second=their_rows[found.second])


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
