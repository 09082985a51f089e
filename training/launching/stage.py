"""What a training loop of our own offers to whoever drives it, and the driver. Knows no Ray and no model."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

State = dict[str, object]
"""Everything a resume needs, as torch can save it."""


class Stage(Protocol):
    """Training that goes step by step; a step's samples depend on its number alone."""

    @property
    def steps(self) -> int:
        """How many steps there are in all."""
        ...

    def step(self, number: int) -> Mapping[str, float]:
        """Take step `number`, counted from 0, and return its figures, the same on every process."""
        ...

    def state(self) -> State:
        """Weights and optimiser as they stand."""
        ...

    def load(self, state: State) -> None:
        """Stand again where a state was taken, bit for bit."""
        ...

    def save(self, folder: Path) -> None:
        """Write a model folder that the loader accepts."""
        ...


class Watcher(Protocol):
    """Who is told how a training goes."""

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Called after every step, steps counted from 1."""
        ...

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        """Called where a checkpoint is due; `write` puts everything a resume needs into a folder."""
        ...


def drive(stage: Stage, watcher: Watcher, *, first: int = 0, save_every: int = 500) -> None:
    """Take all steps from `first` on; a checkpoint every so many steps and after the last.

    The seconds of each step are added to its figures.
    """
    for number in range(first, stage.steps):
        start = time.perf_counter()
        figures = dict(stage.step(number))
        figures["seconds"] = time.perf_counter() - start
        done = number + 1
        watcher.figures(done, figures)
        if done % save_every == 0 or done == stage.steps:
            watcher.checkpoint(done, lambda folder: write_checkpoint(stage, folder))


def write_checkpoint(stage: Stage, folder: Path) -> None:
    """Write `model/`, which the loader accepts, and `state.pt`, from which training goes on."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    stage.save(folder / "model")
    torch.save(stage.state(), folder / "state.pt")


def read_checkpoint(stage: Stage, folder: Path) -> None:
    """Make a stage stand where a checkpoint was written."""
    import torch

    stage.load(torch.load(folder / "state.pt", map_location="cpu", weights_only=True))
