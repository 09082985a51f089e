"""The plan: scenes, grids, chunks and models of a run as one frozen value, with its digests."""

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.plan.config import JobConfig
from reasoner.model_name import ModelCard
from reasoner.query import Query
from tiling import ALL, Chunk, Grid, Scene, Window, packed, unpacked
from tiling.geo import WorkingGrid, footprint, to_lonlat
from tiling.raster import Scaling

RULES_VERSION = "2"
"""Version of the rules of grid, outlines, merge and ledger; raised when older answers no longer fit."""


@dataclass(frozen=True, slots=True)
class PlannedScene:
    """One scene with its grid."""

    scene: Scene
    """The raster."""
    work: WorkingGrid
    """Its working grid: its pixel axes at the working resolution."""
    grid: Grid
    """Tiles and chunks on the working grid."""
    valid: shapely.Geometry | None = None
    """Where it holds data, working pixels; None for everywhere. Known only for scenes that would take ground
    from others."""


@dataclass(frozen=True, slots=True)
class ChunkRef:
    """Names one chunk; its tiles follow from the grid and the mask."""

    chunk_id: str
    """Digest of everything that its answers depend on, except the question."""
    scene: int
    """Index of its scene in the plan."""
    row: int
    """Chunk row in the scene."""
    col: int
    """Chunk column in the scene."""
    n_tiles: int
    """Planned tiles in it; at least one."""
    window: Window
    """Hull of its planned tiles on the working grid, pixels; this window is read."""
    mask: bytes = ALL
    """Which of the chunk's tiles are planned, packed; empty where all are."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do, determined before any pixel is read."""

    run_id: str
    """Digest of what answers are made with: models, prompts, rules, sizes, scaling, resolution and bands.

    It depends on no scene and no question, so rows stay the same when scenes or questions are added.
    """
    config: JobConfig
    """The request."""
    queries: tuple[Query, ...]
    """The questions."""
    reasoner: ModelCard
    """The reasoner."""
    segmenter: ModelCard
    """The segmenter."""
    scaling: Scaling | None
    """Fixed scaling to 8 bits, None if the scenes are 8-bit."""
    scenes: tuple[PlannedScene, ...]
    """Scenes in the order of their ids."""
    chunks: tuple[ChunkRef, ...]
    """Chunks by scene, row and column."""
    aoi: shapely.Geometry | None = None
    """Area of interest, longitude and latitude; None if there is none."""

    @property
    def job_id(self) -> str:
        """Digest of the whole job: run, questions, area, and scenes by name and georeference; no paths."""
        places = [
            [item.scene.scene_id, item.scene.crs, item.work.transform, item.work.width, item.work.height]
            for item in self.scenes
        ]
        asked = [query.id for query in self.queries]
        ground = [aoi_digest(self.aoi), self.config.scene_overlap]
        return digest({"run": self.run_id, "queries": asked, "ground": ground, "scenes": places})

    @property
    def n_tiles(self) -> int:
        """Planned tiles of all scenes."""
        return sum(ref.n_tiles for ref in self.chunks)

    @property
    def n_model_calls(self) -> int:
        """Maximum number of completions: tiles times questions."""
        return self.n_tiles * len(self.queries)

    @property
    def read_bytes(self) -> int:
        """Decoded bytes to read, with the overlap of neighbouring chunks."""
        return sum(self.chunk_bytes(ref) for ref in self.chunks)

    def chunks_of(self, scene: int) -> tuple[ChunkRef, ...]:
        """Chunks of one scene, by row and column.

        Args:
            scene: index of the scene in the plan.
        """
        first = bisect_left(self.chunks, scene, key=lambda ref: ref.scene)
        last = bisect_right(self.chunks, scene, key=lambda ref: ref.scene)
        return self.chunks[first:last]

    def tiles_of(self, scene: int) -> NDArray[np.bool_] | None:
        """Which tiles of a scene are planned: (rows, columns) of its grid, None where all are.

        Args:
            scene: index of the scene in the plan.
        """
        grid, refs = self.scenes[scene].grid, self.chunks_of(scene)
        if len(refs) == grid.n_chunks and not any(ref.mask for ref in refs):
            return None
        wanted = np.zeros((grid.rows.count, grid.columns.count), dtype=bool)
        for ref in refs:
            rows, columns = grid.chunk_span(ref.row, ref.col)
            part = unpacked(ref.mask, len(rows), len(columns))
            wanted[rows.start : rows.stop, columns.start : columns.stop] = part
        return wanted

    def chunk(self, ref: ChunkRef) -> Chunk:
        """The chunk with its planned tiles."""
        return self.scenes[ref.scene].grid.chunk(ref.row, ref.col, mask=ref.mask)

    def chunk_bytes(self, ref: ChunkRef) -> int:
        """Decoded bytes to read for one chunk, with its overlap."""
        planned = self.scenes[ref.scene]
        native = ref.window.width * ref.window.height / planned.work.scale**2
        depth = planned.scene.mosaic.depth if planned.scene.mosaic else 1.0
        return round(native * depth * len(planned.scene.bands) * _item_bytes(planned.scene.dtype))


def chunk_refs(
    scene: int, planned: PlannedScene, basis: dict[str, object], *, wanted: NDArray[np.bool_] | None = None
) -> Iterator[ChunkRef]:
    """References to a scene's chunks that hold a planned tile, by row and column.

    Args:
        scene: index of the scene in the plan.
        planned: the scene.
        basis: what the answers of all chunks depend on: models, scaling, tile and overlap.
        wanted: (rows, columns) of the grid's tiles, true where the tile is planned; None plans all.
    """
    item, grid = planned.scene, planned.grid
    own = [item.scene_id, item.identity, item.crs, item.transform, [band.index for band in item.bands]]
    whole = {**basis, "scene": own, "grid": [grid.width, grid.height, planned.work.scale]}
    for row, col in product(range(grid.chunk_rows), range(grid.chunk_columns)):
        rows, columns = grid.chunk_span(row, col)
        part = _part(wanted, rows, columns)
        if not part.any():
            continue
        mask = packed(part)
        subset = {"mask": mask.hex()} if mask else {}
        yield ChunkRef(
            chunk_id=digest({**whole, "place": [row, col], **subset}),
            scene=scene,
            row=row,
            col=col,
            n_tiles=int(part.sum()),
            window=grid.hull(rows, columns, part),
            mask=mask,
        )


def _part(wanted: NDArray[np.bool_] | None, rows: range, columns: range) -> NDArray[np.bool_]:
    if wanted is None:
        return np.ones((len(rows), len(columns)), dtype=bool)
    return wanted[rows.start : rows.stop, columns.start : columns.stop]


def scene_outline(item: PlannedScene) -> shapely.Geometry:
    """Ground footprint of a scene, longitude and latitude, split at ±180°."""
    window = Window(0, 0, item.work.width, item.work.height)
    outline: shapely.Geometry = to_lonlat([footprint(window, item.work.transform)], item.scene.crs)[0]
    return outline


def digest(value: object) -> str:
    """Sixteen hex digits that name a JSON value."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _item_bytes(dtype: str) -> int:
    digits = "".join(char for char in dtype if char.isdigit())
    return max(1, int(digits or 8) // 8)


@dataclass(frozen=True, slots=True)
class FrozenScaling:
    """The scaling of an earlier plan, to be used again in place of an estimate."""

    scaling: Scaling | None
    """None where the scenes are 8-bit."""


def aoi_digest(aoi: shapely.Geometry | None) -> str | None:
    """Digest of the area, independent of its file's format; None if there is none."""
    if aoi is None:
        return None
    return hashlib.sha256(shapely.to_wkb(shapely.normalize(aoi))).hexdigest()[:16]
