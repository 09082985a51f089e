"""A training as numbered steps, and the loop that builds, resumes, runs and reports them."""

import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from training import LaunchError
from training.launching.distributed import World
from training.launching.worker import Worker, save

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
    """Receives how a training goes."""

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        """Called after every step, steps counted from 1."""
        ...

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        """Called where a checkpoint is due; `write` puts everything a resume needs into a folder."""
        ...


def take_steps(stage: Stage, watcher: Watcher, *, first: int = 0, save_every: int = 500) -> None:
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


MakeStage = Callable[[Mapping[str, object], World], Stage]
"""Builds the stage of one process from the settings, the same weights on all."""

MAX_REASON = 120
"""Longest reason shown why a checkpoint does not fit, characters: torch names every weight."""


@dataclass(frozen=True, slots=True)
class StageLoop:
    """A loop that takes the steps of a stage."""

    make: MakeStage
    """Builds the stage; a function of a module, so that other processes find it."""
    save_every: int = 500
    """Steps between checkpoints; the last step always leaves one."""

    def __call__(self, worker: Worker, config: Mapping[str, object]) -> None:
        """Take the steps that are not done yet.

        Raises:
            LaunchError: the checkpoint does not fit the stage.
        """
        stage = self.make(config, worker.world)
        if worker.resume is not None:
            _resume(stage, worker.resume)
        take_steps(stage, _Watched(worker), first=worker.first, save_every=self.save_every)


def stage_loop(make_stage: MakeStage, *, save_every: int = 500) -> StageLoop:
    """A loop for `launch` or `run_here` that builds a stage and takes its steps."""
    return StageLoop(make_stage, save_every)


@dataclass(frozen=True, slots=True)
class _Watched:
    """Passes on what happens to the worker."""

    worker: Worker

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        self.worker.report(step, figures, None)

    def checkpoint(self, step: int, write: Callable[[Path], None]) -> None:
        save(self.worker, step, write)


def _resume(stage: Stage, folder: Path) -> None:
    try:
        read_checkpoint(stage, folder)
    except (RuntimeError, LookupError, ValueError, OSError) as error:
        reason = textwrap.shorten(str(error), MAX_REASON, placeholder=" …")
        raise LaunchError(
            f"the checkpoint {folder} does not fit this recipe ({reason}): start in a new out"
        ) from error
