"""The plain picklable values that are passed between the steps of the merge."""

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
    """One scene and one question: the part of the plan that a worker needs."""

    planned: PlannedScene
    """The scene."""
    query: Query
    """The question."""
    coverage: SceneCoverage
    """The coverage of the scene, with its overlap zone."""


@dataclass(frozen=True, slots=True)
class SpilledRows:
    """Rows of objects, spilled until their cells are known."""

    name: str
    """Name of the spill file."""
    cells: Counter[str]
    """Estimated bytes of well-known binary per deepest cell: its rows times the mean of all rows."""


@dataclass(frozen=True, slots=True)
class FinalObjects:
    """Finalised objects of one scene."""

    rows: SpilledRows | None
    """Rows of the objects outside the overlap zone, None if there are none."""
    shared: ZoneObjects | None
    """The objects in the overlap zone, None if the scene has no overlap zone."""


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
class OpenRows:
    """Open fragments, which other blocks may affect, row by row of their spill file."""

    evidence: Evidence
    """The evidence about them from within the block."""
    tiles: NDArray[np.int64]
    """(n, 2) x0, y0 of the tile of each, working pixels; tile and row define the order of position."""


@dataclass(frozen=True, slots=True)
class MergedBlock:
    """The result of merging one block."""

    final: FinalObjects
    """Its finished objects, which no tile outside the block affects."""
    open: OpenRows | None
    """All other fragments, None where there are none."""
    missing: NDArray[np.int64]
    """(k, 4) windows of tiles that failed or whose answer cannot be read, working pixels."""
    nodata: NDArray[np.int64]
    """(k, 4) windows of tiles without data, working pixels."""


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
    """For each other block, the matching pairs of a row of this block and a row of that one."""
    near_missing: NDArray[np.int64]
    """Rows of the block that a missing tile may have supported."""


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
