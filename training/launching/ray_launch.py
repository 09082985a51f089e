"""A training loop on Ray Train: workers started, restarted from the last checkpoint, and the result fetched.

Figures go to the log of process 0, not through Ray: a report to Ray waits for the controller, which reads
it every two seconds. Only checkpoints are reported to it.
"""

import functools
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import ray.train
import ray.train.torch
from ray.exceptions import RayError

from tiling.storage import address_below, is_local, local_path, storage_settings
from training import LaunchError
from training.launching.checkpoints import (
    StoredCheckpoint,
    arrow_storage,
    folder_name,
    newest_checkpoint,
    record_newest,
)
from training.launching.distributed import World
from training.launching.finalize import check_writable, earlier_result, finish_training
from training.launching.ray_failures import Watch, sentence, worst
from training.launching.ray_session import connected, interruptible, share
from training.launching.reporter import LOG, Reporter
from training.launching.tail_files import following
from training.launching.worker import Launch, Loop, TrainingResult, Worker

Trainer = TypeVar("Trainer")

_train: Any = ray.train
"""Its annotations still describe the older interface, which 2.60 replaces when it is imported."""

PASSED_ON = ("OMP_NUM_THREADS", "HF_HUB_OFFLINE", "TOKENIZERS_PARALLELISM")
"""Settings that workers share with this process where it has them, beside those of storage. Keys and secrets
are not among them: on a cluster they would stand in the job's description."""

START_TRIES = 5
"""Further tries to get all workers started, a minute each, before a cluster is taken to be too small."""
PREEMPTIONS = 100
"""Announced losses of a node that a training survives."""


def launch(loop: Loop, config: Mapping[str, object], launch: Launch) -> TrainingResult:
    """Train to the end on Ray, from the last checkpoint at `out` on; an end that was reached is not repeated.

    Args:
        loop: What each worker runs; it and the settings are pickled.
        config: Settings of the loop, plain values: a finished training of the same ones is not repeated.
        launch: Where, on what and how stubbornly.

    Raises:
        LaunchError: Ray or storage refuses, or the loop failed for good.
    """
    done = earlier_result(config, launch)
    if done is not None:
        return done
    check_writable(launch)
    with tempfile.TemporaryDirectory(prefix="messages-") as temporary:
        messages = Path(temporary) / "messages.txt"
        with connected(launch), interruptible(), following(_followed_files(launch, messages), sys.stderr):
            _fit(_trainer(functools.partial(_work, loop, config, launch), launch, messages=messages), launch)
    return finish_training(config, launch)


def prepared(trainer: Trainer) -> Trainer:
    """Make a Hugging Face trainer fit for a Ray worker; outside of one it is returned as it is."""
    try:
        _train.get_context().get_world_rank()
    except RuntimeError:
        return trainer
    from ray.train.huggingface.transformers import prepare_trainer

    prepare: Callable[[Trainer], Trainer] = prepare_trainer  # type: ignore[assignment]
    return prepare(trainer)


def _work(loop: Loop, config: Mapping[str, object], launch: Launch) -> None:
    """Run the loop in one worker."""
    context = _train.get_context()
    world = World(context.get_world_rank(), context.get_world_size(), launch.device)
    last = newest_checkpoint(launch.out, launch.name)
    with ExitStack() as stack:
        resume = Path(stack.enter_context(_stored(last).as_directory())) if last else None
        reporter = Reporter(world, launch.out, functools.partial(_keep, launch), lines=_lines(launch))
        stack.callback(reporter.close)
        loop(Worker(world, resume, reporter.report, last.step if last else 0), config)


def _lines(launch: Launch) -> Path | None:
    """File for the log's lines, which the launching process shows; None where it could not see it."""
    return Path(local_path(launch.out)) / LOG / "lines.txt" if is_local(launch.out) else None


def _followed_files(launch: Launch, messages: Path) -> list[Path]:
    lines = _lines(launch)
    return [messages, lines] if lines else [messages]


def _stored(found: StoredCheckpoint) -> ray.train.Checkpoint:
    filesystem, path = arrow_storage(found.uri)
    return ray.train.Checkpoint(path, filesystem)


def _keep(launch: Launch, step: int, figures: Mapping[str, float], folder: Path) -> None:
    """Hand a checkpoint to Ray, which copies the folder of process 0; all processes meet here.

    The copy is whole on return, but Ray's record of it follows seconds later: a worker that dies in between
    would go on from the one before, so that the newest is named here as well.
    """
    first = _train.get_context().get_world_rank() == 0
    _train.report(
        {"step": step, **figures},
        checkpoint=_train.Checkpoint.from_directory(str(folder)) if first else None,
        checkpoint_dir_name=folder_name(step),
    )
    if first:
        record_newest(address_below(launch.out, launch.name), step)


def _trainer(work: "functools.partial[None]", launch: Launch, *, messages: Path) -> Any:
    return _train.torch.TorchTrainer(
        work,
        torch_config=_train.torch.TorchConfig(backend="nccl" if launch.gpu else "gloo"),
        scaling_config=_train.ScalingConfig(
            num_workers=launch.workers, use_gpu=launch.gpu, resources_per_worker=share(launch)
        ),
        run_config=_run_config(launch, messages),
    )


def _run_config(launch: Launch, messages: Path) -> Any:
    filesystem, path = arrow_storage(launch.out)
    passed_on = (*PASSED_ON, *storage_settings())
    return _train.RunConfig(
        name=launch.name,
        storage_path=path,
        storage_filesystem=filesystem,
        failure_config=_train.FailureConfig(
            max_failures=launch.max_failures,
            controller_failure_limit=START_TRIES,
            max_preemption_failures=PREEMPTIONS,
        ),
        checkpoint_config=_train.CheckpointConfig(num_to_keep=launch.keep),
        callbacks=[Watch(messages)],
        worker_runtime_env={"env_vars": {n: os.environ[n] for n in passed_on if n in os.environ}},
        logging_config=_train.LoggingConfig(log_level="CRITICAL"),
    )


def _fit(trainer: Any, launch: Launch) -> None:
    try:
        trainer.fit()
    except _train.WorkerGroupError as error:
        _, last = worst(error.worker_failures)
        tries = "1 try" if launch.max_failures == 0 else f"{launch.max_failures + 1} tries"
        raise LaunchError(f"{launch.name} failed after {tries}: {sentence(last)}") from error
    except _train.ControllerError as error:
        raise LaunchError(f"{launch.name} failed: {sentence(error.controller_failure)}") from error
    except RayError as error:
        raise LaunchError(f"{launch.name} failed: {sentence(error)}") from error
