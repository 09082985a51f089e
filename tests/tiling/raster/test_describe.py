"""Claim: a source either becomes a Scene without guessing or is refused with reason and remedy."""

import json
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from tests.worlds.rasters import DATA, UTM, described, noise, real, write
from tiling.errors import SceneError
from tiling.raster.describe import describe_scene
from tiling.raster.handles import opened
from tiling.raster.header import Limits, OpenOptions
from tiling.scene import Band
from tiling.storage.files import list_sources


def test_a_scene_says_what_rasterio_says(tmp_path: Path) -> None:
    path = write(tmp_path / "place_1.tif", noise(height=30, width=40), nodata=7)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2019:09:04 10:30:00")
    scene = described(path)
    assert (scene.width, scene.height, scene.dtype, scene.nodata) == (40, 30, "uint8", 7)
    assert (scene.scene_id, scene.crs, scene.transform) == ("place_1", "EPSG:32633", tuple(UTM)[:6])
    assert scene.bands == tuple(Band(str(path), k) for k in (1, 2, 3))
    assert scene.datetime == "2019-09-04T10:30:00Z"
    assert described(path).identity == scene.identity


def test_identity_follows_the_content_not_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", noise())
    before = described(path).identity
    renamed = path.rename(tmp_path / "b.tif")
    assert described(renamed).identity == before
    write(renamed, noise(height=301))
    assert described(renamed).identity != before


@pytest.mark.parametrize(
    ("count", "colours", "shown"),
    [
        (1, None, (1,)),
        (3, None, (1, 2, 3)),
        (4, "blue green red alpha", (3, 2, 1)),
        (4, "red green blue undefined", None),
        (4, None, None),
        (2, None, None),
        (8, None, None),
    ],
)
def test_bands_are_taken_only_where_the_file_leaves_no_doubt(
    tmp_path: Path, count: int, colours: str | None, shown: tuple[int, ...] | None
) -> None:
    path = write(tmp_path / "a.tif", noise(count, 20, 20), photometric="minisblack")
    if colours:
        with rasterio.open(path, "r+") as dataset:
            dataset.colorinterp = [ColorInterp[name] for name in colours.split()]
    if shown is None:
        with pytest.raises(SceneError, match=rf"has {count} bands; say which with --bands"):
            described(path)
        assert [b.index for b in described(path, bands=(2, 1, 2)).bands] == [2, 1, 2]
    else:
        assert tuple(b.index for b in described(path).bands) == shown


@pytest.mark.parametrize(("bands", "reason"), [((4, 1, 1), "bands 1 to 3"), ((1, 2), "one .* or three")])
def test_bands_that_are_not_there_are_refused(tmp_path: Path, bands: tuple[int, ...], reason: str) -> None:
    path = write(tmp_path / "a.tif", noise(height=20, width=20))
    with pytest.raises(SceneError, match=reason):
        described(path, bands=bands)


def test_a_missing_crs_is_taken_from_the_user(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", noise(height=20, width=20), crs=None)
    with pytest.raises(SceneError, match="--assume-crs"):
        described(path)
    assert described(path, assume_crs="EPSG:32633").crs == "EPSG:32633"
    with pytest.raises(SceneError, match="cannot be understood"):
        described(path, assume_crs="EPSG:nonsense")


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"transform": Affine.identity()}, "no geotransform"),
        ({"crs": "+proj=longlat +R=3396190 +no_defs"}, "not on the Earth"),
        ({"crs": "EPSG:4326", "transform": Affine(0.1, 0, 0, 0, -0.1, 95)}, "longitude and latitude"),
        ({"dtype": "complex64"}, "complex64"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_place_or_no_picture_is_refused(
    tmp_path: Path, profile: dict[str, object], reason: str
) -> None:
    with pytest.raises(SceneError, match=reason):
        described(write(tmp_path / "a.tif", noise(height=20, width=20), **profile))


@pytest.mark.parametrize(("bend", "taken"), [(0.0, True), (0.3, True), (4.0, False)])
@pytest.mark.filterwarnings("ignore")
def test_control_points_are_taken_if_they_lie_on_a_straight_grid(
    tmp_path: Path, bend: float, taken: bool
) -> None:
    points = [
        GroundControlPoint(row, col, 500_000 + 2 * col + 2 * bend * (row == col), 5e6 - 2 * row)
        for row in (0, 50, 100)
        for col in (0, 50, 100)
    ]
    path = tmp_path / "a.tif"
    with rasterio.open(path, "w", driver="GTiff", count=1, height=100, width=100, dtype="uint8") as dataset:
        dataset.gcps = (points, rasterio.crs.CRS.from_epsg(32633))
        dataset.write(noise(1, 100, 100))
    if taken:
        scene = described(path)
        assert scene.crs == "EPSG:32633"
        assert scene.transform == pytest.approx((2, 0, 500_000, 0, -2, 5e6), abs=2 * max(bend, 1e-6))
    else:
        with pytest.raises(SceneError, match=r"miss a straight grid by up to \d\.\d px"):
            described(path)


def test_a_band_set_must_share_one_grid(tmp_path: Path) -> None:
    files = {k: str(write(tmp_path / f"{k}.tif", noise(1, 20, 30, dtype="uint16"))) for k in "RGB"}
    scene = describe_scene(files, bands=None, assume_crs=None)
    assert [b.uri for b in scene.bands] == [files[k] for k in "RGB"]
    moved = write(
        tmp_path / "moved.tif",
        noise(1, 20, 30, dtype="uint16"),
        transform=Affine(*UTM[:2], 500_001, *UTM[3:6]),
    )
    other = write(tmp_path / "other.tif", noise(1, 20, 31, dtype="uint16"))
    for wrong, reason in ((moved, "lies elsewhere"), (other, "differs in size")):
        with pytest.raises(SceneError, match=reason):
            describe_scene({**files, "G": str(wrong)}, bands=None, assume_crs=None)
    with pytest.raises(SceneError, match="R, G and B"):
        describe_scene({"R": files["R"]}, bands=None, assume_crs=None)


def item(folder: Path, assets: dict[str, object]) -> str:
    content = {
        "type": "Feature", "stac_version": "1.0.0", "id": "S2_X", "assets": assets,
        "properties": {"datetime": "2020-05-01T10:00:00+02:00"},
    }  # fmt: skip
    (folder / "item.json").write_text(json.dumps(content))
    return str(folder / "item.json")


def test_stac_items_name_their_colours_in_any_of_the_usual_ways(tmp_path: Path) -> None:
    for name in ("B04", "B03", "B02"):
        write(tmp_path / f"{name}.tif", noise(1, 20, 30))
    write(tmp_path / "rgbn.tif", noise(4, 20, 30), photometric="minisblack")
    write(tmp_path / "tci.tif", noise(3, 20, 30))
    files = [str(tmp_path / f"{name}.tif") for name in ("B04", "B03", "B02")]
    colours = dict(zip(("red", "green", "blue"), files, strict=True))
    by_key = {c: {"href": f"./{Path(f).name}"} for c, f in colours.items()}
    by_band = {Path(f).stem: {"href": f, "eo:bands": [{"common_name": c}]} for c, f in colours.items()}
    by_new = {Path(f).stem: {"href": f, "bands": [{"eo:common_name": c}]} for c, f in colours.items()}
    by_role = {Path(f).stem: {"href": f, "roles": ["data", c]} for c, f in colours.items()}
    for assets in (by_key, by_band, by_new, by_role):
        scene = describe_scene(item(tmp_path, assets), bands=None, assume_crs=None)
        assert [(b.uri, b.index) for b in scene.bands] == [(f, 1) for f in files]
        assert (scene.scene_id, scene.datetime) == ("S2_X", "2020-05-01T08:00:00Z")
    names = [{"common_name": c} for c in ("nir", "blue", "green", "red")]
    one = describe_scene(
        item(tmp_path, {"image": {"href": "rgbn.tif", "eo:bands": names}}), bands=None, assume_crs=None
    )
    assert [(Path(b.uri).name, b.index) for b in one.bands] == [
        ("rgbn.tif", 4),
        ("rgbn.tif", 3),
        ("rgbn.tif", 2),
    ]
    visual = describe_scene(item(tmp_path, {"visual": {"href": "tci.tif"}}), bands=None, assume_crs=None)
    assert [b.index for b in visual.bands] == [1, 2, 3]
    with pytest.raises(SceneError, match="assets: data"):
        describe_scene(item(tmp_path, {"data": {"href": "tci.tif"}}), bands=None, assume_crs=None)


def bomb(path: Path, bands: int, width: int = 16, height: int = 16) -> Path:
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8),
        (277, 3, bands), (278, 4, height), (279, 4, 10), (284, 3, 1),
    ]  # fmt: skip
    body = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    body += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    path.write_bytes(body.ljust(262, b"\0"))
    return path


@pytest.mark.parametrize(
    ("bands", "width", "height", "reason"),
    [
        (65535, 16, 16, "65535 bands"),
        (1, 2_000_000, 2_000_000, "2000000 x 2000000 pixels"),
        (3, 60_000, 60_000, "one block decodes to"),
    ],
)
def test_a_header_that_claims_too_much_is_refused_at_once(
    tmp_path: Path, bands: int, width: int, height: int, reason: str
) -> None:
    path = bomb(tmp_path / "bomb.tif", bands, width, height)
    start = time.monotonic()
    with pytest.raises(SceneError, match=reason):
        described(path)
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize(
    "content", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"hello"]
)
def test_broken_files_are_refused_with_a_scene_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(SceneError):
        described(path)


def test_a_vrt_is_opened_only_where_it_is_allowed(tmp_path: Path) -> None:
    write(tmp_path / "a.tif", noise(1, 20, 20))
    vrt = tmp_path / "sly.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="20" rasterYSize="20"><SRS>EPSG:32633</SRS>'
        "<GeoTransform>500000, 0.5, 0, 5000000, 0, -0.5</GeoTransform>"
        '<VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">a.tif'
        "</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(SceneError, match="allow the driver VRT"):
        described(vrt)
    allowed = OpenOptions(Limits(drivers=("GTiff", "VRT")))
    assert described(vrt, options=allowed).width == 20
    with opened(str(vrt), allowed) as dataset:
        assert dataset.read(1).shape == (20, 20)
    with pytest.raises(SceneError, match="allow the driver HTTP"):
        describe_scene("https://example.com/a.tif", bands=None, assume_crs=None)


def test_errors_inside_the_block_become_scene_errors(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", noise(1, 20, 20))
    with pytest.raises(SceneError, match=r"a\.tif: cannot be read"), opened(str(path)) as dataset:
        dataset.read(9)


def test_sources_are_files_folders_and_globs(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    names = ["a.tif", "deep/b.TIFF", "deep/er/c.jp2"]
    for name in [*names, "deep/notes.txt"]:
        (tmp_path / name).write_bytes(b"x")
    every = [str(tmp_path / name) for name in names]
    assert list_sources([str(tmp_path)]) == sorted(every)
    assert list_sources([str(tmp_path / "**" / "*.[tT][iI]*")]) == sorted(every[:2])
    assert list_sources([every[2], every[0], str(tmp_path)]) == [every[2], every[0], every[1]]
    for nothing in ("gone.tif", "gone/*.tif"):
        with pytest.raises(SceneError, match="no such file"):
            list_sources([str(tmp_path / nothing)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SceneError, match=r"holds no \*\.tif"):
        list_sources([str(tmp_path / "empty")])


def test_every_odd_real_file_is_described_or_refused() -> None:
    folder = real("robust")
    files = sorted(
        f for f in folder.rglob("*") if f.suffix in {".tif", ".vrt", ".jpg", ".h5", ".nc", ".zip", ".json"}
    )
    outcome: dict[str, str] = {}
    for file in files:
        start = time.monotonic()
        try:
            outcome[file.name] = described(file).crs
        except SceneError as exc:
            outcome[file.name] = f"refused: {exc.reason}"
        assert time.monotonic() - start < 5, file
    assert outcome["cog_world.tif"] == "EPSG:4326"
    assert "not on the Earth" in outcome["cog_hirise_mars.tif"]
    assert "--assume-crs" in outcome["rotated.tif"]
    assert "straight grid" in outcome["cog_gcps.tif"]
    assert sum(not text.startswith("refused") for text in outcome.values()) > 45


def test_real_band_choices() -> None:
    with pytest.raises(SceneError, match="has 8 bands"):
        described(real("scenes", "ftw_sentinel2", "inference-img.tif"))
    with pytest.raises(SceneError, match="has 4 bands"):
        described(real("scenes", "opengeos", "naip", "m_4709963_se_14_1_20090818.tif"))
    assert described(DATA / "robust" / "rasterio" / "alpha.tif").bands[0].index == 1
    assert np.isfinite(described(DATA / "robust" / "rasterio" / "alpha.tif").transform).all()
