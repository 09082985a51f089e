"""Settings of all tests: property tests run without a stopwatch, models on one thread, hubs out of reach."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.grouping import GroupScheduling, place_of
from tests.servers.fixtures import bucket, hurried, impatient, ray_cache, ray_here, s3_server
from tests.worlds.fixtures import make_config, practice, whole, whole_copy

__all__ = [
    "bucket",
    "hurried",
    "impatient",
    "make_config",
    "practice",
    "ray_cache",
    "ray_here",
    "s3_server",
    "whole",
    "whole_copy",
]

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: place_of(item.nodeid.split("::")[0]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let files that need the same costly resource share a worker."""
    config.option.loadscopereorder = False
    return GroupScheduling(config, log)
