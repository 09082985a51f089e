"""The benchmark `memory`: whether a run's memory depends on the size of its scene."""

import statistics
from functools import partial

from benchmarks.measure import Aim, Row, divided, interleaved
from benchmarks.runs import RunFacts, null_run
from benchmarks.scenes import large_scene, small_scene
from benchmarks.settings import Settings

NAME = "memory"
LIMIT_BYTES = 3e9

FLAT, WITHIN = Aim(maximum=1.25), Aim(maximum=1.0)


def measure(settings: Settings) -> list[Row]:
    """Peak memory of whole process trees: large scene over small scene, and over the limit."""
    scenes = {settings.size_px: small_scene(settings), settings.large_px: large_scene(settings)}
    engine = settings.memory_engine
    runs = interleaved(
        {
            str(px): partial(null_run, path, settings, engine=engine, watch=True)
            for px, path in scenes.items()
        },
        settings,
    )
    small, large = (_peaks(runs[str(px)]) for px in scenes)
    what = f"peak memory of {engine}"
    growth = f"{_gigabytes(small)} GB at {settings.size_px}², {_gigabytes(large)} GB at {settings.large_px}²"
    return [
        Row(
            NAME,
            f"{what}: {settings.large_px}² over {settings.size_px}²",
            divided(large, small),
            growth,
            FLAT,
        ),
        _within(f"{what} at {settings.size_px}²", small),
        _within(f"{what} at {settings.large_px}²", large),
    ]


def _peaks(runs: list[RunFacts]) -> list[float]:
    return [float(run.peak_bytes) for run in runs]


def _within(what: str, peaks: list[float]) -> Row:
    detail = f"{_gigabytes(peaks)} of {LIMIT_BYTES / 1e9:g} GB"
    return Row(NAME, f"{what}: over the limit", divided(peaks, [LIMIT_BYTES] * len(peaks)), detail, WITHIN)


def _gigabytes(peaks: list[float]) -> str:
    return f"{statistics.median(peaks) / 1e9:.2f}"
