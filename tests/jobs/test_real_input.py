"""Real imagery, whole job: a complete ledger, valid GeoParquet, every object where rasterio says it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import geoparquet_validator
import numpy as np
import pyarrow.parquet as pq
import pytest
import rasterio
import shapely
import yaml
from rasterio.transform import Affine

from pipelines.jobs.run import run_job
from pipelines.plan.load_request import load_config
from pipelines.results.check import check_result
from tests.worlds.ground import Ground, draw, ground_of, pixel_bounds, truths
from tests.worlds.practice import World, data_folder, objects_of, write_truth
from tiling.errors import SceneError
from tiling.storage.store import Store

NEAR_PX = 0.01


@dataclass(frozen=True, slots=True)
class Case:
    """One real scene and what its request must say."""

    path: str
    """File below the data folder."""
    tile: int
    """Side of a tile, pixels."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Further fields of the request."""


CASES = {
    "NAIP": Case("scenes/naip_stactools/m_4208701_ne_16_060_20200902.tif", 64, {"bands": [1, 2, 3]}),
    "NAIP, oblong pixels": Case(
        "scenes/naip_stactools/m_3008501_ne_16_1_20110815.tif", 96, {"bands": [1, 2, 3]}
    ),
    "NAIP, nodata 0": Case("scenes/opengeos/naip/m_4709963_se_14_1_20190904.tif", 256, {"bands": [4, 1, 2]}),
    "Sentinel-2, 8 bands of 16 bits": Case(
        "scenes/ftw_sentinel2/inference-img.tif", 128, {"bands": [3, 2, 1]}
    ),
    "Landsat in degrees": Case("scenes/opengeos/landsat/1985.tif", 128, {"bands": [3, 2, 1]}),
    "SpaceNet pan of 16 bits": Case("scenes/spacenet/sample_geotiff.tif", 256),
    "a CRS without a code, 16 bits signed": Case("scenes/spacenet/sample_geotiff_custom_proj.tif", 128),
    "NEON, nodata 255": Case("neon_trees/TEAK/TEAK_043.tif", 128),
    "turned pixels": Case("robust/rasterio/rotated.tif", 8, {"assume_crs": "EPSG:32631", "overlap": 2}),
    "across 180 degrees": Case("robust/rio-tiler/cog_dateline.tif", 512),
}


def world_of(folder: Path, ground: Ground, scene: Path, **options: object) -> World:
    """A world of one scene, whose truth are the drawn boxes, placed by rasterio."""
    write_truth(folder, [("box", scene.stem, box) for box in truths(ground)])
    return World(folder, (str(scene),), options)


def assert_whole(out: Path) -> None:
    """The ledger is complete and every object file passes the validator."""
    report = check_result(Store(str(out)))
    assert (report.complete, report.valid, report.problems) == (True, True, ())
    files = sorted((out / "objects").rglob("*.parquet"))
    assert files
    for file in files:
        outcome = geoparquet_validator.check(str(file))
        assert geoparquet_validator.failed(outcome) == []


def assert_tiles_in_place(ground: Ground, out: Path) -> None:
    """The ledger has one footprint per tile, and it is the tile's window."""
    files = sorted((out / "answers").rglob("*.parquet"))
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    assert len({row["tile_id"] for row in rows}) == len(rows)
    for row in rows:
        footprint = shapely.transform(shapely.from_wkb(row["geometry"]), ground.pixels)
        window = [row[side] for side in ("x0", "y0", "x1", "y1")]
        assert np.abs(np.array(footprint.bounds) - window).max() < NEAR_PX
    hull = np.array([[row[side] for row in rows] for side in ("x1", "y1")]).max(axis=1)
    assert (hull >= [ground.width, ground.height]).all()


def assert_in_place(ground: Ground, found: gpd.GeoDataFrame, *, near: float = NEAR_PX) -> None:
    """Every box is found once and lies, cut at the scene's edge, within `near` pixels of its place."""
    scene = shapely.box(0, 0, ground.width, ground.height)
    true = shapely.bounds([box.intersection(scene) for box in draw(ground)])
    regions = pixel_bounds(ground, list(found["region"]))
    assert regions.shape == true.shape
    assert np.abs(regions - true[np.argsort(true[:, 1])]).max() < near
    outlines = pixel_bounds(ground, list(found.geometry))
    assert (outlines >= [-near, -near, -near, -near]).all()
    assert (outlines <= np.array([ground.width, ground.height] * 2) + near).all()
    west, south, east, north = found.total_bounds
    assert -180 <= west <= east <= 180
    assert -90 <= south <= north <= 90


def assert_outlines(ground: Ground, found: gpd.GeoDataFrame) -> None:
    """Outlines cover what was drawn; the bend at a box's corners may cost a pixel of area."""
    scene = shapely.box(0, 0, ground.width, ground.height)
    for box in draw(ground):
        true = box.intersection(scene)
        best = max(
            shapely.transform(shape, ground.pixels).buffer(0).intersection(true).area
            for shape in found.geometry
        )
        assert best > true.area - 1.1


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_real_scene_is_answered_whole_and_in_place(case: Case, tmp_path: Path) -> None:
    path = data_folder(*case.path.split("/"))
    ground = ground_of(path, case.options.get("assume_crs"))
    world = world_of(tmp_path, ground, path, **case.options)
    out = tmp_path / "out"
    report = run_job(world.config(out, tile=case.tile, chunk=3 * case.tile))
    assert report.ok + report.empty == report.tiles
    assert report.tiles > 1
    assert_whole(out)
    assert_tiles_in_place(ground, out)
    found = objects_of(out)
    assert_in_place(ground, found)
    assert_outlines(ground, found)
    assert set(found["scene_ids"].map(tuple)) == {(path.stem,)}


def test_sixteen_bits_are_scaled_once_and_the_scaling_is_recorded(tmp_path: Path) -> None:
    case = CASES["Sentinel-2, 8 bands of 16 bits"]
    path = data_folder(*case.path.split("/"))
    world = world_of(tmp_path, ground_of(path), path, **case.options)
    run_job(world.config(tmp_path / "out", tile=case.tile))
    scaling = json.loads((tmp_path / "out" / "job.json").read_text("utf-8"))["scaling"]
    with rasterio.open(path) as dataset:
        values = dataset.read([3, 2, 1])
    for band, low, high in zip(values, scaling["low"], scaling["high"], strict=True):
        assert band.min() <= low < np.median(band) < high <= band.max()


def test_four_band_files_of_one_date_are_one_scene(tmp_path: Path) -> None:
    folder = data_folder("sen2ships", "honolulu")
    names = {"R": "B04", "G": "B03", "B": "B02"}
    bands = {key: str(next(folder.glob(f"*_{name}_*"))) for key, name in names.items()}
    ground, out = ground_of(Path(bands["R"])), tmp_path / "out"
    world = world_of(tmp_path, ground, Path(bands["R"]), scenes=[bands])
    job = tmp_path / "job.yaml"
    fields = world.config(out, tile=128, chunk=256).model_dump(mode="json", exclude_unset=True)
    job.write_text(yaml.safe_dump(fields), "utf-8")
    report = run_job(load_config(str(job), {}))
    assert report.ok + report.empty == report.tiles
    assert_whole(out)
    assert_in_place(ground, objects_of(out))


def test_scenes_in_two_zones_are_one_job(tmp_path: Path) -> None:
    cases = [CASES["NAIP"], CASES["NAIP, nodata 0"]]
    paths = [data_folder(*case.path.split("/")) for case in cases]
    grounds = [ground_of(path) for path in paths]
    assert grounds[0].crs != grounds[1].crs
    rows = [
        ("box", path.stem, box) for path, ground in zip(paths, grounds, strict=True) for box in truths(ground)
    ]
    write_truth(tmp_path, rows)
    world, out = World(tmp_path, tuple(map(str, paths))), tmp_path / "out"
    run_job(world.config(out, bands=[1, 2, 3], tile=128))
    assert_whole(out)
    found = objects_of(out)
    for path, ground in zip(paths, grounds, strict=True):
        assert_in_place(ground, found[found["scene_ids"].map(lambda ids, stem=path.stem: stem in ids)])


def south_up(path: Path, target: Path) -> None:
    """Write a raster's rows in the other order, with the geotransform that keeps every pixel in its place."""
    with rasterio.open(path) as source:
        flip = source.transform @ Affine(1, 0, 0, 0, -1, source.height)
        with rasterio.open(target, "w", **{**source.profile, "transform": flip}) as copy:
            copy.write(source.read()[:, ::-1])


def test_a_south_up_copy_gives_the_same_places(tmp_path: Path) -> None:
    path = data_folder("neon_trees", "TEAK", "TEAK_043.tif")
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    south_up(path, copy)
    upright, turned = ground_of(path), ground_of(copy)
    assert turned.transform.e > 0 > upright.transform.e
    results = []
    for name, file, tile in (("upright", path, 128), ("turned", copy, 96)):
        (tmp_path / name).mkdir()
        world = world_of(tmp_path / name, upright, file)
        run_job(world.config(tmp_path / name / "out", tile=tile))
        assert_whole(tmp_path / name / "out")
        results.append(pixel_bounds(upright, list(objects_of(tmp_path / name / "out")["region"])))
    assert np.abs(results[0] - results[1]).max() < NEAR_PX


def test_a_scene_without_a_valid_pixel_is_all_nodata_and_complete(tmp_path: Path) -> None:
    path = data_folder("robust", "rio-tiler", "inverted_lat.tif")
    ground, out = ground_of(path), tmp_path / "out"
    assert ground.transform.e > 0
    world = world_of(tmp_path, ground, path)
    report = run_job(world.config(out, tile=256))
    assert report.nodata == report.tiles > 1
    assert report.objects == 0
    assert_whole(out)
    assert_tiles_in_place(ground, out)


def test_resampling_moves_nothing(tmp_path: Path) -> None:
    path = data_folder("scenes", "opengeos", "naip", "m_4709963_se_14_1_20190904.tif")
    ground, out = ground_of(path), tmp_path / "out"
    world = world_of(tmp_path, ground, path)
    run_job(world.config(out, tile=128, gsd=9.0, bands=[1, 2, 3]))
    assert_whole(out)
    scene = shapely.box(0, 0, ground.width, ground.height)
    middles = [shapely.get_coordinates(box.intersection(scene).centroid)[0] for box in draw(ground)]
    found = [shapely.transform(shape, ground.pixels).centroid for shape in objects_of(out).geometry]
    assert len(found) == len(middles)
    for x, y in middles:
        assert min(point.distance(shapely.Point(x, y)) for point in found) < 0.05


REFUSED = {
    "no CRS": ("robust/rasterio/rotated.tif", "--assume-crs"),
    "four bands": ("scenes/naip_stactools/m_3008501_ne_16_1_20110815.tif", "--bands"),
    "Mars": ("robust/rio-tiler/cog_hirise_mars.tif", "not on the Earth"),
    "complex": ("scenes/spacenet/preproc_tutorial/sar_hh.tif", "amplitude"),
    "bent control points": ("robust/rio-tiler/cog_gcps.tif", "gdalwarp"),
    "VRT": ("robust/rasterio/RGB.byte.gcp.vrt", "allow the driver VRT"),
    "off the Earth's disc": ("robust/rasterio/goes.tif", "cut it to the Earth"),
}


@pytest.mark.parametrize(("path", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_placed_is_refused_with_the_reason(path: str, message: str, tmp_path: Path) -> None:
    file = str(data_folder(*path.split("/")))
    config = load_config(
        None,
        {
            "scenes": [file],
            "ask": ["where?"],
            "out": str(tmp_path / "out"),
            "reasoner": "null",
            "segmenter": "null",
        },
    )
    with pytest.raises(ValueError, match=message):
        run_job(config)
    assert not (tmp_path / "out").exists()


def band_choice(path: Path) -> list[int] | None:
    """Bands to ask for; None where the file leaves no choice."""
    with rasterio.open(path) as dataset:
        return None if dataset.count in (1, 3) else [1, 2, 3] if dataset.count > 3 else [1]


@pytest.mark.slow
def test_every_odd_raster_ends_whole_or_is_refused_in_words(tmp_path: Path) -> None:
    """Corrupt blocks are failed tiles with a reason; everything else is done or refused before any work."""
    models = {"reasoner": "null", "segmenter": "null", "engine": "loop"}
    done: list[str] = []
    refused: dict[Path, str] = {}
    for number, path in enumerate(sorted(data_folder("robust").rglob("*.tif"))):
        if path.stat().st_size > 2_500_000 or ground_of(path, "EPSG:32631").width > 5000:
            continue
        out = tmp_path / str(number)
        options = {"assume_crs": "EPSG:32631", "bands": band_choice(path), "tile": 256}
        fields = {"scenes": [str(path)], "ask": ["where?"], "out": str(out)}
        try:
            report = run_job(load_config(None, {**fields, **models, **options}))
        except SceneError as error:
            refused[path] = str(error)
            continue
        done.append(path.name)
        assert report.empty + report.nodata + report.failed == report.tiles
        assert (report.failed > 0) == (path.name == "corrupt.tif")
        if not report.failed:
            assert_whole(out)
    assert len(done) > 8 * len(refused) > 0
    assert all(
        str(path) in message and len(message) > len(str(path)) + 20 for path, message in refused.items()
    )
