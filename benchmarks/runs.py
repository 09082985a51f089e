"""Runs the command line once with null models, and returns its speed and its memory."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.settings import Settings
from benchmarks.watched import watched

TIMEOUT_S = 240.0
"""A run that takes longer is ended, and the benchmark fails."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """The figures of one run."""

    tiles: int
    """Tiles done."""
    seconds: float
    """Wall time as the run reports it: planning, the engine's start, chunks, merge."""
    steady: float
    """Tiles per second from the first committed chunk to the last."""
    peak_bytes: int
    """Peak memory of the process and all its descendants together, 0 if it was not watched."""

    @property
    def rate(self) -> float:
        """Tiles per second of the whole run."""
        return self.tiles / self.seconds


def null_run(
    scene: Path, settings: Settings, *, engine: str, watch: bool, workers: int | None = None
) -> RunFacts:
    """Run all tiles of a scene through null models with the default tile.

    Args:
        scene: the raster.
        settings: chunk size and where runs are written.
        engine: ray or loop.
        watch: measure the memory while it runs.
        workers: model actors of Ray, None for as many as fit.

    Raises:
        RunError: the run fails or takes too long.
    """
    out = settings.out / "runs" / f"{scene.stem}-{engine}"
    command = _command(scene, out, engine=engine, chunk_px=settings.chunk_px)
    command += ["--workers", str(workers)] if workers else []
    log = settings.out / "runs" / f"{scene.stem}-{engine}.log"
    ended = watched(command, log, watch=watch, timeout_s=TIMEOUT_S)
    report = json.loads(ended.output)
    return RunFacts(report["tiles"], report["seconds"], _steady_rate(out, report), ended.peak_bytes)


def _command(scene: Path, out: Path, *, engine: str, chunk_px: int) -> list[str]:
    return [
        sys.executable, "-m", "pipelines", "run", str(scene), "--ask", "Where are ships?",
        "--reasoner", "null", "--segmenter", "null", "--engine", engine, "--chunk", str(chunk_px),
        "--out", str(out), "--overwrite", "--json",
    ]  # fmt: skip


def _steady_rate(out: Path, report: dict[str, float]) -> float:
    """Tiles per second between the first and the last file of the ledger, each written as its chunk ends."""
    files = sorted((path.stat().st_mtime, path) for path in out.glob("answers/*/*.parquet"))
    after_first = sum(pq.read_metadata(path).num_rows for _, path in files[1:])
    span = files[-1][0] - files[0][0] if files else 0.0
    return after_first / span if span > 0 else report["tiles"] / report["seconds"]
