"""What tests share a session: one S3 server, with a bucket of its own for each test, and one Ray."""

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
import s3fs
from tenacity import wait_fixed

from tests.servers.radosgw import Server, missing_programs, radosgw
from tiling.storage import retry


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server; tests are skipped where it is not installed."""
    missing = missing_programs()
    if missing:
        pytest.skip(
            f"no S3 server: {', '.join(missing)} not found "
            "(apt-get install --no-install-recommends ceph-mon ceph-osd radosgw ceph-common)"
        )
    with radosgw(tmp_path_factory.mktemp("radosgw") / "s3") as server:
        yield server


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a new bucket, which this process may use by its environment."""
    no_credentials(monkeypatch)
    for name, value in s3_server.env().items():
        monkeypatch.setenv(name, value)
    return new_bucket(s3_server)


RAY_CPUS = 3
"""Of the shared Ray, however many cores this machine has."""


@pytest.fixture(scope="session")
def ray_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the shared Ray's processes keep practice scenes; that Ray ends with the session."""
    yield tmp_path_factory.mktemp("cache")
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


@pytest.fixture
def ray_here(ray_cache: Path) -> None:
    """The session's Ray, started unless it runs; a test that needs another one ends it first."""
    import ray

    from pipelines.engine import ray_cluster

    if ray.is_initialized():
        return
    given = {
        "XDG_CACHE_HOME": str(ray_cache),
        "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.3",
        "RAY_CHDIR_TO_TRIAL_DIR": "0",
    }
    with patch.dict(os.environ, given), patch.object(ray, "init", partial(ray.init, num_cpus=RAY_CPUS)):
        ray_cluster.connect(None)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of this process are repeated as often as ever, with no pauses or the shortest between them."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda self, _: 0.0)
    monkeypatch.setattr(retry, "wait_random_exponential", lambda **_: wait_fixed(0.05))


@pytest.fixture
def impatient() -> Iterator[None]:
    """Storage that is away is given up at once, not after seconds, where a test does not ask how long."""
    usual = retry.BRIEF.seconds
    object.__setattr__(retry.BRIEF, "seconds", 0.0)  # it is the default of many functions
    yield
    object.__setattr__(retry.BRIEF, "seconds", usual)


def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide what the person who runs the tests has of their own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")


def new_bucket(server: Server) -> str:
    """Make a bucket; its address."""
    name = f"test-{uuid4().hex[:12]}"
    direct(server).mkdir(name)
    return f"s3://{name}"


def direct(server: Server) -> s3fs.S3FileSystem:
    """The server's files for a test's own eyes, past the code under test."""
    checksums = {"request_checksum_calculation": "when_required"}
    return s3fs.S3FileSystem(
        key=server.key,
        secret=server.secret,
        endpoint_url=server.endpoint,
        config_kwargs={**checksums, "response_checksum_validation": "when_required"},
        use_listings_cache=False,
    )


def upload(server: Server, folder: Path, address: str) -> None:
    """Put all files of a folder below an address."""
    fs = direct(server)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            fs.pipe_file(f"{address}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def bucket_tree(server: Server, address: str) -> dict[str, bytes]:
    """Bytes of every file below an address, by relative name."""
    fs, base = direct(server), address.removeprefix("s3://").rstrip("/")
    return {name.removeprefix(base + "/"): fs.cat_file(name) for name in fs.find(base)}
