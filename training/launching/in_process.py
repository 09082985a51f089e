"""A training loop in this very process, with the log, checkpoints and result of a launched one."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from tiling.storage import address_below
from training import LaunchError
from training.launching.checkpoints import (
    checkpoint_names,
    copy_stored,
    folder_name,
    local_copy,
    newest_checkpoint,
    record_newest,
    remove_stored,
)
from training.launching.distributed import World
from training.launching.finalize import check_writable, earlier_result, finish_training
from training.launching.reporter import Reporter
from training.launching.worker import Launch, Loop, TrainingResult, Worker


def run_here(loop: Loop, config: Mapping[str, object], launch: Launch) -> TrainingResult:
    """Train to the end, from the last checkpoint at `out` on; an end that was reached is not repeated.

    Raises:
        LaunchError: more than one worker is asked for, or storage refuses.
    """
    if launch.workers != 1:
        raise LaunchError(f"{launch.workers} workers in one process: give 1, or launch on Ray")
    done = earlier_result(config, launch)
    if done is not None:
        return done
    check_writable(launch)
    with ExitStack() as stack:
        start = newest_checkpoint(launch.out, launch.name)
        resume = stack.enter_context(local_copy(start.uri)) if start else None
        world = World(device=launch.device)
        reporter = Reporter(world, launch.out, _Keep(launch))
        stack.callback(reporter.close)
        loop(Worker(world, resume, reporter.report, start.step if start else 0), config)
    return finish_training(config, launch)


class _Keep:
    """Copies checkpoints to where they are kept, names the newest, and removes the oldest."""

    def __init__(self, launch: Launch) -> None:
        self._root, self._keep = address_below(launch.out, launch.name), launch.keep

    def __call__(self, step: int, figures: Mapping[str, float], folder: Path) -> None:
        copy_stored(str(folder), address_below(self._root, folder_name(step)))
        record_newest(self._root, step)
        for old in [name for name in checkpoint_names(self._root) if name <= folder_name(step)][
            : -self._keep
        ]:
            remove_stored(address_below(self._root, old))
