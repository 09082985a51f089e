"""Claim: where the first scene covers ground without data the next one answers; nothing is lost or double."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from pipelines.jobs.run import run_job
from pipelines.plan.plan import Plan
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import make_plan
from tests.worlds.practice import World, objects_of
from tests.worlds.score import score
from tests.worlds.sheets import GROUND, PAIR, UTM, made, on_ground, true_objects
from tiling.overlap.valid_area import find_valid_area
from tiling.raster.header import DEFAULT_OPTIONS
from tiling.storage.store import Store

DATA = shapely.Polygon([(230, 0), (600, 0), (600, 420), (40, 420)])
"""Where the newer scene holds data, its pixels: left of it lies a collar over the older scene."""
GAP = shapely.Polygon(DATA.exterior, [shapely.box(250, 250, 460, 380).exterior.coords])
"""The same with a hole, part of which only the newer scene covers."""


@pytest.fixture(scope="module", params=["collar", "collar and gap"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    older, newer = PAIR
    data = DATA if request.param == "collar" else GAP
    seen = replace(newer, data=data)
    folder = tmp_path_factory.mktemp("collar") / "world"
    world = made(folder, (replace(older, size=(960, 420)), seen), (960, 420))
    return world


def planned(world: World) -> Plan:
    return make_plan(world.config(Path("none"), tile=128, overlap=32, chunk=400))


def test_the_next_scene_answers_where_the_first_is_empty(world: World, tmp_path: Path) -> None:
    report = run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400))
    assert report.nodata > 0
    result = score(objects_of(tmp_path / "out"), true_objects(world))
    assert result.is_exact, result
    again = run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400))
    assert again.chunks_done == 0


def test_the_ground_is_data_for_certain_and_frozen_in_the_plan(world: World, tmp_path: Path) -> None:
    plan = planned(world)
    newer, older = plan.scenes
    assert older.valid is None
    assert newer.valid is not None
    assert newer.valid.within(GAP.buffer(0.5)) or newer.valid.within(DATA.buffer(0.5))
    assert newer.valid.area > 0.9 * GAP.area
    run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400, reasoner="null"))
    assert read_plan(Store(str(tmp_path / "out"))).scenes == plan.scenes


@pytest.mark.parametrize(
    "world",
    ["collar", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("collar and gap",))],
    indirect=True,
)
def test_without_reading_the_valid_area_the_collar_hides_objects(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.plan.tile_selection.find_valid_area", lambda *_: None)
    run_job(world.config(tmp_path / "out", tile=128, overlap=32, chunk=400))
    result = score(objects_of(tmp_path / "out"), true_objects(world))
    assert result.right < result.true - 5


def test_a_scene_full_of_data_claims_all(world: World) -> None:
    older = planned(world).scenes[1]
    assert find_valid_area(older.scene, older.work, DEFAULT_OPTIONS) is None
    assert np.isclose(on_ground(DATA, GROUND).area, DATA.area / 4)
    assert older.scene.crs == UTM
