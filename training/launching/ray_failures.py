"""What became of Ray Train's workers, in one sentence, and which failures no further try would mend."""

from collections.abc import Mapping
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.train import UserCallback

from training import LaunchError
from training.launching.checkpoints import CheckpointStorageError
from training.launching.tail_files import append_line

FINAL = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    NotImplementedError,
    FileNotFoundError,
    LaunchError,
)
"""Errors that another try would meet again; storage that refuses may be kinder next time."""


class Watch(UserCallback):
    """Reports checkpoints and failures as they happen, and ends what no further try would mend."""

    def __init__(self, messages: Path) -> None:
        self._messages = messages

    def after_report(
        self, run_context: object, metrics: list[dict[str, float]], checkpoint: object | None
    ) -> None:
        """Report how far training is."""
        if checkpoint is not None:
            append_line(self._messages, f"checkpoint after step {metrics[0]['step']:g}")

    def after_exception(self, run_context: object, worker_exceptions: dict[int, Exception]) -> None:
        """Check what the workers raised.

        Raises:
            LaunchError: it is final.
        """
        rank, error = worst(worker_exceptions)
        if _is_final(error):
            raise LaunchError(sentence(error))
        append_line(self._messages, f"worker {rank} failed: {sentence(error)}")


def worst(failures: Mapping[int, Exception]) -> tuple[int, Exception]:
    """The most telling failure: a final one, else a death, else the first (others lose their neighbour)."""

    def order(rank: int) -> tuple[int, int]:
        error = failures[rank]
        return (0 if _is_final(error) else 1 if _is_death(error) else 2), rank

    rank = min(failures, key=order)
    return rank, failures[rank]


def _is_final(error: Exception) -> bool:
    return isinstance(error, FINAL) and not isinstance(error, CheckpointStorageError)


def _is_death(error: BaseException) -> bool:
    return isinstance(getattr(error, "health_check_failure", error), RayError)


def sentence(error: BaseException) -> str:
    """An error in one line."""
    if type(error).__module__.startswith("training."):
        return str(error)
    if _is_death(error):
        return _of_ray(error)
    lines = str(error).strip().splitlines() or ["no reason given"]
    return f"{type(error).__name__}: {lines[0].strip()}"


def _of_ray(error: BaseException) -> str:
    inner = getattr(error, "health_check_failure", error)
    if isinstance(inner, ray.exceptions.RayTaskError) and inner.cause is not None:
        return sentence(inner.cause)
    if isinstance(inner, ray.exceptions.RayActorError) and "creation task" not in str(inner):
        return "its process died (killed, out of memory, or its machine was lost)"
    lines = str(inner).strip().splitlines() or [type(inner).__name__]
    return lines[-1].strip()
