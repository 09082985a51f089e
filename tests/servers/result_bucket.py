"""A finished run behind an S3 endpoint on loopback that serves reads and lists its requests."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.bucket import bucket_server

ADDRESS = "s3://bucket/out"


@contextmanager
def in_bucket(out: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a copy of an output folder as s3://bucket/out; yields the file that lists the requests."""
    (folder / "bucket").mkdir()
    shutil.copytree(out, folder / "bucket" / "out")
    with bucket_server(folder) as (endpoint, log):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield log
