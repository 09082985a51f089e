"""Makes a published run with a given number of objects, for the benchmark of the map."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.scenes import CRS, drawn
from pipelines.jobs.run import run_job
from pipelines.plan.config import Engine, JobConfig, Question
from pipelines.plan.plan import Plan
from pipelines.plan.plan_files import read_plan
from pipelines.tables.cells import choose_zoom
from pipelines.tables.collection import publish
from pipelines.tables.geoparquet import boxes_of
from pipelines.tables.objects import OBJECT_SCHEMA, as_part, object_files, row_bytes, write_cell
from tiling.geo.crs import lonlat_points, moved
from tiling.raster.cog import write_cog
from tiling.storage.store import Store

GSD_M = 50.0
SCENE_PX = 2048
QUESTION = "where is liquid fuel stored?"
_SIDES = 12


@dataclass(frozen=True, slots=True)
class Crowd:
    """The objects of a run to be made."""

    number: int
    """Their number."""
    seed: int
    """Seed of their positions and sizes."""


def crowded_run(folder: Path, crowd: Crowd) -> Store:
    """A published run over one scene of 100 km with round objects of 10 to 80 m at random positions."""
    scene, out = folder / "wide.tif", folder / f"objects-{crowd.number}"
    store = Store(str(out))
    if store.exists("collection.json"):
        return store
    _write_scene(scene)
    config = JobConfig(
        scenes=(str(scene),), ask=(Question(text=QUESTION),), out=str(out),
        reasoner="null", segmenter="null", engine=Engine.LOOP,
    )  # fmt: skip
    run_job(config)
    plan = read_plan(store)
    store.remove([*object_files(store), "collection.json"])
    files = [write_cell(store, plan.queries[0].id, cell, rows) for cell, rows in _cells(plan, crowd)]
    publish(store, plan, files=files, failed=0)
    return store


def _write_scene(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.tile(drawn(512).pixels, (1, SCENE_PX // 512, SCENE_PX // 512))
    place = (GSD_M, 0.0, 450_000.0, 0.0, -GSD_M, 5_450_000.0)
    write_cog(str(path), pixels, transform=place, crs=CRS, nodata=None, block_px=512)


def _cells(plan: Plan, crowd: Crowd) -> Iterator[tuple[str, pa.Table]]:
    """Rows by cell, in batches no larger than a cell may be."""
    part = _part(plan, crowd)
    keys = np.asarray(part["cell"].to_pylist())
    deepest, count = np.unique(keys, return_counts=True)
    zoom = choose_zoom(dict(zip(deepest.tolist(), (row_bytes(part) * count).tolist(), strict=True)))
    short = keys.astype(f"<U{zoom}")
    for cell in np.unique(short):
        yield str(cell), part.take(pa.array(np.flatnonzero(short == cell)))


def _part(plan: Plan, crowd: Crowd) -> pa.Table:
    rng = np.random.default_rng(crowd.seed)
    centres = rng.uniform(8, SCENE_PX - 8, (crowd.number, 2))
    radius = rng.uniform(5.0, 40.0, crowd.number) / GSD_M
    planned = plan.scenes[0]
    shapes = np.asarray(shapely.polygons(_placed(plan, _circles(centres, radius))), dtype=object)
    rings = np.asarray(shapely.get_exterior_ring(shapes), dtype=object)
    grid = planned.grid
    step = grid.tile_px - grid.overlap_px
    row, col = (
        np.minimum(np.maximum(centres[:, axis] - grid.overlap_px / 2, 0) // step, count - 1).astype(int)
        for axis, count in ((1, grid.rows.count), (0, grid.columns.count))
    )
    wkb, number = shapely.to_wkb(shapes), crowd.number
    regions = shapely.to_wkb(shapely.envelope(shapes))
    values = {
        "id": [f"{value:024x}" for value in rng.permutation(number)],
        "query_id": [plan.queries[0].id] * number,
        "query": [plan.queries[0].text] * number,
        "label": [""] * number,
        "score": rng.uniform(0.5, 1.0, number),
        "geometry": wkb,
        "region": regions,
        "contour": shapely.to_wkb(shapely.multilinestrings(rings[:, None])),
        "area_m2": np.pi * (radius * GSD_M) ** 2,
        "n_fragments": np.ones(number, dtype=np.int32),
        "tile_ids": [[f"{grid.scene_id}/r{r:04d}-c{c:04d}"] for r, c in zip(row, col, strict=True)],
        "touches_scene_edge": np.zeros(number, dtype=bool),
        "valid_fraction": np.ones(number),
        "thinking": [f"fuel stands in round tanks by quay {value % 5000}" for value in range(number)],
        "scene_ids": [[grid.scene_id]] * number,
        "datetime": [None] * number,
        "run_id": [plan.run_id] * number,
        "bbox": boxes_of(shapes),
        "region_bbox": boxes_of(shapes),
    }
    columns = [pa.array(values[field.name], field.type) for field in OBJECT_SCHEMA]
    return as_part(pa.table(columns, schema=OBJECT_SCHEMA))


def _circles(centres: NDArray[np.float64], radius: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rings (n, sides, 2) around centres (n, 2), pixels."""
    angle = np.linspace(0, 2 * np.pi, _SIDES, endpoint=False)
    unit = np.column_stack([np.cos(angle), np.sin(angle)])
    rings: NDArray[np.float64] = centres[:, None] + radius[:, None, None] * unit
    return rings


def _placed(plan: Plan, rings: NDArray[np.float64]) -> NDArray[np.float64]:
    planned = plan.scenes[0]
    world = moved(rings.reshape(-1, 2), planned.work.transform)
    placed: NDArray[np.float64] = lonlat_points(world, planned.scene.crs).reshape(rings.shape)
    return placed
