"""What travels between the steps of the merge: plain picklable values."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.plan import PlannedScene
from reasoner.query import Query
from tiling import Transform, Window
from tiling.geo import Ragged
from tiling.merge import (
    Evidence,
    Matches,
)
from tiling.overlap import SceneCoverage, ZoneObjects


@dataclass(frozen=True, slots=True)
class SceneTask:
    """One scene and one question: all a worker needs to know of the plan."""

    planned: PlannedScene
    """The scene."""
    query: Query
    """The question."""
    coverage: SceneCoverage
    """What it covers, with its overlap zone."""


@dataclass(frozen=True, slots=True)
class SpilledRows:
    """Rows of objects, spilled until their cells are known."""

    name: str
    """Of the spill file."""
    cells: Counter[str]
    """Bytes of well-known binary per deepest cell: as many as its rows have, were all rows of one size."""


@dataclass(frozen=True, slots=True)
class FinalObjects:
    """What became of some objects of one scene."""

    rows: SpilledRows | None
    """Those no other scene has a say in, None where there are none."""
    shared: ZoneObjects | None
    """Those that overlapping scenes have a say in, None where the scene has no overlap zone."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of chunks of one scene."""

    chunk_ids: tuple[str, ...]
    """Its planned chunks."""
    hull: Window
    """Hull of the windows of all tiles in the rectangle, working pixels."""
    alone: tuple[int, int, int, int]
    """x0, y0, x1, y1 of what no tile outside the rectangle sees, working pixels: past its edges where there
    is none; tiles outside may leave nothing between them."""


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
