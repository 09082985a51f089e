"""Claim: scenes that overlap across two UTM zones, across ±180° or in degrees give each object once."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import shapely
from shapely import affinity

from pipelines.jobs.run import run_job
from pipelines.plan.plan_files import read_plan
from tests.worlds.practice import LONLAT, World, objects_of
from tests.worlds.score import score
from tests.worlds.sheets import Sheet, moved, on_ground, scattered, seen_by, true_objects, write_sheets
from tiling.storage.store import Store

SIZE = (560, 420)
DEGREES = 5e-6
"""Pixels of about half a metre."""


def metric(name: str, crs: str, lonlat: tuple[float, float], year: int) -> Sheet:
    """A scene of half-metre pixels with its north-west corner at a place."""
    x, y = pyproj.Transformer.from_crs(LONLAT, crs, always_xy=True).transform(*lonlat)
    return Sheet(name, (0.5, 0.0, round(x), 0.0, -0.5, round(y)), SIZE, crs, f"{year}:01:01 00:00:00")


def degrees(name: str, lonlat: tuple[float, float], year: int) -> Sheet:
    lon, lat = lonlat
    transform = (DEGREES, 0.0, lon, 0.0, -DEGREES, lat)
    return Sheet(name, transform, SIZE, "EPSG:4326", f"{year}:01:01 00:00:00")


PLACES = {
    "zones 31 and 32": [
        metric("west", "EPSG:32631", (5.9978, 48.7012), 2020),
        metric("east", "EPSG:32632", (5.9998, 48.7010), 2021),
    ],
    "zones 60 and 1": [
        metric("west", "EPSG:32760", (179.9981, -16.9990), 2021),
        metric("east", "EPSG:32701", (179.9995, -16.9991), 2020),
    ],
    "degrees over 180": [
        degrees("west", (179.9985, -16.9990), 2020),
        degrees("east", (-180.0, -16.9992), 2021),
    ],
    "degrees and zone 1": [
        degrees("west", (179.9980, -16.9990), 2021),
        metric("east", "EPSG:32701", (179.9993, -16.9991), 2020),
    ],
}


def drawn_at(sheet: Sheet) -> list[shapely.Geometry]:
    """Objects in a scene and past its edges, in its own world coordinates."""
    pixels = [affinity.translate(shape, -120, -60) for shape in scattered(920, 560)]
    return [on_ground(shape, sheet.transform) for shape in pixels]


def unrolled(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """Longitudes that run on past 180° where there are some on both sides."""
    west, _, east, _ = table.total_bounds
    if east - west < 180:
        return table
    shapes = [
        shapely.union_all(
            [shapely.transform(part, lambda p: np.column_stack((p[:, 0] % 360, p[:, 1]))) for part in parts]
        )
        for parts in map(shapely.get_parts, table.geometry)
    ]
    return gpd.GeoDataFrame(geometry=shapes, crs=LONLAT)


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    sheets: Sequence[Sheet] = PLACES[request.param]
    crs = sheets[0].crs
    objects = seen_by(sheets, np.array(drawn_at(sheets[0])), crs) if crs != "EPSG:4326" else in_metres(sheets)
    return write_sheets(
        tmp_path_factory.mktemp("place") / "world", sheets, list(objects), objects_crs(sheets)
    )


def objects_crs(sheets: Sequence[Sheet]) -> str:
    return "EPSG:32760" if sheets[0].crs == "EPSG:4326" else sheets[0].crs


def in_metres(sheets: Sequence[Sheet]) -> Sequence[shapely.Geometry]:
    """Objects of a scene in degrees, drawn in metres."""
    crs = objects_crs(sheets)
    drawn = moved(drawn_at(sheets[0]), "EPSG:4326", crs)
    return list(seen_by(sheets, drawn, crs))


def test_each_true_object_is_found_once(place: World, tmp_path: Path) -> None:
    run_job(place.config(tmp_path / "out", tile=128, overlap=32, chunk=400))
    found, true = unrolled(objects_of(tmp_path / "out")), unrolled(true_objects(place))
    result = score(found, true)
    assert result.true > 30
    assert result.is_exact, result
    plan = read_plan(Store(str(tmp_path / "out")))
    assert plan.n_tiles < sum(item.grid.n_tiles for item in plan.scenes) - 2


@pytest.mark.parametrize(
    "place",
    ["zones 31 and 32", *(pytest.param(name, marks=pytest.mark.thorough) for name in list(PLACES)[1:])],
    indirect=True,
)
def test_scene_overlap_keep_all_gives_duplicates_across_zones_too(place: World, tmp_path: Path) -> None:
    run_job(place.config(tmp_path / "out", tile=128, overlap=32, chunk=400, scene_overlap="keep-all"))
    result = score(unrolled(objects_of(tmp_path / "out")), unrolled(true_objects(place)))
    assert result.duplicates > 5


def test_no_object_crosses_180_and_those_that_lie_across_are_split(tmp_path: Path) -> None:
    sheets = PLACES["zones 60 and 1"]
    objects = seen_by(sheets, np.array(drawn_at(sheets[0])), sheets[0].crs)
    world = write_sheets(tmp_path / "world", sheets, list(objects), sheets[0].crs)
    run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400))
    found = objects_of(tmp_path / "out")
    widths = [
        part.bounds[2] - part.bounds[0] for shape in found.geometry for part in shapely.get_parts(shape)
    ]
    assert max(widths) < 0.01
    split = [shape for shape in found.geometry if shape.bounds[2] - shape.bounds[0] > 180]
    assert split
    assert all(len(shapely.get_parts(shape)) >= 2 for shape in split)


def test_an_area_of_interest_may_lie_across_180(tmp_path: Path) -> None:
    west, east = PLACES["zones 60 and 1"]
    objects = seen_by([west, east], np.array(drawn_at(west)), west.crs)
    world = write_sheets(tmp_path / "world", [west, east], list(objects), west.crs)
    box = on_ground(shapely.box(350, 100, 520, 300), west.transform)
    (middle,) = moved([box], west.crs, LONLAT, near=180.0)
    assert 179.9 < middle.bounds[0] < 180 < middle.bounds[2]
    gpd.GeoDataFrame(geometry=[box], crs=west.crs).to_file(tmp_path / "area.gpkg")
    aoi = str(tmp_path / "area.gpkg")
    run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400, aoi=aoi))
    found, true = unrolled(objects_of(tmp_path / "out")), unrolled(true_objects(world))
    assert len(found) == np.count_nonzero(true.intersects(middle)) > 5
    assert found.intersects(middle).all()
    plan = read_plan(Store(str(tmp_path / "out")))
    assert {item.scene.scene_id for item in plan.scenes} == {"west", "east"}
    assert plan.n_tiles < 0.7 * sum(item.grid.n_tiles for item in plan.scenes)
