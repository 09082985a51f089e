"""With exact engines every object is found once, whole and in its place, whatever the tiles and chunks."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from pipelines.demo import score_objects
from pipelines.jobs.run import RunReport, run_job
from tests.worlds.practice import CRS, LONLAT, NORTH_UP, SHARED, World, objects_of, to_lonlat, write_truth
from tests.worlds.score import Score, score
from tiling.geo.groups import Ragged, one_each
from tiling.merge import resolve
from tiling.merge.resolve import Evidence
from tiling.raster.cog import write_cog
from tiling.scene import Transform
from training.data.classes import PRACTICE_CLASSES
from training.scenery.practice import write_practice

LONG_KINDS = ("runway", "river", "road", "ring_road", "greenhouse")
GRIDS = [(224, 56, 1024), (448, 0, 512), pytest.param((896, 128, 4096), marks=pytest.mark.thorough)]
"""Tile, overlap and chunk, pixels."""

SIDE, TILE, OVERLAP = 1200, 224, 56
STEP = TILE - OVERLAP
CHUNK = 400
HARD_GRIDS = [
    (TILE, OVERLAP, 300),
    (TILE, 16, CHUNK),
    *(pytest.param(grid, marks=pytest.mark.thorough) for grid in ((TILE, OVERLAP, 4096), (448, 112, 600))),
    (300, 0, CHUNK),
]

TURNED: Transform = (0.4, 0.3, 500_000.0, 0.3, -0.4, 5_400_000.0)
"""Pixels of half a metre, turned by 37 degrees."""


def found_in(
    world: World, out: Path, grid: tuple[int, int, int], kinds: Sequence[str] | None = None
) -> tuple[RunReport, gpd.GeoDataFrame]:
    """Run the world's job on a grid; report and objects."""
    tile, overlap, chunk = grid
    report = run_job(world.config(out, kinds=kinds, tile=tile, overlap=overlap, chunk=chunk))
    return report, objects_of(out)


def scores(world: World, found: gpd.GeoDataFrame, kinds: Sequence[str]) -> dict[str, Score]:
    """Score of each kind against its own question."""
    asked = dict(zip(kinds, world.questions(kinds), strict=True))
    return {
        kind: score(found[found["query"] == question], world.truth([kind]))
        for kind, question in asked.items()
    }


def assert_exact(world: World, found: gpd.GeoDataFrame, kinds: Sequence[str]) -> None:
    wrong = {kind: each for kind, each in scores(world, found, kinds).items() if not each.is_exact}
    assert wrong == {}


@pytest.fixture(scope="module")
def long_objects(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A scene of 1,400 pixels that holds long objects and objects with holes."""
    folder = tmp_path_factory.mktemp("long")
    write_practice(str(folder), scenes=1, size_px=1400, seed=6)
    world = World(folder)
    assert set(LONG_KINDS) <= set(world.truth()["kind"])
    return world


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: "-".join(map(str, grid)))
def test_long_objects_and_objects_with_holes_are_found_once_and_whole(
    long_objects: World, tmp_path: Path, grid: tuple[int, int, int]
) -> None:
    report, found = found_in(long_objects, tmp_path / "out", grid, LONG_KINDS)
    assert report.failed == report.malformed == 0
    assert report.objects == len(found)
    assert_exact(long_objects, found, LONG_KINDS)


def test_holes_are_holes_and_areas_are_geodesic(long_objects: World, tmp_path: Path) -> None:
    _, found = found_in(long_objects, tmp_path / "out", (224, 56, 600), ["ring_road"])
    true = long_objects.truth(["ring_road"])
    assert sum(shapely.get_num_interior_rings(found.geometry)) == sum(
        shapely.get_num_interior_rings(true.geometry)
    )
    utm = true.to_crs(CRS).area.sum()  # UTM's scale is 0.9996 at its meridian, so areas differ by 0.0008
    assert found["area_m2"].sum() == pytest.approx(utm / 0.9996**2, rel=0.002)


def test_the_objects_do_not_depend_on_the_chunks(long_objects: World, tmp_path: Path) -> None:
    kinds = ["road", "greenhouse"]
    _, small = found_in(long_objects, tmp_path / "small", (224, 56, 400), kinds)
    _, large = found_in(long_objects, tmp_path / "large", (224, 56, 4096), kinds)
    first, second = (
        {
            row.id: (row.geometry.wkb, row.region.wkb, row.area_m2, list(row.tile_ids))
            for row in rows.itertuples()
        }
        for rows in (small, large)
    )
    assert first == second


@pytest.mark.thorough
def test_the_independent_scorer_and_the_products_own_agree(long_objects: World, tmp_path: Path) -> None:
    tool = SHARED / "tools" / "score.py"
    if not tool.is_file():
        pytest.skip(f"{tool} is not here: it lies beside the project where the project was made")
    _, found = found_in(long_objects, tmp_path / "out", (448, 64, 700), LONG_KINDS)
    truth = long_objects.folder / "truth.parquet"
    only = f"kind in {json.dumps(LONG_KINDS)}"
    args = [str(tmp_path / "out" / "objects"), str(truth), "--iou", "0.9", "--truth-where", only]
    result = subprocess.run([sys.executable, str(tool), *args], capture_output=True, text=True, check=True)
    far = json.loads(result.stdout)
    assert (far["precision"], far["recall"], far["duplicates"]) == (1.0, 1.0, 0)
    assert abs(far["area_bias"]) < 0.01
    own = score_objects(found.geometry, long_objects.truth(LONG_KINDS).geometry, iou=0.9)
    assert (own.right, own.found, own.true) == (far["tp"], far["n_found"], far["n_true"])


def hard_objects() -> dict[str, Sequence[BaseGeometry]]:
    """Objects in pixels, placed against the grid of 224-pixel tiles that overlap by 56."""
    corners = [
        shapely.box(x - 20, y - 14, x + 20, y + 14) for x in (STEP, 3 * STEP) for y in (STEP, 2 * STEP + 56)
    ]
    across = STEP + TILE // 2
    twins = [shapely.box(x, y, x + 18, y + 30) for x in (across, across + 20) for y in (600, 632, 664)]
    strip = affinity.rotate(shapely.box(-100, 1008, SIDE + 100, 1022), -9, origin=(600, 1015))
    whole = shapely.box(0, 0, SIDE, SIDE)
    ring = shapely.Point(780.3, 330.7).buffer(200, 64).difference(shapely.Point(780.3, 330.7).buffer(185, 64))
    edge = [shapely.box(-5, 300, 30, 340), shapely.box(1180, 560, SIDE + 9, 600)]
    return {
        "corner": corners,
        "twin": twins,
        "strip": [strip.intersection(whole)],
        "ring": [ring],
        "edge": [each.intersection(whole) for each in edge],
        "speck": [shapely.box(x, 760.5, x + 4.5, 765) for x in (5.25, STEP - 2.25, STEP + 54, 2 * STEP + 55)],
    }


def hard_world_at(folder: Path, place: Transform) -> World:
    """A scene of 1,200 pixels drawn to hurt: corners, near twins, a strip through it all, a ring, specks."""
    (folder / "scenes").mkdir()
    pixels = np.full((3, SIDE, SIDE), 90, np.uint8)
    write_cog(str(folder / "scenes" / "hard.tif"), pixels, transform=place, crs=CRS, nodata=None)
    objects = [(kind, each) for kind, group in hard_objects().items() for each in group]
    write_truth(folder, [(kind, "hard", to_lonlat(each, place, CRS)) for kind, each in objects])
    return World(folder)


@pytest.fixture(scope="module")
def hard_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return hard_world_at(tmp_path_factory.mktemp("hard"), NORTH_UP)


def test_hard_objects_meet_tile_corners_and_lie_two_pixels_apart() -> None:
    objects = hard_objects()
    twins = objects["twin"]
    assert {min(one.distance(other) for other in twins if other is not one) for one in twins} == {2.0}
    (strip,) = objects["strip"]
    assert strip.bounds[2] - strip.bounds[0] >= 3 * CHUNK
    starts = range(0, SIDE - TILE + 1, STEP)
    tiles = np.array([shapely.box(x, y, x + TILE, y + TILE) for x in starts for y in starts])
    corners = shapely.points(shapely.get_coordinates(tiles))
    for each in objects["corner"]:
        assert shapely.intersects(tiles, each).sum() >= 4
        assert shapely.intersects(corners, each).any()


@pytest.mark.parametrize("grid", HARD_GRIDS, ids=lambda grid: "-".join(map(str, grid)))
def test_corners_twins_strips_and_rings_are_found_once_and_whole(
    hard_world: World, tmp_path: Path, grid: tuple[int, int, int]
) -> None:
    _, found = found_in(hard_world, tmp_path / "out", grid)
    assert_exact(hard_world, found, [kind for kind in hard_objects() if kind != "speck"])


def test_a_rotated_scene_is_exact_at_tile_edges(tmp_path: Path) -> None:
    world = hard_world_at(tmp_path, TURNED)
    _, found = found_in(world, tmp_path / "out", (TILE, OVERLAP, CHUNK))
    assert_exact(world, found, [kind for kind in hard_objects() if kind != "speck"])


def test_the_same_job_without_the_merge_is_far_from_exact(
    hard_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resolve, "resolve_fragments", one_object_per_fragment)
    _, found = found_in(hard_world, tmp_path / "out", (TILE, OVERLAP, 4096))
    results = scores(hard_world, found, ["corner", "twin", "strip", "ring"])
    assert not any(each.is_exact for each in results.values())
    assert all(each.found > each.true for each in results.values())


def one_object_per_fragment(evidence: Evidence) -> Ragged:
    return one_each(len(evidence))


def test_the_scorer_sees_every_kind_of_error() -> None:
    boxes = [shapely.box(x, 0, x + 10, 10) for x in (0, 12, 40)]
    glued = shapely.union_all(boxes[:2]).convex_hull
    wide = [box.buffer(0.2, join_style="mitre") for box in boxes]
    cases: list[tuple[Sequence[BaseGeometry], int, int, float]] = [
        (boxes, 3, 0, 0.0),
        ([*boxes, boxes[0]], 3, 1, 0.0),
        (boxes[:2], 2, 0, 0.0),
        ([*boxes, shapely.box(70, 0, 80, 10)], 3, 0, 0.0),
        ([glued, boxes[2]], 1, 0, 0.0),
        (wide, 3, 0, 0.0816),
    ]
    for shapes, right, duplicates, bias in cases:
        result = score(on_the_ground(shapes), on_the_ground(boxes))
        assert (result.right, result.duplicates) == (right, duplicates)
        assert result.area_bias == pytest.approx(bias, abs=1e-4)
        assert result.is_exact == (shapes is boxes)


def on_the_ground(shapes: Sequence[BaseGeometry]) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(geometry=[to_lonlat(shape, NORTH_UP, CRS) for shape in shapes], crs=LONLAT)


def test_specks_are_found_once_in_their_place(hard_world: World, tmp_path: Path) -> None:
    """Objects of 20 square pixels: their corners round, so overlap is asked for at 0.8."""
    _, found = found_in(hard_world, tmp_path / "out", (TILE, OVERLAP, CHUNK), ["speck"])
    result = score(found, hard_world.truth(["speck"]), iou=0.8)
    assert result.found == result.true == result.right
    true = hard_world.truth(["speck"]).to_crs(CRS).centroid
    seen = found.to_crs(CRS).centroid
    assert max(true.distance(point).min() for point in seen) < 0.1 * NORTH_UP[0]


def test_edge_flags_and_tile_ids_state_where_an_object_was_found(hard_world: World, tmp_path: Path) -> None:
    _, found = found_in(hard_world, tmp_path / "out", (TILE, OVERLAP, CHUNK))
    kinds = dict(zip(hard_world.questions(), hard_objects(), strict=True))
    touching = found.groupby(found["query"].map(kinds))["touches_scene_edge"].agg(["all", "any"])
    assert touching.loc[["edge", "strip"], "all"].all()
    assert not touching.loc[["corner", "twin", "ring"], "any"].any()
    (strip,) = found[found["query"].map(kinds) == "strip"].itertuples()
    assert strip.n_fragments == len(strip.tile_ids) >= SIDE // STEP - 1
    assert found["id"].is_unique


@pytest.mark.slow
@pytest.mark.parametrize("grid", [(224, 56, 1024), (448, 64, 2048), (896, 128, 4096)])
def test_every_kind_is_exact_on_a_scene_of_6000_pixels(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, grid: tuple[int, int, int]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "large"
    if not folder.exists():
        write_practice(str(folder), scenes=1, size_px=6000, seed=5)
    world = World(folder)
    kinds = [kind.name for kind in PRACTICE_CLASSES if len(world.truth([kind.name]))]
    _, found = found_in(world, tmp_path / "out", grid, kinds)
    assert_exact(world, found, kinds)
    assert found.crs == LONLAT
