"""Settings of all tests: property tests run without a stopwatch, models on one thread, hubs out of reach."""

import os

from hypothesis import HealthCheck, settings

from tests.servers.fixtures import bucket, s3_server
from tests.worlds.fixtures import make_config, practice, whole, whole_copy

__all__ = ["bucket", "make_config", "practice", "s3_server", "whole", "whole_copy"]

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
