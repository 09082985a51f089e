"""Claim: an area of interest bounds what is planned, read and kept; it is frozen; a bad one is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import fsspec
import geopandas as gpd
import numpy as np
import pytest
import shapely

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.plan.aoi import read_aoi
from pipelines.plan.plan import Plan, aoi_digest
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import make_plan
from pipelines.results.check import check_result
from tests.commands import command
from tests.worlds.practice import LONLAT, World, objects_of
from tests.worlds.score import score
from tests.worlds.sheets import GROUND, UTM, made, on_ground, sheet_at, true_objects
from tiling.geo.crs import footprint
from tiling.storage.store import Store

SIZES: dict[str, object] = {"tile": 128, "overlap": 32, "chunk": 300}
SHEETS = [sheet_at("left", 0, 0, (500, 500)), sheet_at("right", 900, 0, (500, 500))]
TRIANGLE = on_ground(shapely.Polygon([(90, 130), (430, 210), (180, 460)]), GROUND)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two scenes apart from each other, with objects that lie across the sides of a triangle in the first."""
    return made(tmp_path_factory.mktemp("aoi"), SHEETS, (1400, 500))


def area_file(path: Path, shapes: object = None, crs: str | None = UTM, **options: str) -> str:
    frame = gpd.GeoDataFrame(geometry=[TRIANGLE] if shapes is None else shapes, crs=crs)
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_file(path, **options)
    return str(path)


def planned_windows(plan: Plan) -> list[shapely.Polygon]:
    return [
        footprint(tile.window, plan.scenes[ref.scene].work.transform)
        for ref in plan.chunks
        for tile in plan.chunk(ref).tiles
    ]


def test_only_tiles_that_meet_the_area_are_planned_and_read(world: World, tmp_path: Path) -> None:
    plan = make_plan(world.config(tmp_path, aoi=area_file(tmp_path / "area.gpkg"), **SIZES))
    assert [item.scene.scene_id for item in plan.scenes] == ["left"]
    assert all(shapely.intersects(TRIANGLE, planned_windows(plan)))
    every = [footprint(tile.window, plan.scenes[0].work.transform) for tile in plan.scenes[0].grid.tiles()]
    assert plan.n_tiles == np.count_nonzero(shapely.intersects(TRIANGLE, every)) < len(every)
    hulls = [footprint(ref.window, plan.scenes[0].work.transform) for ref in plan.chunks]
    covered = shapely.union_all(planned_windows(plan))
    assert all(hull.within(covered.envelope.buffer(1e-6)) for hull in hulls)
    whole = make_plan(world.config(tmp_path, scenes=[plan.scenes[0].scene.uri], **SIZES))
    assert plan.read_bytes < whole.read_bytes


def test_objects_are_those_that_meet_the_area_and_cut_ones_say_so(world: World, tmp_path: Path) -> None:
    area = area_file(tmp_path / "area.geojson", [*gpd.GeoSeries([TRIANGLE], crs=UTM).to_crs(LONLAT)], LONLAT)
    run_job(world.config(tmp_path / "out", aoi=area, **SIZES))
    found, true = objects_of(tmp_path / "out").to_crs(UTM), true_objects(world).to_crs(UTM)
    assert found.intersects(TRIANGLE).all()
    wanted = true[true.intersects(TRIANGLE)]
    covered = shapely.union_all(planned_windows(read_plan(Store(str(tmp_path / "out")))))
    whole = wanted[wanted.within(covered)]
    assert len(wanted) > len(whole) > 5
    assert len(found) == len(wanted)
    flagged = found["touches_scene_edge"]
    assert score(found[~flagged], whole[~touching(whole, covered)]).is_exact
    assert set(found[flagged]["id"]) == set(found[touching(found, covered)]["id"])
    assert check_result(Store(str(tmp_path / "out"))).complete


def touching(table: gpd.GeoDataFrame, covered: shapely.Geometry) -> np.ndarray:
    return np.asarray(table.distance(covered.boundary) < 0.4)


@pytest.mark.parametrize("name", ["area.geojson", "area.gpkg", "area.shp", "area.fgb", "area.parquet"])
def test_any_vector_file_in_any_crs_says_the_same(world: World, tmp_path: Path, name: str) -> None:
    frame = gpd.GeoSeries([TRIANGLE], crs=UTM)
    plain = make_plan(world.config(tmp_path, aoi=area_file(tmp_path / "plain.gpkg"), **SIZES))
    other = LONLAT if name.endswith("geojson") else "EPSG:3857"
    path = area_file(tmp_path / name, list(frame.to_crs(other)), other)
    assert make_plan(world.config(tmp_path, aoi=path, **SIZES)).chunks == plain.chunks


@pytest.mark.parametrize("name", ["area.geojson", "area.gpkg", "area.parquet"])
def test_an_area_may_lie_on_object_storage(tmp_path: Path, name: str) -> None:
    local = area_file(tmp_path / name, [*gpd.GeoSeries([TRIANGLE], crs=UTM).to_crs(LONLAT)], LONLAT)
    far = f"memory://{tmp_path.name}/{name}"
    with fsspec.open(far, "wb") as target:
        target.write(Path(local).read_bytes())
    assert aoi_digest(read_aoi(far)) == aoi_digest(read_aoi(local))


def test_the_area_is_frozen_and_another_is_another_job(world: World, tmp_path: Path) -> None:
    area = area_file(tmp_path / "area.gpkg")
    config = world.config(tmp_path / "out", aoi=area, **SIZES)
    run_job(config)
    store = Store(config.out)
    before = read_plan(store)
    assert before.aoi is not None
    assert before == make_plan(config)
    area_file(tmp_path / "area.gpkg", [TRIANGLE.buffer(30)])
    assert read_plan(store) == before
    with pytest.raises(RequestError, match="another job: aoi"):
        run_job(config)
    with pytest.raises(RequestError, match="aoi"):
        run_job(world.config(tmp_path / "out", **SIZES))


def no_crs(folder: Path) -> tuple[str, str]:
    return area_file(folder / "area.shp", crs=None), "CRS"


def no_vector_file(folder: Path) -> tuple[str, str]:
    (folder / "area.geojson").write_text("these are words")
    return str(folder / "area.geojson"), "cannot be read"


def missing(folder: Path) -> tuple[str, str]:
    return str(folder / "none.geojson"), "cannot be read"


def missing_table(folder: Path) -> tuple[str, str]:
    return str(folder / "none.parquet"), "cannot be read"


def empty(folder: Path) -> tuple[str, str]:
    collection = {"type": "FeatureCollection", "features": []}
    (folder / "area.geojson").write_text(json.dumps(collection))
    return str(folder / "area.geojson"), "no shapes"


def points(folder: Path) -> tuple[str, str]:
    return area_file(folder / "area.gpkg", [shapely.Point(500_010, 5_399_990)]), "no polygon"


def elsewhere(folder: Path) -> tuple[str, str]:
    return area_file(folder / "area.gpkg", [shapely.box(0, 0, 1, 1)], LONLAT), "none of the 2 scenes"


@pytest.mark.parametrize("bad", [no_crs, no_vector_file, missing, missing_table, empty, points, elsewhere])
def test_a_bad_area_is_one_sentence_and_nothing_is_written(
    world: World, tmp_path: Path, bad: Callable[[Path], tuple[str, str]]
) -> None:
    path, word = bad(tmp_path)
    scenes = [f"{world.folder}/scenes/*.tif", "--ask", "x", "--reasoner", "null", "--segmenter", "null"]
    result = command("run", *scenes, "--engine", "loop", "--aoi", path, "--out", str(tmp_path / "out"))
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "aoi" in result.err
    assert word in result.err
    assert not (tmp_path / "out").exists()


def test_flags_bound_a_plan(world: World, tmp_path: Path) -> None:
    scenes = [f"{world.folder}/scenes/*.tif", "--ask", "x", "--reasoner", "null", "--segmenter", "null"]
    area = area_file(tmp_path / "area.gpkg")
    sizes = ["--tile", "128", "--overlap", "32", "--json"]
    some, all_of_them = (
        json.loads(command("plan", *scenes, *sizes, *more).out)
        for more in (["--aoi", area], ["--scene-overlap", "keep-all"])
    )
    assert some["tiles"] < all_of_them["tiles"]
    assert command("plan", *scenes, "--scene-overlap", "mine").code == 2
