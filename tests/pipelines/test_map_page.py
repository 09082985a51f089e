"""The map is one file that asks no network, shows imagery and objects, and escapes what a model wrote."""

import re
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from pipelines.map_page import MAX_POINTS, _geojson, _light, write_map
from pipelines.pictures import scene_picture
from pipelines.plan_files import read_plan
from pipelines.planning import job_limits
from pipelines.storage import Store


@pytest.fixture
def page(whole_copy: Path) -> str:
    store = Store(str(whole_copy))
    return Path(write_map(store, read_plan(store))).read_text()


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    without_comments = re.sub(r"<!--.*?-->", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)\s*=", without_comments)


def test_the_page_holds_pictures_objects_and_counts(page: str, whole: Path) -> None:
    assert page.count('"url": "data:image/webp;base64,') == 2
    for path in (whole / "objects").rglob("*.parquet"):
        frame = geopandas.read_parquet(path)
        assert f"{frame['query'].iloc[0]} <b>{len(frame):,}</b>" in page


def test_what_a_model_wrote_cannot_leave_its_string() -> None:
    row = {
        "query": "q",
        "label": "</script><b>",
        "score": 1.0,
        "area_m2": 2.0,
        "scene_ids": ["s"],
        "thinking": "<i>",
    }
    frame = geopandas.GeoDataFrame([row], geometry=[shapely.box(0, 0, 1, 1)], crs="OGC:CRS84")
    assert "<" not in str(_geojson(frame))


def test_large_outlines_are_thinned_and_small_ones_kept() -> None:
    circle = shapely.Point(0, 0).buffer(0.01, quad_segs=4000)
    many = geopandas.GeoSeries([circle] * 30, crs="OGC:CRS84")
    assert shapely.get_num_coordinates(_light(many).to_numpy()).sum() <= MAX_POINTS
    few = geopandas.GeoSeries([circle], crs="OGC:CRS84")
    assert shapely.get_num_coordinates(_light(few).iloc[0]) == shapely.get_num_coordinates(circle)


def test_a_picture_is_no_larger_than_asked_and_lies_on_its_scene(whole: Path) -> None:
    plan = read_plan(Store(str(whole)))
    scene = plan.scenes[0].scene
    small = scene_picture(scene, side_px=60, scaling=plan.scaling, limits=job_limits(plan.config))
    large = scene_picture(scene, side_px=6000, scaling=plan.scaling, limits=job_limits(plan.config))
    assert len(small.url) < len(large.url)
    assert np.allclose(small.corners, large.corners)
    (west, north), (east, _), (_, south), _ = small.corners
    assert west < east
    assert south < north
