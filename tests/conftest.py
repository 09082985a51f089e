"""Settings of all tests: property tests run without a stopwatch, models on one thread, hubs out of reach."""

import os

from hypothesis import HealthCheck, settings

from tests.s3.fixtures import bucket, s3_server

__all__ = ["bucket", "s3_server"]

settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
