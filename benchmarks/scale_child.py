"""Makes one large plan or one run of many tiles, in a process of its own that measures itself."""

import csv
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import numpy as np

from benchmarks.processes import own_memory
from pipelines.inference.infer_chunk import open_chunks
from pipelines.jobs.run import run_job
from pipelines.plan import planning
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from pipelines.plan.plan_files import read_plan, write_plan
from pipelines.progress import ChunkDone, Event
from tiling.raster.cog import write_cog
from tiling.raster.describe import describe_scene
from tiling.raster.header import DEFAULT_OPTIONS
from tiling.scene import Band, Scene
from tiling.storage.store import Store

SCENE_PX, TILE_PX, CHUNK_PX = 3200, 32, 160
"""A scene of the run has 10,000 tiles in 400 chunks of 25, as 4,096-pixel chunks of 896-pixel tiles have."""
TILES_A_SCENE = (SCENE_PX // TILE_PX) ** 2
PLANNED_PX = 9600
"""Side of a planned scene, pixels: 196 tiles of 896 pixels."""
SAMPLE_S = 1.0

T = TypeVar("T")


@dataclass(slots=True)
class RunMeasured:
    """What one run cost its driver process."""

    tiles: int = 0
    """Tiles done."""
    chunks: int = 0
    """Chunks done."""
    seconds: float = 0.0
    """Wall time: planning, chunks, merge, publishing."""
    chunk_cpu_s: float = 0.0
    """Processor time of this process from the first committed chunk to the last."""
    cpu_s: float = 0.0
    """Processor time of this process for everything."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The driver process at one moment."""

    tiles: int
    """Tiles done."""
    held_bytes: int
    """Memory of this process alone."""
    cpu_s: float
    """Its processor time so far."""


def plan_many(folder: Path, scenes: int) -> dict[str, float]:
    """Plan scenes that are values, as their headers would give them; write the plan and read it back."""
    config = _config(folder / "planned", tile=896, chunk=4096)
    found = [_scene(number) for number in range(scenes)]
    times: dict[str, float] = {}
    with patch.object(planning, "find_scenes", lambda *_, **__: found):
        plan = _timed(times, "make", lambda: planning.make_plan(config))
    store = Store(config.out)
    _timed(times, "write", lambda: write_plan(store, plan))
    again = _timed(times, "read", lambda: read_plan(store))
    pending = _timed(times, "pending", lambda: open_chunks(again, ()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {**times, "tiles": plan.n_tiles, "chunks": len(pending), "peak_bytes": peak}


def read_headers(folder: Path, count: int) -> dict[str, float]:
    """Describe real small rasters, one after another."""
    paths = [_flat_scene(folder / "headers", number, side_px=256) for number in range(count)]
    began = time.perf_counter()
    for path in paths:
        describe_scene(str(path), bands=None, assume_crs=None, options=DEFAULT_OPTIONS)
    return {"seconds": (time.perf_counter() - began) / count, "count": count}


def samples_file(folder: Path, tiles: int) -> Path:
    """The file of tiles done, bytes of the driver process alone and its processor time, once a second."""
    return folder / f"driver-{tiles}.csv"


def read_samples(folder: Path, tiles: int) -> list[Sample]:
    """The samples in a run's file."""
    with samples_file(folder, tiles).open() as lines:
        return [
            Sample(int(row["tiles"]), int(row["bytes"]), float(row["cpu_s"])) for row in csv.DictReader(lines)
        ]


def run_many(folder: Path, tiles: int) -> dict[str, object]:
    """Run so many tiles of real scenes of one grey through null models on Ray."""
    scenes = folder / f"flat-{tiles}"
    for number in range(-(-tiles // TILES_A_SCENE)):
        _flat_scene(scenes, number, side_px=SCENE_PX)
    config = _config(
        folder / f"run-{tiles}", tile=TILE_PX, chunk=CHUNK_PX, scenes=[f"{scenes}/*.tif"], overlap=0
    )
    found, first = RunMeasured(), [0.0, 0.0]
    done = threading.Event()

    def watch() -> None:
        with samples_file(folder, tiles).open("w", buffering=1) as lines:
            lines.write("tiles,bytes,cpu_s\n")
            while not done.wait(SAMPLE_S):
                lines.write(f"{found.tiles},{own_memory()},{time.process_time():.3f}\n")

    def count(event: Event) -> None:
        if isinstance(event, ChunkDone):
            first[0] = first[0] or time.process_time()
            first[1] = time.process_time()
            found.tiles += event.n_tiles
            found.chunks += 1

    threading.Thread(target=watch, daemon=True).start()
    began = time.perf_counter()
    run_job(config, overwrite=True, listener=count)
    found.seconds, found.cpu_s = time.perf_counter() - began, time.process_time()
    found.chunk_cpu_s = first[1] - first[0]
    done.set()
    return asdict(found)


def _timed(times: dict[str, float], name: str, act: Callable[[], T]) -> T:
    began = time.perf_counter()
    found = act()
    times[name] = time.perf_counter() - began
    return found


def _config(out: Path, **fields: object) -> JobConfig:
    given = {"scenes": ["none"], "ask": ["Where are ships?"], "reasoner": "null", "segmenter": "null"}
    return load_config(None, {**given, "out": str(out), **fields})


def _scene(number: int) -> Scene:
    """A scene as read from a header, a little apart from its neighbours, so that no scenes overlap."""
    row, col = divmod(number, 70)
    side = PLANNED_PX * 0.5 + 50
    place = (0.5, 0.0, 400_000.0 + col * side, 0.0, -0.5, 5_700_000.0 - row * side)
    uri = f"s3://bucket/scenes/scene-{number:05d}.tif"
    bands = tuple(Band(uri, band) for band in (1, 2, 3))
    return Scene(
        uri,
        uri[-15:-4],
        f"{number:032x}",
        PLANNED_PX,
        PLANNED_PX,
        place,
        "EPSG:32631",
        "uint8",
        bands,
        None,
        None,
    )


def _flat_scene(folder: Path, number: int, *, side_px: int) -> Path:
    path = folder / f"flat-{number:04d}.tif"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.full((1, side_px, side_px), 100, dtype=np.uint8)
        place = (0.5, 0.0, 400_000.0 + number * side_px, 0.0, -0.5, 5_700_000.0)
        write_cog(str(path), pixels, transform=place, crs="EPSG:32631", nodata=None, block_px=512)
    return path


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    verb, where, number = sys.argv[1:]
    acts = {"plan": plan_many, "headers": read_headers, "run": run_many}
    json.dump(acts[verb](Path(where), int(number)), sys.stdout)
