"""The plan: which scenes, grids, chunks and models, as one frozen value with its digests. Opens nothing."""

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.config import JobConfig
from reasoner.query import Query
from tiling.grid import Chunk, Grid
from tiling.scaling import Scaling
from tiling.scene import Scene
from tiling.window import Window
from tiling.work import WorkGrid

RULES_VERSION = "2"
"""Raised when grid, outline, merge or ledger rules change so that old answers no longer fit."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the plan knows of a model without loading it."""

    name: str
    """The name the user gave."""
    digest: str
    """Digest of weights and, for a reasoner, of the prompt version."""
    tile_px: int
    """Native tile size, pixels; 0 for a segmenter."""


@dataclass(frozen=True, slots=True)
class PlannedScene:
    """One scene with the grid laid over it."""

    scene: Scene
    """The raster."""
    work: WorkGrid
    """Its pixel axes at the working resolution."""
    grid: Grid
    """Tiles and chunks on that work grid."""


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Address of one chunk; its tiles follow from the grid."""

    chunk_id: str
    """Digest of everything its answers depend on but the question."""
    scene: int
    """Index of its scene in the plan."""
    row: int
    """Chunk row in the scene."""
    col: int
    """Chunk column in the scene."""
    n_tiles: int
    """Tiles in it."""
    window: Window
    """Its window on the work grid, pixels."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run will do, decided before any pixel is read."""

    run_id: str
    """Digest of the job: questions, models, grid and scenes by name and place; no path, clock or host."""
    config: JobConfig
    """The request."""
    queries: tuple[Query, ...]
    """The questions."""
    reasoner: ModelFacts
    """The reasoner."""
    segmenter: ModelFacts
    """The segmenter."""
    scaling: Scaling | None
    """Fixed scaling to 8 bits, None where the scenes are 8-bit."""
    scenes: tuple[PlannedScene, ...]
    """Scenes in the order of their ids."""
    chunks: tuple[ChunkRef, ...]
    """Chunks by scene, row and column."""

    @property
    def n_tiles(self) -> int:
        """Tiles of all scenes."""
        return sum(ref.n_tiles for ref in self.chunks)

    @property
    def n_model_calls(self) -> int:
        """Completions asked of the reasoner at most: tiles times questions."""
        return self.n_tiles * len(self.queries)

    @property
    def read_bytes(self) -> int:
        """Decoded bytes to read, all chunks with their halos."""
        return sum(self.chunk_bytes(ref) for ref in self.chunks)

    def chunks_of(self, scene: int) -> tuple[ChunkRef, ...]:
        """Chunks of one scene, by row and column.

        Args:
            scene: index of the scene in the plan.
        """
        first = bisect_left(self.chunks, scene, key=lambda ref: ref.scene)
        last = bisect_right(self.chunks, scene, key=lambda ref: ref.scene)
        return self.chunks[first:last]

    def chunk(self, ref: ChunkRef) -> Chunk:
        """The chunk with its tiles."""
        return self.scenes[ref.scene].grid.chunk(ref.row, ref.col)

    def chunk_bytes(self, ref: ChunkRef) -> int:
        """Decoded bytes to read for one chunk with its halo."""
        planned = self.scenes[ref.scene]
        native = ref.window.width * ref.window.height / planned.work.scale**2
        depth = planned.scene.mosaic.depth if planned.scene.mosaic else 1.0
        return round(native * depth * len(planned.scene.bands) * _item_bytes(planned.scene.dtype))


def chunk_refs(scene: int, planned: PlannedScene, basis: dict[str, object]) -> Iterator[ChunkRef]:
    """Addresses of a scene's chunks, by row and column.

    Args:
        scene: index of the scene in the plan.
        planned: the scene.
        basis: what all chunks' answers depend on: models, scaling, tile and overlap.
    """
    item = planned.scene
    own = [item.scene_id, item.identity, item.crs, item.transform, [band.index for band in item.bands]]
    size = [planned.grid.width, planned.grid.height, planned.work.scale]
    for chunk in planned.grid.chunks():
        place = [chunk.row, chunk.col]
        yield ChunkRef(
            chunk_id=digest({**basis, "scene": own, "grid": size, "place": place}),
            scene=scene,
            row=chunk.row,
            col=chunk.col,
            n_tiles=len(chunk.tiles),
            window=chunk.window,
        )


def digest(value: object) -> str:
    """Sixteen hex digits that name a JSON value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _item_bytes(dtype: str) -> int:
    digits = "".join(char for char in dtype if char.isdigit())
    return max(1, int(digits or 8) // 8)
