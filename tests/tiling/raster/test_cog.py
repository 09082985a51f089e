"""What is written as a COG reads back unchanged: pixels, place, time, nodata and layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from tiling.errors import SceneError
from tiling.raster.cog import write_cog

PLACE = (0.5, 0.0, 499_000.0, 0.0, -0.5, 5_400_000.0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_place_and_time_read_back(tmp_path: Path, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (3, 300, 700)).astype(dtype)
    path = str(tmp_path / "a.tif")
    write_cog(
        path,
        pixels,
        transform=PLACE,
        crs="EPSG:32631",
        nodata=0,
        block_px=128,
        datetime="2024-05-06T07:08:09+00:00",
    )
    with rasterio.open(path) as raster:
        np.testing.assert_array_equal(raster.read(), pixels)
        assert tuple(raster.transform)[:6] == PLACE
        assert raster.crs.to_epsg() == 32631
        assert raster.nodata == 0
        assert raster.block_shapes == [(128, 128)] * 3
        assert raster.overviews(1) == [2, 4, 8]
        assert raster.tags()["TIFFTAG_DATETIME"] == "2024:05:06 07:08:09"
        assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [interp.name for interp in raster.colorinterp] == ["red", "green", "blue"]


def test_without_nodata_every_pixel_is_valid(tmp_path: Path) -> None:
    path = str(tmp_path / "a.tif")
    write_cog(path, np.zeros((1, 20, 20), np.uint8), transform=PLACE, crs="EPSG:32631", nodata=None)
    with rasterio.open(path) as raster:
        assert raster.nodata is None
        assert raster.dataset_mask().all()


@pytest.mark.parametrize("pixels", [np.zeros((20, 20), np.uint8), np.zeros((1, 20, 20), np.float32)])
def test_other_shapes_and_types_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    with pytest.raises(SceneError, match="uint8 or uint16"):
        write_cog(str(tmp_path / "a.tif"), pixels, transform=PLACE, crs="EPSG:32631", nodata=None)


@pytest.mark.parametrize(
    ("path", "crs"), [("no/such/folder/a.tif", "EPSG:32631"), ("a.tif", "EPSG:nonsense")]
)
def test_what_cannot_be_written_says_why(tmp_path: Path, path: str, crs: str) -> None:
    with pytest.raises(SceneError, match="cannot write"):
        write_cog(
            str(tmp_path / path), np.zeros((1, 20, 20), np.uint8), transform=PLACE, crs=crs, nodata=None
        )
