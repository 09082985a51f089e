"""Claim: s3:// sources are listed, described and read as local ones are, by AWS variables or profiles."""

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from pipelines.engine.credentials import WithCredentials
from tests.servers.fixtures import direct, no_credentials, upload
from tests.servers.proxy import Proxy, proxied
from tests.servers.radosgw import Server
from tests.worlds.rasters import noise, put_together, read_all, write
from tiling.errors import Fault, SceneError, StorageError
from tiling.raster.describe import describe_scene
from tiling.raster.handles import opened
from tiling.scene import Scene
from tiling.storage.files import list_sources
from tiling.storage.s3 import access
from tiling.storage.schemes import credentials_to_forward, use_forwarded

HOLE = np.s_[10:60, 20:80]


@pytest.fixture
def rasters(tmp_path: Path, bucket: str, s3_server: Server) -> Path:
    """Two rasters in the test's bucket, as they lie in a folder; one has a mask beside it."""
    folder = tmp_path / "rasters"
    (folder / "deep").mkdir(parents=True)
    write(folder / "deep" / "a.tif", noise(), compress="deflate", nodata=0)
    mask = np.ones((300, 400), dtype=bool)
    mask[HOLE] = False
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(folder / "deep" / "a.tif", "r+") as dataset,
    ):
        dataset.write_mask(mask)
    assert (folder / "deep" / "a.tif.msk").exists()
    write(folder / "b.tif", noise(seed=1))
    upload(s3_server, folder, bucket)
    return folder


@pytest.fixture
def proxy(bucket: str, s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A transparent proxy that counts requests and cuts connections on demand."""
    with proxied(s3_server.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running


def test_folders_globs_and_files_of_a_bucket_are_listed(rasters: Path, bucket: str) -> None:
    every = [f"{bucket}/b.tif", f"{bucket}/deep/a.tif"]
    assert list_sources([bucket]) == every
    assert list_sources([f"{bucket}/deep/*.tif"]) == every[1:]
    assert list_sources([f"{bucket}/b.tif"]) == every[:1]
    for nothing in (f"{bucket}/gone.tif", f"{bucket}/x*.tif"):
        with pytest.raises(SceneError, match="no such file"):
            list_sources([nothing])
    for nothing in ("s3://no-such-bucket/", "s3://no-such-bucket/a.tif", "s3://no-such-bucket/*.tif"):
        with pytest.raises(StorageError, match="no such bucket") as caught:
            list_sources([nothing])
        assert caught.value.fault is Fault.GONE


def test_a_scene_in_a_bucket_reads_like_a_local_one(rasters: Path, bucket: str, proxy: Proxy) -> None:
    scene = describe_scene(f"{bucket}/deep/a.tif")
    assert scene.bands[0].uri == f"{bucket}/deep/a.tif"
    described = len(proxy.requests())
    _, work, images = read_all(scene)
    shown, valid = put_together(work, images)
    assert (shown == noise().transpose(1, 2, 0)).all()
    assert not valid[HOLE].any()
    assert valid.sum() == 300 * 400 - 50 * 60
    assert described <= 9
    assert len(proxy.requests()) - described <= 12


def test_what_is_not_in_the_bucket_is_a_scene_error(rasters: Path, bucket: str) -> None:
    for gone in (f"{bucket}/gone.tif", "ftp://host/a.tif"):
        with pytest.raises(SceneError):
            describe_scene(gone)
    with pytest.raises(StorageError, match="no such bucket"):
        describe_scene("s3://no-such-bucket/a.tif")


@pytest.mark.parametrize(
    "at", [7, 300, *(pytest.param(at, marks=pytest.mark.thorough) for at in (190, 380, 700))]
)
def test_a_body_that_ends_too_early_is_asked_for_again_wherever_it_is_cut(
    rasters: Path, bucket: str, proxy: Proxy, hurried: None, at: int
) -> None:
    uri = f"{bucket}/deep/a.tif"
    whole = describe_scene(uri)
    pixels = pixels_of(whole)
    for skip in (0, 1):  # our own read of the header, then GDAL's
        proxy.cut("a.tif", at=at, skip=skip)
        assert describe_scene(uri) == whole
    for name, skip in (("a.tif", 1), ("a.tif", 2), ("a.tif.msk", 0)):
        proxy.cut(name, at=at, skip=skip)
        assert all((one == other).all() for one, other in zip(pixels_of(whole), pixels, strict=True))
    assert proxy.injected()["cut"] == 5


def pixels_of(scene: Scene) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Pixels and validity of a scene, read with handles that nobody has opened yet."""
    with ThreadPoolExecutor(1) as fresh:
        _, work, images = fresh.submit(read_all, scene).result()
    assert not any(image.failed for image in images)
    return put_together(work, images)


def test_a_mask_that_cannot_be_read_is_no_missing_mask(rasters: Path, bucket: str, s3_server: Server) -> None:
    direct(s3_server).pipe_file(f"{bucket}/deep/a.tif.msk", b"II*\0 no mask")
    with pytest.raises(SceneError, match="the mask beside it cannot be read"):
        describe_scene(f"{bucket}/deep/a.tif")


def by_environment(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.env().items():
        monkeypatch.setenv(name, value)


def by_files(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile with its endpoint in the config file and its keys in the other."""
    config, keys = folder / "config", folder / "credentials"
    config.write_text(f"[profile night]\nregion = us-east-1\nendpoint_url = {server.endpoint}\n", "utf-8")
    keys.write_text(
        f"[night]\naws_access_key_id = {server.key}\naws_secret_access_key = {server.secret}\n", "utf-8"
    )
    monkeypatch.setenv("AWS_PROFILE", "night")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))


def by_process(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile whose keys a program gives, which GDAL by itself does not know."""
    answer = folder / "answer.json"
    answer.write_text(
        f'{{"Version": 1, "AccessKeyId": "{server.key}", "SecretAccessKey": "{server.secret}"}}', "utf-8"
    )
    config = folder / "config"
    text = f"[default]\nservices = ours\ncredential_process = cat {answer}\n"
    config.write_text(f"{text}[services ours]\ns3 =\n  endpoint_url = {server.endpoint}\n", "utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


@pytest.mark.parametrize("given", [by_environment, by_files, by_process], ids=lambda given: given.__name__)
def test_listing_and_reading_find_the_same_credentials(
    given: Callable[[Server, Path, pytest.MonkeyPatch], None],
    rasters: Path,
    bucket: str,
    s3_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in s3_server.env():
        monkeypatch.delenv(name)
    no_credentials(monkeypatch)
    given(s3_server, tmp_path, monkeypatch)
    uri = list_sources([f"{bucket}/b.tif"])[0]
    describe_scene(uri)
    with opened(uri) as dataset:
        assert (dataset.read() == noise(seed=1)).all()
    assert access().endpoint == s3_server.endpoint
    assert s3_server.secret not in repr(access())
    assert credentials_to_forward()["AWS_SECRET_ACCESS_KEY"] == s3_server.secret


def test_forwarded_credentials_serve_only_where_there_are_none(
    bucket: str, s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    forwarded = credentials_to_forward()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKOWN")
    use_forwarded(forwarded)
    assert access().credentials()[0] == "AKOWN"
    for name in s3_server.env():
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with patch.dict(os.environ):
        use_forwarded(forwarded)
        assert access().credentials() == (s3_server.key, s3_server.secret, "")
        assert access().endpoint == s3_server.endpoint
    step = WithCredentials(len, forwarded)
    assert s3_server.secret not in repr(step)
    assert pickle.loads(pickle.dumps(step)) == step
