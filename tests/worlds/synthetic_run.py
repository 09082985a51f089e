"""Makes a run whose ledger holds given numbers of fragments of a synthetic world; counts a merge's errors."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from pipelines.plan.config import Engine, JobConfig, Question
from pipelines.plan.plan import ChunkRef, Plan, PlannedScene
from pipelines.tables.ledger import LEDGER_SCHEMA, Status, ledger_name
from pipelines.tables.objects import object_files
from reasoner.model_name import ModelCard
from reasoner.query import Query
from tests.worlds.lattice import PITCH, TOUCH_PX, Pieces, World, seen_in
from tiling.geo.crs import to_world
from tiling.geo.geobox import WorkingGrid
from tiling.grid import Grid, Tile
from tiling.scene import Scene, Transform
from tiling.storage.store import Store

TILE_PX, OVERLAP_PX, CHUNK_PX = 896, 224, 4096
PLACE: Transform = (0.5, 0.0, 450_000.0, 0.0, -0.5, 5_500_000.0)
CRS = "EPSG:32631"
QUERY = Query("Where is anything at all?")
A_CELL = 1.83
"""Fragments that a cell of the lattice gives, as counted."""
WHOLE = 0.8
"""A row that shows so much of its object's area shows all of it; fragments are a little off."""
TWICE = 1.5
"""A row so many times as large as its object holds another one too."""
_DONE = "made"


@dataclass(frozen=True, slots=True)
class SyntheticRun:
    """A complete ledger and its plan."""

    store: Store
    """The output folder."""
    plan: Plan
    """Its plan."""
    world: World
    """The true objects."""

    def write(self, ref: ChunkRef) -> int:
        """Write the ledger file of a chunk; the fragments in it."""
        window, tiles = ref.window, self.plan.chunk(ref).tiles
        reach = window.x0 - TILE_PX, window.x1 + TILE_PX, window.y0 - TILE_PX, window.y1 + TILE_PX
        objects, river = self.world.near(*reach), self.world.river(*reach)
        seen = [seen_in(tile, objects, river, self._draw(tile)) for tile in tiles]
        table = _table(ref, tiles, seen, self.plan.scenes[0])
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd")
        self.store.write(ledger_name(QUERY.id, ref.chunk_id), sink.getvalue().to_pybytes())
        return sum(len(each.names) for each in seen)

    def _draw(self, tile: Tile) -> np.random.Generator:
        """The generator of the jitter in a tile, which does not depend on the tile's chunk."""
        return np.random.default_rng((self.world.seed, tile.window.x0, tile.window.y0))


def synthetic_run(folder: Path, fragments: int, *, chunk_px: int = CHUNK_PX) -> SyntheticRun:
    """The run with about so many fragments; made once, then kept."""
    run = planned(folder / f"fragments-{fragments}-{chunk_px}", side_of(fragments), chunk_px=chunk_px)
    if run.store.exists(_DONE):
        return run
    shutil.rmtree(run.store.root, ignore_errors=True)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for _ in pool.map(run.write, run.plan.chunks, chunksize=8):
            pass
    run.store.write(_DONE, b"")
    return run


def verdict(run: SyntheticRun) -> dict[str, float]:
    """Count what is wrong with the merged objects."""
    tables = [
        pq.read_table(run.store.path(name), columns=["label", "area_m2"], partitioning=None)
        for name in object_files(run.store)
    ]
    found = pa.concat_tables(tables)
    names, areas = run.world.truth()
    order = np.argsort(names)
    names, areas = names[order], areas[order] * run.plan.scenes[0].work.gsd ** 2
    labels = found.column("label").to_numpy()
    which = np.searchsorted(names, labels)
    share = found.column("area_m2").to_numpy() / areas[which]
    counts = np.bincount(which, minlength=len(names))
    partial = np.bincount(which[share < WHOLE], minlength=len(names))
    return {
        "objects": len(labels),
        "true_objects": len(names),
        "cut": int((partial > 0).sum()),
        "doubled": int((counts - partial > 1).sum()),
        "glued": int((share > TWICE).sum()),
        "missing": int((counts == 0).sum()),
    }


def side_of(fragments: int) -> int:
    """Side of the scene that gives about so many fragments, pixels."""
    return int(np.sqrt(fragments / A_CELL) * PITCH)


def planned(
    folder: Path, side_px: int, *, chunk_px: int, place: Transform = PLACE, overlap_px: int = OVERLAP_PX
) -> SyntheticRun:
    """The plan of a scene of that size, given as values; its folder may be empty."""
    grid = Grid("synthetic", side_px, side_px, TILE_PX, overlap_px, chunk_px)
    scene = Scene(
        "synthetic.tif", "synthetic", "made", side_px, side_px, place, CRS, "uint8", (), None,
        "2026-01-01T00:00:00Z",
    )  # fmt: skip
    work = WorkingGrid(CRS, place, side_px, side_px, 1.0, abs(place[0]))
    config = JobConfig(
        scenes=(scene.uri,), ask=(Question(text=QUERY.text),), out=str(folder),
        reasoner="null", segmenter="null", engine=Engine.RAY,
    )  # fmt: skip
    model = ModelCard("null", "null", TILE_PX)
    plan = Plan(
        "synthetic", config, (QUERY,), model, model, None, (PlannedScene(scene, work, grid),), _chunks(grid)
    )
    return SyntheticRun(Store(str(folder)), plan, World(grid))


def _chunks(grid: Grid) -> tuple[ChunkRef, ...]:
    return tuple(
        ChunkRef(f"{chunk.row:04d}-{chunk.col:04d}", 0, chunk.row, chunk.col, len(chunk.tiles), chunk.window)
        for chunk in grid.chunks()
    )


def _table(ref: ChunkRef, tiles: tuple[Tile, ...], seen: list[Pieces], planned: PlannedScene) -> pa.Table:
    """The rows of a chunk as the ledger holds them."""
    counts = [len(each.names) for each in seen]
    windows = np.array([(t.window.x0, t.window.y0, t.window.x1, t.window.y1) for t in tiles])
    cores = np.array([(t.core.x0, t.core.y0, t.core.x1, t.core.y1) for t in tiles])
    owner = np.repeat(np.arange(len(tiles)), counts)
    shapes = np.concatenate([each.shapes for each in seen])
    names = np.concatenate([each.names for each in seen])
    fragments = _fragments(Pieces(shapes, names), windows[owner], cores[owner], planned)
    starts = pa.array(np.concatenate(([0], np.cumsum(counts))), pa.int32())
    ground = shapely.to_wkb(to_world(np.asarray(shapely.box(*windows.T), object), planned.work.transform))
    text = pa.array([""] * len(tiles))
    columns = {
        "chunk_id": pa.array([ref.chunk_id] * len(tiles)),
        "tile_id": pa.array([tile.tile_id for tile in tiles]),
        "query_id": pa.array([QUERY.id] * len(tiles)),
        "scene_uri": pa.array(["synthetic.tif"] * len(tiles)),
        "scene_id": pa.array(["synthetic"] * len(tiles)),
        **dict(zip(("x0", "y0", "x1", "y1"), map(pa.array, windows.T), strict=True)),
        "geometry": pa.array(ground, pa.binary()),
        "status": pa.array([str(Status.OK) if count else str(Status.EMPTY) for count in counts]),
        "problem": text,
        "thinking": pa.array([f"what lies at {tile.tile_id} stands out" for tile in tiles]),
        "text": text,
        "boxes": pa.array([[]] * len(tiles), LEDGER_SCHEMA.field("boxes").type),
        "fragments": pa.ListArray.from_arrays(starts, fragments),
        "n_tokens": pa.array([0] * len(tiles)),
        "seconds": pa.array([0.0] * len(tiles)),
    }
    return pa.table([columns[field.name] for field in LEDGER_SCHEMA], schema=LEDGER_SCHEMA)


def _fragments(
    seen: Pieces, windows: NDArray[np.int64], cores: NDArray[np.int64], planned: PlannedScene
) -> pa.StructArray:
    """Fragments with the true identity as their label; the share in the core is that of the box."""
    shapes, work = seen.shapes, planned.work
    bounds = shapely.bounds(shapes)
    scene = np.array([0, 0, work.width, work.height])
    gaps = np.hstack((bounds[:, :2] - windows[:, :2], windows[:, 2:] - bounds[:, 2:]))
    inner = np.hstack((windows[:, :2] > scene[:2], windows[:, 2:] < scene[2:]))
    distance = np.where(inner, gaps, float(TILE_PX)).min(axis=1)
    truncated = distance <= TOUCH_PX
    at_edge = np.hstack((bounds[:, :2], scene[2:] - bounds[:, 2:])).min(axis=1) <= TOUCH_PX
    common = np.minimum(bounds[:, 2:], cores[:, 2:]) - np.maximum(bounds[:, :2], cores[:, :2])
    share = np.clip(common, 0, None).prod(axis=1) / (bounds[:, 2:] - bounds[:, :2]).prod(axis=1)
    boxes = np.asarray(shapely.box(*bounds.T), dtype=object)
    kind = LEDGER_SCHEMA.field("fragments").type.value_type
    values = {
        "geometry": shapely.to_wkb(to_world(shapes, work.transform)),
        "box": shapely.to_wkb(to_world(boxes, work.transform)),
        "score": np.full(len(shapes), 0.9),
        "truncated": truncated,
        "touches_scene_edge": at_edge,
        "edge_distance": np.where(truncated, 0.0, np.clip(distance, 0.0, None)),
        "core_share": share,
        "label": seen.names,
        "valid_fraction": np.ones(len(shapes)),
    }
    return pa.StructArray.from_arrays(
        [pa.array(values[each.name], each.type) for each in kind], fields=list(kind)
    )
