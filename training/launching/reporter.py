"""What becomes of a report: process 0 logs it, and a checkpoint goes where it is kept."""

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tiling.storage import address_below, is_local, local_path
from training.launching.checkpoints import copy_stored, stored_files, write_checkpoint_report
from training.launching.distributed import World
from training.launching.metrics_log import MetricsLog

Keep = Callable[[int, Mapping[str, float], Path], None]
"""Stores the checkpoint in a folder; on other processes than 0 it only meets them."""

LOG = "log"
"""Below `out`: the log's folder."""
DRAW_EVERY_S = 60.0
"""Minimum time between two pictures while training goes on, seconds: drawing takes time from the steps."""


class Reporter:
    """Takes the reports of one process."""

    def __init__(self, world: World, out: str, keep: Keep, *, lines: Path | None = None) -> None:
        """Open the log of a training at `out`; only process 0 writes one.

        Args:
            world: This process.
            out: Where the training leaves its files.
            keep: What to do with a checkpoint.
            lines: File to which the lines of progress are appended, None for stderr.

        Raises:
            LaunchError: an old log cannot be fetched.
        """
        self._keep = keep
        self._figures: dict[str, float] = {}
        self._log = _StoredLog(address_below(out, LOG), lines) if world.rank == 0 else None

    def report(self, step: int, figures: Mapping[str, float], checkpoint: Path | None) -> None:
        """Log figures and hand over a checkpoint.

        Raises:
            LaunchError: storage refuses.
        """
        self._figures.update({name: float(value) for name, value in figures.items()})
        if self._log is not None:
            self._log.log.add(step, figures)
        if checkpoint is None:
            return
        if self._log is not None:
            write_checkpoint_report(checkpoint, step, self._figures)
        self._keep(step, self._figures, checkpoint)
        if self._log is not None:
            self._log.store()

    def close(self) -> None:
        """Finish the log.

        Raises:
            LaunchError: storage refuses.
        """
        if self._log is not None:
            self._log.close()


class _StoredLog:
    """A log on disk, which is copied to storage at checkpoints where `out` is elsewhere."""

    def __init__(self, uri: str, lines: Path | None) -> None:
        self._uri = uri
        self._scratch = None if is_local(uri) else tempfile.TemporaryDirectory(prefix="log-")
        folder = Path(self._scratch.name) / LOG if self._scratch else Path(local_path(uri))
        if self._scratch and stored_files(uri):
            copy_stored(uri, str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        self._lines = lines.open("a", encoding="utf-8") if lines else None
        self._folder, self.log = folder, MetricsLog(folder, stream=self._lines)
        self._drawn = time.monotonic()

    def store(self) -> None:
        self.log.flush()
        if time.monotonic() - self._drawn > DRAW_EVERY_S:
            self.log.draw()
            self._drawn = time.monotonic()
        if self._scratch:
            copy_stored(str(self._folder), self._uri)

    def close(self) -> None:
        self.log.close()
        if self._lines:
            self._lines.close()
        if self._scratch:
            if stored_files(str(self._folder)):
                copy_stored(str(self._folder), self._uri)
            self._scratch.cleanup()
