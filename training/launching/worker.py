"""What a training process is given, how it is launched and what it returns."""

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training import LaunchError
from training.launching.distributed import World

Report = Callable[[int, Mapping[str, float], Path | None], None]
"""Called with (steps done, figures, checkpoint folder or None)."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of a training."""

    world: World
    """This process among all that train together."""
    resume: Path | None
    """Local folder of the last checkpoint, to be read only; None where training starts anew."""
    report: Report
    """Takes the figures of a step, steps counted from 1. Where the folder is not None every process must call
    it for the same step; the folder of process 0 is copied to storage before the call returns, the others'
    are not read."""
    first: int = 0
    """Steps that are done already."""


Loop = Callable[[Worker, Mapping[str, object]], None]
"""Trains from `resume` to the end. What it raises of ValueError's kind is final; a death is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Where and on what a training runs."""

    out: str
    """Folder for everything the training leaves, local or s3://…"""
    workers: int = 1
    """Processes that train together."""
    address: str | None = None
    """Address of a Ray cluster, None for this machine."""
    gpu: bool = False
    """Whether each process gets a GPU of its own."""
    cpus_per_worker: float = 1
    """Cores that each process reserves."""
    max_failures: int = 3
    """Deaths of a process after which training is taken up again; one more ends it."""
    keep: int = 2
    """Checkpoints kept, the newest ones."""
    name: str = "train"
    """Folder below `out` that holds the checkpoints."""

    @property
    def device(self) -> str:
        """Where each process computes, in torch's word."""
        return "cuda" if self.gpu else "cpu"

    def __post_init__(self) -> None:
        for wrong, message in (
            (not self.out, "out is empty: name a folder or an s3:// address"),
            (self.workers < 1, f"{self.workers} workers: give at least 1"),
            (self.cpus_per_worker <= 0, f"{self.cpus_per_worker:g} cores a worker: give more than 0"),
            (self.max_failures < 0, f"{self.max_failures} failures allowed: give 0 or more"),
            (self.keep < 1, f"{self.keep} checkpoints kept: give at least 1"),
            (not re.fullmatch(r"\w[\w.-]*", self.name), f"the name {self.name!r} is not a plain folder name"),
            (self.name == "checkpoint", "the name 'checkpoint' is taken by the result: choose another"),
        ):
            if wrong:
                raise LaunchError(message)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What a finished training gives back."""

    checkpoint: str
    """Folder or address of the model, as the loader takes it."""
    steps: int
    """Steps taken in all, resumed ones included."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Figures of the last step."""


def save(
    worker: Worker, step: int, write: Callable[[Path], None], *, figures: Mapping[str, float] | None = None
) -> None:
    """Have process 0 write a checkpoint into a private folder and hand it over; every process must call this.

    Args:
        worker: This process.
        step: Steps done.
        write: Puts `model/` and whatever a resume needs into a folder; called on process 0 alone.
        figures: Figures of the step that were not reported yet.
    """
    with tempfile.TemporaryDirectory(prefix="checkpoint-") as temporary:
        if worker.world.rank == 0:
            write(Path(temporary))
        worker.report(step, figures or {}, Path(temporary))
