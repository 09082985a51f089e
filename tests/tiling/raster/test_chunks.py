"""Claim: chunks show byte for byte what rasterio reads, masks included, and only damaged tiles fail."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from tests.worlds.rasters import UTM, described, noise, put_together, read_all, real, write
from tiling.errors import SceneError
from tiling.geo.crs import to_world
from tiling.raster.describe import describe_scene
from tiling.raster.scaling import Scaling, estimate_scaling

ODD_GRIDS = {
    "north-up": UTM,
    "south-up": Affine(0.5, 0, 500_000, 0, 0.5, 5_000_000),
    "rotated": Affine(0.419335, 0.272320, 500_000, 0.272320, -0.419335, 5_000_000),
}


@pytest.mark.parametrize("grid", ODD_GRIDS)
@pytest.mark.parametrize(
    "layout", [{"tiled": True, "blockxsize": 64, "blockysize": 64}, {"interleave": "band"}]
)
def test_chunks_equal_rasterios_own_read(tmp_path: Path, grid: str, layout: dict[str, object]) -> None:
    pixels = noise(height=230, width=317)
    path = write(tmp_path / "a.tif", pixels, transform=ODD_GRIDS[grid], compress="deflate", **layout)
    _, work, images = read_all(described(path))
    shown, valid = put_together(work, images)
    assert (shown == pixels.transpose(1, 2, 0)).all()
    assert valid.all()


def test_a_jpeg2000_scene_equals_rasterios_own_read(tmp_path: Path) -> None:
    pixels = noise(height=230, width=317)
    path = write(tmp_path / "a.jp2", pixels, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    _, work, images = read_all(described(path))
    assert (put_together(work, images)[0] == pixels.transpose(1, 2, 0)).all()


@pytest.mark.parametrize("grid", ODD_GRIDS)
def test_positions_agree_with_rasterios_transform(tmp_path: Path, grid: str) -> None:
    path = write(tmp_path / "a.tif", noise(), transform=ODD_GRIDS[grid])
    _, work, _ = read_all(described(path))
    with rasterio.open(path) as dataset:
        for x, y in ((0.0, 0.0), (123.25, 77.5), (400.0, 300.0)):
            (point,) = to_world([shapely.Point(x, y)], work.transform)
            assert dataset.xy(y, x, offset="ul") == pytest.approx((point.x, point.y), abs=0.001)


def test_a_scene_smaller_than_a_tile_is_padded_with_nothing(tmp_path: Path) -> None:
    pixels = noise(height=40, width=70)
    _, _, (image,) = read_all(described(write(tmp_path / "a.tif", pixels)))
    (tile,) = image.chunk.tiles
    shown, valid = image.tile(tile)
    assert shown.shape == (96, 96, 3)
    assert shown.flags.c_contiguous
    assert (shown[:40, :70] == pixels.transpose(1, 2, 0)).all()
    assert not shown[40:].any()
    assert not shown[:, 70:].any()
    assert valid.sum() == 40 * 70
    assert valid[:40, :70].all()


def masked_by_mask(path: Path, pixels: NDArray[np.generic], hole: NDArray[np.bool_]) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        write(path, pixels)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(~hole)


def masked_by_alpha(path: Path, pixels: NDArray[np.generic], hole: NDArray[np.bool_]) -> None:
    alpha = np.where(hole, 0, 255).astype(np.uint8)[None]
    write(path, np.concatenate([pixels, alpha]), photometric="rgb", alpha="yes")


def masked_by_nodata(path: Path, pixels: NDArray[np.generic], hole: NDArray[np.bool_]) -> None:
    write(path, np.where(hole, 255, pixels), nodata=255)


@pytest.mark.parametrize("mask", [masked_by_mask, masked_by_alpha, masked_by_nodata])
def test_validity_equals_rasterios_dataset_mask(tmp_path: Path, mask: object) -> None:
    hole = np.zeros((300, 400), dtype=bool)
    hole[50:200, 130:260] = True
    path = tmp_path / "a.tif"
    mask(path, noise(), hole)  # type: ignore[operator]
    _, work, images = read_all(described(path))
    _, valid = put_together(work, images)
    with rasterio.open(path) as dataset:
        assert (valid == (dataset.dataset_mask() != 0)).all()
    assert (valid == ~hole).all()


@pytest.mark.parametrize("nodata", [np.nan, -3.4e38, -9999.0])
def test_nodata_of_floats_is_invalid_and_so_is_what_is_not_finite(tmp_path: Path, nodata: float) -> None:
    values = noise(1, dtype="float32")
    values[0, 10:20] = nodata
    values[0, 30, 40] = np.nan
    scene = described(write(tmp_path / "a.tif", values, nodata=nodata))
    _, work, images = read_all(scene, scaling=Scaling((-2.0,), (2.0,)))
    _, valid = put_together(work, images)
    expected = np.ones((300, 400), dtype=bool)
    expected[10:20] = False
    expected[30, 40] = False
    assert (valid == expected).all()


def test_a_pixel_with_one_nodata_band_is_valid(tmp_path: Path) -> None:
    pixels = noise()
    pixels[0, :, :9] = 0
    pixels[:, 5, 5] = 0
    _, work, images = read_all(described(write(tmp_path / "a.tif", pixels, nodata=0)))
    _, valid = put_together(work, images)
    assert not valid[5, 5]
    assert valid.sum() == valid.size - 1


def test_only_tiles_over_a_damaged_block_fail(tmp_path: Path) -> None:
    pixels = noise(height=512, width=512)
    path = write(
        tmp_path / "a.tif", pixels, tiled=True, blockxsize=128, blockysize=128, compress="deflate",
        interleave="pixel",
    )  # fmt: skip
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_1_2", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x55" * 600)
    _, _, images = read_all(described(path), tile=96, overlap=24, chunk=400)
    for image in images:
        for tile in image.chunk.tiles:
            w = tile.window
            over = w.x0 < 256 and w.x1 > 128 and w.y0 < 384 and w.y1 > 256
            assert (tile.tile_id in image.failed) == over
            if not over:
                shown, valid = image.tile(tile)
                assert (shown == pixels[:, w.y0 : w.y1, w.x0 : w.x1].transpose(1, 2, 0)).all()
                assert valid.all()
    reasons = {reason for image in images for reason in image.failed.values()}
    assert reasons
    assert all("read" in reason.lower() for reason in reasons)


def test_a_file_gone_since_the_plan_fails_every_tile_with_the_reason(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", noise())
    scene = described(path)
    path.unlink()
    grid, _, images = read_all(scene)
    failed = {tile_id: reason for image in images for tile_id, reason in image.failed.items()}
    assert len(failed) == grid.n_tiles
    assert all("no such file" in reason for reason in failed.values())


def test_a_file_replaced_between_reads_is_opened_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", noise(seed=1))
    read_all(described(path))
    pixels = noise(seed=2)
    path.unlink()
    write(path, pixels)
    _, work, images = read_all(described(path))
    assert (put_together(work, images)[0] == pixels.transpose(1, 2, 0)).all()


def test_every_block_is_decoded_about_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tif", noise(height=1500, width=1500), tiled=True, blockxsize=128, blockysize=128,
        compress="deflate", interleave="pixel",
    )  # fmt: skip
    scene = described(path)

    def bytes_read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])

    if not Path("/proc/self/io").exists():
        pytest.skip("the system does not count the bytes a process reads")
    before = bytes_read()
    read_all(scene, tile=128, overlap=32, chunk=500)
    assert bytes_read() - before < 1.1 * path.stat().st_size


@pytest.mark.parametrize("gsd_m", [1.3, 0.31])
def test_resampled_chunks_agree_with_their_neighbours_and_with_one_read(tmp_path: Path, gsd_m: float) -> None:
    rows, columns = np.mgrid[:300, :400]
    smooth = np.stack([rows * 0.8, columns * 0.6, 60 + 50 * np.sin(rows / 9) + 40 * np.cos(columns / 7)])
    scene = described(write(tmp_path / "a.tif", smooth.round().astype(np.uint8)))
    _, work, images = read_all(scene, gsd_m=gsd_m, chunk=130)
    assert work.gsd == pytest.approx(gsd_m, rel=0.01)
    parts, valid = put_together(work, images)
    _, _, (whole,) = read_all(scene, gsd_m=gsd_m, chunk=5000)
    assert np.abs(parts.transpose(2, 0, 1).astype(int) - whole.pixels).max() <= 1
    assert valid.all()
    y, x = (np.arange(n) for n in (work.height, work.width))
    true_rows = ((y + 0.5) * 300 / work.height - 0.5)[3:-3] * 0.8
    true_columns = ((x + 0.5) * 400 / work.width - 0.5)[3:-3] * 0.6
    for found, true in (
        (parts[3:-3, :, 0].mean(axis=1), true_rows),
        (parts[:, 3:-3, 1].mean(axis=0), true_columns),
    ):
        assert np.abs(found - true).max() < 1.01  # rounded to whole values twice
        assert abs((found - true).mean()) < 0.06


def test_deep_values_need_a_scaling_and_are_stretched_alike_everywhere(tmp_path: Path) -> None:
    values = noise(1, dtype="uint16") * 40
    scene = described(write(tmp_path / "a.tif", values))
    with pytest.raises(SceneError, match="no scaling"):
        read_all(scene)
    _, work, images = read_all(scene, scaling=Scaling((1000.0,), (6000.0,)))
    shown, _ = put_together(work, images)
    expected = np.rint(np.clip((values[0].astype(float) - 1000) / 5000, 0, 1) * 255)
    assert (shown == expected[..., None]).all()


@pytest.mark.parametrize(
    ("parts", "bands"),
    [
        (("neon_trees", "SJER", "SJER_002.tif"), None),
        (("scenes", "naip_stactools", "m_4112001_sw_10_060_20220716.tif"), (1, 2, 3)),
        (("scenes", "opengeos", "landsat", "1985.tif"), (3, 2, 1)),
        (("robust", "rasterio", "RGB.byte.tif"), None),
        (("robust", "rasterio", "cogeo.tif"), None),
        (("robust", "rio-tiler", "cog_rgb_mask.tif"), None),
        (("robust", "rio-tiler", "cog_rgba.tif"), None),
    ],
)
def test_real_uint8_scenes_equal_rasterios_own_read(
    parts: tuple[str, ...], bands: tuple[int, ...] | None
) -> None:
    path = real(*parts)
    scene = described(path, bands=bands)
    _, work, images = read_all(scene, tile=224, overlap=56, chunk=600)
    shown, valid = put_together(work, images)
    with rasterio.open(path) as dataset:
        assert (shown == dataset.read([b.index for b in scene.bands]).transpose(1, 2, 0)).all()
        assert (valid == (dataset.dataset_mask() != 0)).all()


def test_real_deep_scenes_are_read_with_an_estimated_scaling() -> None:
    pan = described(real("scenes", "spacenet", "sample_geotiff.tif"))
    sentinel = described(real("scenes", "ftw_sentinel2", "inference-img.tif"), bands=(1, 2, 3))
    for scene in (pan, sentinel):
        scaling = estimate_scaling([scene])
        _, work, images = read_all(scene, tile=224, overlap=56, chunk=600, scaling=scaling)
        shown, valid = put_together(work, images)
        with rasterio.open(scene.bands[0].uri) as dataset:
            values = dataset.read([b.index for b in scene.bands])
            assert (valid == (dataset.read_masks(1) != 0)).all()
        assert scaling is not None
        for k in range(3):
            band = values[min(k, len(values) - 1)]
            ends = (scaling.low[min(k, len(values) - 1)], scaling.high[min(k, len(values) - 1)])
            assert (shown[..., k][valid & (band <= ends[0])] == 0).all()
            assert (shown[..., k][valid & (band >= ends[1])] == 255).all()


def test_a_real_band_set_shows_red_green_blue() -> None:
    folder = real("sen2ships", "honolulu")
    files = {
        key: str(next(folder.glob(f"*_{band}_*")))
        for key, band in zip("RGB", ("B04", "B03", "B02"), strict=True)
    }
    scene = describe_scene(files, bands=None, assume_crs=None)
    _, work, images = read_all(
        scene, tile=224, overlap=56, chunk=600, scaling=Scaling((0.0,) * 3, (3000.0,) * 3)
    )
    shown, _ = put_together(work, images)
    for k, key in enumerate("RGB"):
        with rasterio.open(files[key]) as dataset:
            expected = np.rint(np.clip(dataset.read(1).astype(float) / 3000, 0, 1) * 255)
        assert (shown[..., k] == expected).all()
