"""Claim: s3:// sources are listed, described and read as local ones are, set up by AWS_* variables."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import rasterio

from tests.tiling.bucket import bucket_server
from tests.tiling.rasters import noise, put_together, read_all, write
from tiling.errors import SceneError
from tiling.opening import describe_scene, list_sources

HOLE = np.s_[10:60, 20:80]


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "bucket" / "deep").mkdir(parents=True)
    write(tmp_path / "bucket" / "deep" / "a.tif", noise(), compress="deflate")
    mask = np.ones((300, 400), dtype=bool)
    mask[HOLE] = False
    path = tmp_path / "bucket" / "deep" / "a.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(mask)
    assert (tmp_path / "bucket" / "deep" / "a.tif.msk").exists()
    write(tmp_path / "bucket" / "b.tif", noise(seed=1))
    with bucket_server(tmp_path) as (endpoint, seen):
        for name, value in {
            "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield seen


def test_folders_globs_and_files_of_a_bucket_are_listed(requests: Path) -> None:
    every = ["s3://bucket/b.tif", "s3://bucket/deep/a.tif"]
    assert list_sources(["s3://bucket"]) == every
    assert list_sources(["s3://bucket/deep/*.tif"]) == every[1:]
    assert list_sources(["s3://bucket/b.tif"]) == every[:1]
    for nothing in ("s3://bucket/gone.tif", "s3://nobucket/", "s3://bucket/x*.tif"):
        with pytest.raises(SceneError, match="no such file or bucket"):
            list_sources([nothing])


def test_a_scene_in_a_bucket_reads_like_a_local_one(requests: Path) -> None:
    scene = describe_scene("s3://bucket/deep/a.tif", bands=None, assume_crs=None)
    assert scene.bands[0].uri == "s3://bucket/deep/a.tif"
    _, work, images = read_all(scene)
    shown, valid = put_together(work, images)
    assert (shown == noise().transpose(1, 2, 0)).all()
    assert not valid[HOLE].any()
    assert valid.sum() == 300 * 400 - 50 * 60
    assert len(requests.read_text().splitlines()) < 60


def test_what_is_not_in_the_bucket_is_a_scene_error(requests: Path) -> None:
    for gone in ("s3://bucket/gone.tif", "s3://nobucket/a.tif", "ftp://host/a.tif"):
        with pytest.raises(SceneError):
            describe_scene(gone, bands=None, assume_crs=None)
