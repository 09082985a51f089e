"""The benchmark `scale`: planning a million tiles, and what running them costs the driver."""

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.driver_picture import draw
from benchmarks.measure import Aim, Row
from benchmarks.scale_child import Sample, read_samples
from benchmarks.settings import Settings
from benchmarks.watched import RunError

NAME = "scale"
PLAN_S, PLAN_BYTES = 60.0, 1e9
TILE_S = 1e-3
GROWTH = 1.25
"""Maximum ratio of the driver's memory after the last chunk to that after the first tenth of the chunks."""
TIMEOUT_S = 7200.0
WITHIN = Aim(maximum=1.0)

Facts = dict[str, float]


def measure(settings: Settings) -> list[Row]:
    """Time and memory of a large plan, then time and memory of the driver over runs of growing size."""
    folder = settings.out / "scale"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        *_planning(folder, settings),
        *(row for tiles in settings.scale_tiles for row in _run(folder, tiles)),
    ]
    draw({tiles: read_samples(folder, tiles) for tiles in settings.scale_tiles}, folder / "driver-memory.svg")
    return rows


def _planning(folder: Path, settings: Settings) -> list[Row]:
    plan = _child("plan", folder, settings.scale_scenes)
    header = _child("headers", folder, settings.scale_headers)
    steps = ("make", "write", "read", "pending")
    seconds = sum(plan[step] for step in steps)
    detail = ", ".join(f"{step} {plan[step]:.1f} s" for step in steps)
    what = f"plan of {plan['tiles']:g} tiles over {settings.scale_scenes} scenes"
    return [
        Row(NAME, f"{what}: time over 60 s", (seconds / PLAN_S,), detail, WITHIN),
        Row(
            NAME,
            f"{what}: memory over 1 GB",
            (plan["peak_bytes"] / PLAN_BYTES,),
            _megabytes(plan["peak_bytes"]),
            WITHIN,
        ),
        Row(
            NAME,
            "header of a small local raster, over 1 ms",
            (header["seconds"] / 1e-3,),
            f"{header['count']:g} read one after another; planning reads 16 at once",
        ),
    ]


def _run(folder: Path, tiles: int) -> list[Row]:
    found = _child("run", folder, tiles)
    samples = read_samples(folder, tiles)
    detail = (
        f"{found['chunks']:g} chunks in {found['seconds']:.0f} s, {found['chunk_cpu_s']:.1f} s of the driver"
    )
    return [
        Row(
            NAME,
            f"{tiles} tiles: driver time a tile over 1 ms",
            (found["chunk_cpu_s"] / tiles / TILE_S,),
            detail,
            WITHIN,
        ),
        Row(
            NAME,
            f"{tiles} tiles: driver memory, end over start",
            (_growth(samples, tiles),),
            _held(samples),
            Aim(maximum=GROWTH),
        ),
    ]


def _growth(samples: list[Sample], tiles: int) -> float:
    """Ratio of the driver's memory at the last chunk to that after a tenth of the tiles."""
    working = [item for item in samples if tiles / 10 <= item.tiles < tiles] or samples
    return working[-1].held_bytes / working[0].held_bytes


def _held(samples: list[Sample]) -> str:
    return f"{_megabytes(max(item.held_bytes for item in samples))} at most"


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB"


def _child(verb: str, folder: Path, number: int) -> Facts:
    """The figures that a process of its own measured of itself.

    Raises:
        RunError: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.scale_child", verb, str(folder), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    if done.returncode:
        raise RunError(" ".join(command), done.stderr[-500:])
    facts: Facts = json.loads(done.stdout)
    return facts
