"""With s3:// on both sides the job gives the local run's bytes, on either engine, over a broken wire too."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipelines.errors import StoppedError
from pipelines.jobs import run as run_job_module
from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.progress import ChunkDone, Event
from tests.servers.fixtures import bucket_tree, upload
from tests.servers.proxy import KINDS, Faults, Proxy, proxied
from tests.servers.radosgw import Server
from tests.worlds.fixtures import file_bytes, oracle_config
from tiling.raster import chunks
from tiling.storage.retry import RetryPolicy


@pytest.fixture
def places(bucket: str, practice: Path, s3_server: Server) -> str:
    """A bucket with the practice scenes and their truth."""
    upload(s3_server, practice, f"{bucket}/practice")
    return bucket


def s3_config(places: str, **fields: object) -> JobConfig:
    """The request of the local run with scenes, truth and output in a bucket."""
    oracle = f"oracle:{places}/practice/truth.parquet"
    given = {"scenes": [f"{places}/practice/scenes/*.tif"], "reasoner": oracle, "segmenter": oracle}
    return oracle_config(Path("unused"), **{**given, "out": f"{places}/out", **fields})


def objects_in(server: Server, out: str) -> dict[str, bytes]:
    """Bytes of the object files of a run in a bucket, by the names a local run gives them."""
    return {name.removeprefix("objects/"): data for name, data in bucket_tree(server, out).items()
            if name.startswith("objects/")}  # fmt: skip


@pytest.mark.parametrize("engine", ["loop", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def test_a_run_from_bucket_to_bucket_gives_the_local_bytes(
    engine: str, places: str, whole: Path, s3_server: Server, ray_of_this_test: None
) -> None:
    report = run_job(s3_config(places, engine=engine))
    assert report.failed == 0
    assert objects_in(s3_server, f"{places}/out") == file_bytes(whole / "objects")
    collection = bucket_tree(s3_server, f"{places}/out")["collection.json"]
    assert json.loads(collection) == json.loads((whole / "collection.json").read_bytes())


def test_a_broken_wire_changes_no_byte(
    places: str, whole: Path, s3_server: Server, monkeypatch: pytest.MonkeyPatch, hurried: None
) -> None:
    with proxied(s3_server.endpoint, Faults(seed=7, every=40)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        report = run_job(s3_config(places))
        injected = proxy.injected()
    assert all(injected[kind] for kind in KINDS), injected
    assert report.failed == 0
    assert objects_in(s3_server, f"{places}/out") == file_bytes(whole / "objects")


@pytest.mark.ray
@pytest.mark.slow
def test_a_broken_wire_changes_no_byte_on_ray(
    places: str, whole: Path, s3_server: Server, monkeypatch: pytest.MonkeyPatch, ray_of_this_test: None
) -> None:
    with proxied(s3_server.endpoint, Faults(seed=8, every=40)) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        report = run_job(s3_config(places, engine="ray"))
        injected = proxy.injected()
    assert all(injected[kind] for kind in KINDS), injected
    assert report.failed == 0
    assert objects_in(s3_server, f"{places}/out") == file_bytes(whole / "objects")


@pytest.mark.parametrize(("code", "after"), [("InvalidAccessKeyId", 0), ("ExpiredToken", 3)])
def test_credentials_revoked_stop_a_run_and_it_goes_on_when_they_are_back(
    code: str, after: int, places: str, whole: Path, s3_server: Server, proxy: Proxy, hurried: None
) -> None:
    config, done = s3_config(places), list[str]()

    def revoke(event: Event) -> None:
        if isinstance(event, ChunkDone):
            done.append(event.chunk_id)
            if len(done) == 4:  # the next chunk is of the other scene, which is to be opened
                proxy.refuse(code, after=after)

    with pytest.raises(StoppedError, match=r"refuses .*AWS_SESSION_TOKEN.* the same command goes on"):
        run_job(config, listener=revoke)
    assert not [name for name in bucket_tree(s3_server, f"{places}/out") if name == "collection.json"]
    proxy.restore()
    report = run_job(config)
    assert report.chunks_done in (report.chunks_planned - len(done), report.chunks_planned - len(done) - 1)
    assert report.failed == 0
    assert objects_in(s3_server, f"{places}/out") == file_bytes(whole / "objects")


def test_a_store_that_stays_away_stops_a_run(
    places: str, s3_server: Server, monkeypatch: pytest.MonkeyPatch, hurried: None
) -> None:
    for user in (run_job_module, chunks):
        monkeypatch.setattr(user, "LONG", RetryPolicy(1.0, scene_tries=2))
    with ExitStack() as stack:
        proxy = stack.enter_context(proxied(s3_server.endpoint))
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)

        def end(event: Event) -> None:
            if isinstance(event, ChunkDone):
                stack.close()

        with pytest.raises(StoppedError, match="does not answer"):
            run_job(s3_config(places), listener=end)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.endpoint)
    report = run_job(s3_config(places))
    assert report.failed == 0
    assert 0 < report.chunks_done < report.chunks_planned


@pytest.fixture
def proxy(places: str, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A transparent proxy that refuses requests on demand."""
    with proxied(s3_server.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


@pytest.fixture
def ray_of_this_test() -> Iterator[None]:
    """Ray, if the test starts it, ends with it: its workers have the environment of their start."""
    yield
    import ray

    ray.shutdown()
