"""One block's answers become things. Reads the ledger and puts tables aside; knows no cell's file."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.blocks import Block
from pipelines.ledger import ledger_name
from pipelines.ledger_columns import Answers, read_answers
from pipelines.open_sightings import put_open, told_of
from pipelines.settling import Outcome, SceneTask, Settling
from tiling.deciding import Evidence, decide
from tiling.matching import Outlines
from tiling.merging import TAU, evidence_of, on_ground
from tiling.sightings import Sightings
from tiling.things import Things, things_of, unite
from tiling.uniting import SNAP_PX


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
