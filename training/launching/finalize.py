"""The end of a training: its model put where the loader finds it, and a record that it is done."""

import hashlib
import json
from collections.abc import Mapping

from tiling.storage import address_below, full_address
from training import LaunchError
from training.launching.checkpoints import (
    MODEL,
    RESULT,
    copy_stored,
    newest_checkpoint,
    read_record,
    remove_unrecorded,
    stored_files,
    write_record,
)
from training.launching.worker import Launch, TrainingResult

DONE = "done.json"
"""Beside the checkpoints once training is finished: of which settings, and what came out."""


def earlier_result(config: Mapping[str, object], launch: Launch) -> TrainingResult | None:
    """The outcome of the same settings' earlier run to the end; None where there is something to do.

    Raises:
        LaunchError: storage refuses.
    """
    done = read_record(address_below(launch.out, launch.name, DONE))
    if done is None or done.get("settings") != _digest(config) or not stored_files(_result(launch)):
        return None
    metrics = {str(name): float(value) for name, value in done["metrics"].items()}
    return TrainingResult(_result(launch), int(done["steps"]), metrics)


def finish_training(config: Mapping[str, object], launch: Launch) -> TrainingResult:
    """Put the last checkpoint's model where the loader finds it and record that training is finished.

    Raises:
        LaunchError: no checkpoint was handed over, or it holds no model, or storage refuses.
    """
    last = newest_checkpoint(launch.out, launch.name)
    if last is None:
        raise LaunchError(
            f"the training ended without a checkpoint in {address_below(launch.out, launch.name)}"
        )
    copy_stored(address_below(last.uri, MODEL), _result(launch))
    remove_unrecorded(address_below(launch.out, launch.name))
    record = {"settings": _digest(config), "steps": last.step, "metrics": dict(last.figures)}
    write_record(address_below(launch.out, launch.name, DONE), record)
    return TrainingResult(_result(launch), last.step, last.figures)


def check_writable(launch: Launch) -> None:
    """Make sure that `out` can be written before anything is started.

    Raises:
        LaunchError: it cannot.
    """
    write_record(address_below(launch.out, launch.name, "started.json"), {"workers": launch.workers})


def _result(launch: Launch) -> str:
    return address_below(full_address(launch.out), RESULT)


def _digest(config: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=repr).encode()).hexdigest()
