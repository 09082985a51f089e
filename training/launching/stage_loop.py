"""A loop out of anything that goes step by step: built, resumed, driven, reported."""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from training.errors import LaunchError
from training.launching.parallel import World
from training.launching.stage import Stage, drive, read_checkpoint
from training.launching.worker import Worker, save

MakeStage = Callable[[Mapping[str, object], World], Stage]
"""Builds the stage of one process from the settings, the same weights on all."""

MAX_SAID = 120
"""Most that is told of why a checkpoint does not fit, characters: torch names every weight."""


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
            _stand(stage, worker.resume)
        drive(stage, _Watched(worker), first=worker.first, save_every=self.save_every)


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


def _stand(stage: Stage, folder: Path) -> None:
    try:
        read_checkpoint(stage, folder)
    except (RuntimeError, LookupError, ValueError, OSError) as error:
        said = textwrap.shorten(str(error), MAX_SAID, placeholder=" …")
        raise LaunchError(
            f"the checkpoint {folder} does not fit this recipe ({said}): start in a new out"
        ) from error
