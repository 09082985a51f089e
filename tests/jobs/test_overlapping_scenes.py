"""Claim: where scenes overlap each object is found once, and shared ground is read once but for a band."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from pipelines.engine import ray_cluster, ray_executor
from pipelines.jobs.run import run_job
from pipelines.plan.plan import Plan
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import make_plan
from tests.commands import tree
from tests.worlds.practice import World, objects_of
from tests.worlds.score import Score, score
from tests.worlds.sheets import (
    CASES,
    GROUND,
    PAIR,
    UTM,
    Sheet,
    made,
    moved,
    on_ground,
    true_objects,
    write_sheets,
)
from tiling.geo.crs import footprint
from tiling.storage.store import Store

TILE, OVERLAP = 128, 32

Case = tuple[World, Sequence[Sheet]]


def run(world: World, out: Path, **fields: object) -> tuple[Plan, gpd.GeoDataFrame]:
    given: dict[str, object] = {"tile": TILE, "overlap": OVERLAP, "chunk": 400, **fields}
    report = run_job(world.config(out, **given))
    assert report.failed == report.malformed == 0
    return read_plan(Store(str(out))), objects_of(out)


def result(world: World, found: gpd.GeoDataFrame) -> Score:
    return score(found, true_objects(world))


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    sheets, size = CASES[request.param]
    return made(tmp_path_factory.mktemp(request.param), sheets, size), sheets


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> World:
    return made(tmp_path_factory.mktemp("two"), *CASES["pair"])


def test_each_true_object_is_found_once(case: Case, tmp_path: Path) -> None:
    world, _ = case
    _, found = run(world, tmp_path / "out")
    assert result(world, found).is_exact, result(world, found)
    assert found["id"].is_unique


@pytest.mark.parametrize(
    "case",
    ["pair", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("triple", "odd"))],
    indirect=True,
)
def test_scene_overlap_keep_all_gives_duplicates(case: Case, tmp_path: Path) -> None:
    world, _ = case
    plan, found = run(world, tmp_path / "out", scene_overlap="keep-all")
    assert plan.n_tiles == sum(item.grid.n_tiles for item in plan.scenes)
    assert len(found) > 1.2 * len(true_objects(world))
    assert result(world, found).duplicates > 0


def best_first(sheets: Sequence[Sheet]) -> list[Sheet]:
    dated = sorted((sheet for sheet in sheets if sheet.time), key=lambda sheet: str(sheet.time), reverse=True)
    return [*dated, *(sheet for sheet in sheets if not sheet.time)]


def test_a_tile_is_planned_exactly_if_its_core_meets_ground_its_scene_owns(case: Case) -> None:
    world, sheets = case
    plan = make_plan(world.config(Path("none"), tile=TILE, overlap=OVERLAP, chunk=400))
    left_out, order = 0, best_first(sheets)
    for index, item in enumerate(plan.scenes):
        rank = [sheet.name for sheet in order].index(item.scene.scene_id)
        taken = [moved([sheet.footprint], sheet.crs, order[rank].crs)[0] for sheet in order[:rank]]
        own = order[rank].footprint.difference(shapely.union_all(taken)) if taken else order[rank].footprint
        planned = {tile.tile_id for ref in plan.chunks_of(index) for tile in plan.chunk(ref).tiles}
        for tile in item.grid.tiles():
            shared = shapely.area(own.intersection(footprint(tile.core, item.work.transform)))
            if shared > 0.01 * TILE**2 * item.work.gsd**2:
                assert tile.tile_id in planned
            if shared == 0:
                assert tile.tile_id not in planned
        left_out += item.grid.n_tiles - len(planned)
    assert left_out > 3


def test_of_two_scenes_only_a_band_within_one_tile_is_read_twice(pair: World) -> None:
    plan = make_plan(pair.config(Path("none"), tile=TILE, overlap=OVERLAP, chunk=400))
    (newer, *_), older = plan.chunks_of(0), plan.chunks_of(1)
    assert sum(ref.n_tiles for ref in plan.chunks_of(0)) == plan.scenes[0].grid.n_tiles
    assert newer.scene == 0
    reach = max(ref.window.x1 for ref in older)
    assert 360 < reach <= 360 + TILE


def test_neither_chunks_nor_names_nor_the_order_of_scenes_change_the_objects(tmp_path: Path) -> None:
    sheets, size = CASES["triple"]
    tables = []
    for number, names in enumerate((("a", "b", "c"), ("c", "a", "b"))):
        named = [replace(sheet, name=name) for sheet, name in zip(sheets, names, strict=True)]
        world = made(tmp_path / str(number), named, size)
        files = sorted(str(path) for path in (world.folder / "scenes").iterdir())
        for chunk, scenes in ((300, files), (4096, files[::-1]))[number:]:
            _, found = run(world, tmp_path / f"{number}-{chunk}", chunk=chunk, scenes=scenes)
            shape = found.geometry.to_wkb()
            tables.append(dict(zip(found["id"], zip(shape, found["n_fragments"], strict=True), strict=True)))
    assert len(tables[0]) > 50
    assert all(table == tables[0] for table in tables)


@pytest.mark.ray
@pytest.mark.slow
def test_ray_gives_the_bytes_of_the_loop_where_scenes_overlap(
    pair: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    run(pair, tmp_path / "loop")
    monkeypatch.setattr(ray_executor, "FEW", 0)
    ray_cluster.connect(None)
    try:
        run(pair, tmp_path / "ray", engine="ray")
    finally:
        ray.shutdown()
    assert tree(tmp_path / "ray" / "objects") == tree(tmp_path / "loop" / "objects")


def test_objects_over_the_border_name_both_scenes_and_only_outer_edges_count(
    pair: World, tmp_path: Path
) -> None:
    _, found = run(pair, tmp_path / "out")
    strips = found[shapely.length(found.geometry.to_crs(UTM).array) > 800]
    assert len(strips) == 2
    assert all(list(names) == ["newer", "older"] for names in strips["scene_ids"])
    assert (strips["datetime"].dt.year == 2021).all()
    ground = shapely.union_all([sheet.footprint for sheet in PAIR]).boundary
    near = shapely.distance(found.geometry.to_crs(UTM).array, ground) < 0.5
    assert (found["touches_scene_edge"] == near).all()


def test_one_strip_over_three_scenes_is_one_object_of_three(tmp_path: Path) -> None:
    sheets = [
        replace(
            PAIR[0], name=f"s{number}", transform=(0.5, 0.0, 500_000 + number * 150, 0.0, -0.5, 5_400_000)
        )
        for number in range(3)
    ]
    strip = on_ground(shapely.box(20, 200, 1180, 212), GROUND)
    world = write_sheets(tmp_path / "world", sheets, [strip], UTM)
    _, found = run(world, tmp_path / "out")
    assert result(world, found).is_exact
    assert [list(names) for names in found["scene_ids"]] == [["s0", "s1", "s2"]]


@pytest.mark.parametrize("gap", [2, 3, 5])
def test_twins_on_both_sides_of_the_border_stay_two(tmp_path: Path, gap: int) -> None:
    """The newer scene's ground starts at column 360: a twin ends there, or lies across, or starts there."""
    twins: list[NDArray[np.object_]] = []
    for row, x in enumerate((340, 348, 354, 358, 360, 362, 366)):
        y = 20 + row * 50
        twins += [shapely.box(x - 20 - gap, y, x - gap, y + 24), shapely.box(x, y, x + 20, y + 24)]
    drawn = [on_ground(shape, GROUND) for shape in twins]
    world = write_sheets(tmp_path / "world", PAIR, drawn, UTM)
    _, found = run(world, tmp_path / "out")
    assert result(world, found).is_exact, result(world, found)
