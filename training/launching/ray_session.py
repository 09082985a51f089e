"""A Ray for the time of a training: the one that runs, a named cluster, or one of our own."""

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import ray

from training import LaunchError
from training.launching.ray_failures import sentence
from training.launching.worker import Launch

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_ENABLE_PRINT_PATCH": "0",
}
"""No reports to anyone, no advice, and workers that stay in the folder from which paths are meant."""


def share(launch: Launch) -> dict[str, float]:
    """Resources that each worker reserves, by Ray's names."""
    gpus = {"GPU": 1.0} if launch.gpu else {}
    return {"CPU": float(launch.cpus_per_worker), **gpus}


@contextmanager
def connected(launch: Launch) -> Iterator[None]:
    """Ray for the block: the one that runs, or the named cluster, or one here that ends with the block.

    Raises:
        LaunchError: there is no such cluster, or this machine has no room for the workers.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with redirect_stdout(sys.stderr):  # Ray tells of dead workers there, where the result belongs
        ours = not ray.is_initialized()
        if ours:
            _start(launch)
        try:
            _check_room(launch)
            yield
        finally:
            if ours:
                ray.shutdown()


def _start(launch: Launch) -> None:
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if launch.address is None:
        cores = max(os.cpu_count() or 1, math.ceil(launch.workers * launch.cpus_per_worker))
        options |= {"include_dashboard": False, "num_cpus": cores}
    try:
        ray.init(address=launch.address or "local", **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        where = f"no Ray cluster at {launch.address}" if launch.address else "Ray does not start"
        raise LaunchError(f"{where} ({sentence(error)}): check the address, or leave it out") from error


def _check_room(launch: Launch) -> None:
    """Refuse what can never start; a named cluster may grow."""
    if launch.address is not None:
        return
    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for kind, each in share(launch).items():
        wanted, there = each * launch.workers, has.get(kind, 0.0)
        if wanted > there:
            raise LaunchError(
                f"{launch.workers} workers want {wanted:g} {kind}s and there are {there:g}: ask for fewer"
            )


@contextmanager
def interruptible() -> Iterator[None]:
    """Give the interrupt signal back after the block: Ray Train takes it and keeps it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
