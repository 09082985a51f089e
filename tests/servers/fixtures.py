"""Fixtures of tests on a real S3 server: one server a session, a bucket of its own for each test."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import s3fs

from tests.servers.radosgw import Server, missing_programs, radosgw


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
