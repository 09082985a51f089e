"""The map is one file that asks no network and holds what the tables say; half a run has none."""

import json
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pandas as pd
import pytest
import shapely
from PIL import Image

from pipelines.map.data import rendering_of
from pipelines.map.objects import MAX_POINTS, find_tile, geojson_outlines, scenes_by_id
from pipelines.map.page import page, write_map
from pipelines.map.thumbnails import Rendering, scene_picture, tile_picture
from pipelines.plan.plan import Plan
from pipelines.plan.plan_files import read_plan
from pipelines.tables.collection import COLLECTION_FILE
from tests.commands import command
from tests.jobs.test_damage import damaged
from tiling.raster.describe import describe_scene
from tiling.raster.header import DEFAULT_OPTIONS
from tiling.storage.store import Store
from training.scenery.practice import write_practice


@pytest.fixture(scope="module")
def text(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    store = Store(str(shutil.copytree(whole, tmp_path_factory.mktemp("map") / "out")))
    return Path(write_map(store, read_plan(store))).read_text()


@pytest.fixture(scope="module")
def data(text: str) -> dict[str, Any]:
    return data_in(text)


@pytest.fixture
def plan(whole: Path) -> Plan:
    return read_plan(Store(str(whole)))


def data_in(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def objects_in(folder: Path) -> pd.DataFrame:
    files = sorted((folder / "objects").rglob("*.parquet"))
    return pd.concat([geopandas.read_parquet(path) for path in files]).set_index("id")


def test_the_page_loads_nothing_from_elsewhere(text: str) -> None:
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)\s*=", text)
    assert "default-src 'none'" in text


def test_the_page_holds_every_object_as_the_table_has_it(data: dict[str, Any], whole: Path) -> None:
    table, held = objects_in(whole), data["objects"]
    assert sorted(held["id"]) == sorted(table.index)
    for number, own in enumerate(held["id"]):
        row = table.loc[own]
        assert data["questions"][held["q"][number]]["text"] == row["query"]
        assert data["texts"][held["thinking"][number]] == row["thinking"]
        assert data["texts"][held["tile"][number]] in row["tile_ids"]
        assert shapely.geometry.shape(held["g"][number]).equals_exact(row["geometry"], 1e-7)
        assert held["s"][number] == pytest.approx(row["score"], abs=1e-4)
        assert held["a"][number] == pytest.approx(row["area_m2"], abs=0.01)


def test_the_page_has_imagery_of_the_scenes_and_of_every_object_s_tile(data: dict[str, Any]) -> None:
    assert len(data["pictures"]) == 2
    assert set(data["thumbnails"]) == {data["texts"][number] for number in data["objects"]["tile"]}
    everything = [*data["pictures"], *data["thumbnails"].values()]
    assert all(picture["url"].startswith("data:image/webp;base64,") for picture in everything)


def test_an_object_s_box_lies_in_its_tile_where_the_table_says(data: dict[str, Any], whole: Path) -> None:
    table, held = objects_in(whole), data["objects"]
    for number, own in enumerate(held["id"]):
        corners = np.array(data["thumbnails"][data["texts"][held["tile"][number]]]["corners"])
        x0, y0, x1, y1 = held["box"][number]
        across, down = corners[1] - corners[0], corners[3] - corners[0]
        middle = corners[0] + across * (x0 + x1) / 2 + down * (y0 + y1) / 2
        true = shapely.centroid(table.loc[own, "region"])
        assert middle == pytest.approx((true.x, true.y), abs=1e-6)


def test_what_a_model_wrote_cannot_leave_its_place() -> None:
    evil = "</script><b>{{map.js}}"
    made = page({"title": evil, "thinking": evil})
    assert evil not in made
    assert data_in(made)["thinking"] == evil


def test_large_outlines_are_thinned_and_small_ones_kept() -> None:
    circle = shapely.Point(0, 0).buffer(0.01, quad_segs=4000)
    light, thinned = geojson_outlines(np.array([circle] * 30, dtype=object))
    points = sum(shapely.get_num_coordinates(shapely.geometry.shape(shape)) for shape in light)
    assert thinned
    assert points <= MAX_POINTS
    (kept,), thinned = geojson_outlines(np.array([circle], dtype=object))
    assert not thinned
    assert shapely.get_num_coordinates(shapely.geometry.shape(kept)) == shapely.get_num_coordinates(circle)


def test_a_picture_is_no_larger_than_asked_and_lies_on_its_scene(plan: Plan) -> None:
    scene = plan.scenes[0].scene
    small, large = (scene_picture(scene, rendering_of(plan, side)) for side in (60, 6000))
    assert len(small.url) < len(large.url)
    assert np.allclose(small.corners, large.corners)
    (west, north), (east, _), (_, south), _ = small.corners
    assert west < east
    assert south < north


def test_a_damaged_block_costs_its_part_of_the_picture_and_no_more(tmp_path: Path) -> None:
    write_practice(str(tmp_path), scenes=1, size_px=600, seed=4)
    path = tmp_path / "scenes" / "scene-0000.tif"
    damaged(path, path, 1, 1)
    scene = describe_scene(str(path))
    url = scene_picture(scene, Rendering(None, DEFAULT_OPTIONS, 600)).url
    alpha = np.asarray(Image.open(BytesIO(b64decode(url.split(",")[1]))))[:, :, 3]
    assert (alpha[512:, 512:] == 0).all()
    assert (alpha[:384, :384] == 255).all()
    assert 0.6 < (alpha == 255).mean() < 1


def test_a_tile_s_picture_lies_where_the_ledger_says(plan: Plan) -> None:
    scenes = scenes_by_id(plan)
    found = find_tile(scenes, "scene-0000/r0001-c0000")
    assert found
    planned, tile = found
    picture = tile_picture(planned.scene, planned.work, tile, rendering_of(plan, 64))
    whole = np.array(scene_picture(planned.scene, rendering_of(plan, 64)).corners)
    share = (
        (np.array(picture.corners[0]) - whole[0]) @ (whole[3] - whole[0]) / np.sum((whole[3] - whole[0]) ** 2)
    )
    assert share == pytest.approx(tile.window.y0 / planned.work.height, abs=1e-4)


@pytest.mark.parametrize(
    "tile_id", ["", "scene-0000", "scene-0000/r9999-c0000", "other/r0000-c0000", "x/r-1-c0"]
)
def test_there_is_no_tile_that_is_not_planned(plan: Plan, tile_id: str) -> None:
    assert find_tile(scenes_by_id(plan), tile_id) is None


def test_the_same_run_gives_the_same_page(whole_copy: Path, text: str) -> None:
    store = Store(str(whole_copy))
    assert Path(write_map(store, read_plan(store))).read_text() == text


def refused(out: Path) -> str:
    result = command("show", str(out))
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert not (out / "map.html").exists()
    return result.err


def test_a_run_that_is_not_finished_has_no_map(whole_copy: Path) -> None:
    (whole_copy / COLLECTION_FILE).unlink()
    assert "not finished; run the same command again" in refused(whole_copy)


def test_a_folder_without_a_run_has_no_map(tmp_path: Path) -> None:
    assert "holds no run" in refused(tmp_path)


def test_a_lost_or_damaged_file_is_named(whole_copy: Path) -> None:
    victim = sorted((whole_copy / "objects").rglob("*.parquet"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    assert f"{victim} cannot be read" in refused(whole_copy)
    victim.unlink()
    assert f"{victim} is published but not there" in refused(whole_copy)
