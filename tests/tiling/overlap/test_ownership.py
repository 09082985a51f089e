"""Claim: every place under overlapping scenes has one owner, the newest; tiles follow; it is done fast."""

import time

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tiling.geo.geobox import GeoBox, moved_between
from tiling.grid import Grid
from tiling.overlap.coverage import SceneCoverage
from tiling.overlap.ownership import (
    by_priority,
    core_boxes,
    covered,
    neighbours,
    owned_ground,
    unplanned_beside,
    wanted_tiles,
    window_boxes,
)
from tiling.scene import Band, Scene

SIDE = 300


def scene(name: str, when: str | None) -> Scene:
    bands = (Band("x.tif", 1),)
    return Scene("x.tif", name, "i", 9, 9, (1, 0, 0, 0, -1, 0), "EPSG:32631", "uint8", bands, None, when)


def test_the_newest_comes_first_then_the_lesser_id_and_undated_ones_last() -> None:
    scenes = [
        scene("c", None),
        scene("a", None),
        scene("e", "2020-01-01T00:00:00Z"),
        scene("b", "2021-01-01T00:00:00Z"),
        scene("d", "2020-01-01T01:00:00+01:00"),
    ]
    assert [scenes[index].scene_id for index in by_priority(scenes)] == ["b", "d", "e", "a", "c"]


def frame(x: float, y: float, turn: float, crs: str = "EPSG:32631") -> GeoBox:
    c, s = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    return GeoBox(crs, (c, s, 500_000 + x / 2, s, -c, 5_400_000 - y / 2), SIDE, SIDE)


frames = st.builds(frame, st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.0, 0.0, 0.3, -0.8]))


@settings(max_examples=25)
@given(st.lists(frames, min_size=1, max_size=5), st.integers(0, 99))
def test_every_place_has_exactly_one_owner(scenes: list[GeoBox], seed: int) -> None:
    coverages = [SceneCoverage(each, each.area, each.area) for each in scenes]
    owned = [owned_ground(coverages, range(index), index) for index in range(len(scenes))]
    grounds = [
        moved_between([each.area if own is None else own], each, scenes[0])[0]
        for own, each in zip(owned, scenes, strict=True)
    ]
    areas = [moved_between([each.area], each, scenes[0])[0] for each in scenes]
    points = shapely.points(np.random.default_rng(seed).uniform(-200, 500, (300, 2)))
    seen = np.array([shapely.contains(area, points) for area in areas])
    owners = np.array([shapely.contains(ground, points) for ground in grounds])
    far = np.min([shapely.distance(shapely.boundary(area), points) for area in areas], axis=0) > 1e-3
    assert (owners.sum(axis=0) == seen.any(axis=0))[far].all()
    assert (owners.argmax(axis=0) == seen.argmax(axis=0))[far & seen.any(axis=0)].all()


def test_scenes_of_two_zones_and_of_both_sides_of_180_are_neighbours() -> None:
    west, east = shapely.box(179.9, -17, 180, -16.9), shapely.box(-180, -17, -179.9, -16.9)
    split = shapely.union_all([shapely.box(179.95, -17, 180, -16.9), shapely.box(-180, -17, -179.95, -16.9)])
    assert neighbours([west, east, split]) == [(2,), (2,), (0, 1)]
    assert neighbours([]) == []


def some_tiles(seed: int) -> tuple[Grid, NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    width, height = (int(side) for side in rng.integers(20, 400, 2))
    tile = int(rng.integers(4, 90))
    grid = Grid("s", width, height, tile, int(rng.integers(0, tile // 2 + 1)), 4096)
    return grid, rng.random((grid.rows.count, grid.columns.count)) < 0.4


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_boxes_are_those_of_the_tiles(seed: int) -> None:
    grid, _ = some_tiles(seed)
    cores, windows = core_boxes(grid), window_boxes(grid)
    for row, col in np.ndindex(cores.shape):
        tile = grid.tile(row, col)
        core, window = tile.core, tile.window
        assert cores[row, col].bounds == (core.x0, core.y0, core.x1, core.y1)
        held = (window.x0, window.y0, min(window.x1, grid.width), min(window.y1, grid.height))
        assert windows[row, col].bounds == held


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_unplanned_tiles_beside_planned_ones_are_all_named(seed: int) -> None:
    grid, wanted = some_tiles(seed)
    windows = window_boxes(grid)
    seen = covered(grid, wanted)
    assert seen.area == pytest.approx(shapely.union_all(windows[wanted]).area)
    named = {(window.x0, window.y0) for window in unplanned_beside(grid, wanted)}
    meets = shapely.area(shapely.intersection(windows, seen)) > 0
    for row, col in np.argwhere(~wanted & meets).tolist():
        window = grid.tile(row, col).window
        assert (window.x0, window.y0) in named
    assert unplanned_beside(grid, None) == []


def test_without_bounds_all_tiles_are_wanted_and_full_masks_are_none() -> None:
    grid = Grid("s", 300, 200, 64, 16, 4096)
    assert wanted_tiles(grid) is None
    assert wanted_tiles(grid, owned=shapely.box(-5, -5, 400, 400)) is None
    nothing = wanted_tiles(grid, owned=shapely.Polygon())
    assert nothing is not None
    assert not nothing.any()


def test_a_line_of_rounding_along_an_edge_plans_no_row_of_tiles() -> None:
    grid = Grid("s", 300, 200, 64, 16, 4096)
    sliver = wanted_tiles(grid, owned=shapely.box(0, 0, 0.01, 200))
    assert sliver is not None
    assert not sliver.any()


def test_ownership_of_many_scenes_takes_milliseconds_each() -> None:
    step, side = 150, 20
    placed = [frame(step * (i % side), step * (i // side), 0.0) for i in range(side * side)]
    outlines = [
        shapely.box(x, y, x + SIDE, y + SIDE)
        for i in range(side * side)
        for x, y in [(step * (i % side), step * (i // side))]
    ]
    began = time.perf_counter()
    beside = neighbours(outlines)
    coverages = [SceneCoverage(each, each.area, each.area) for each in placed]
    for index in range(len(placed)):
        before = [other for other in beside[index] if other < index]
        wanted_tiles(Grid("s", SIDE, SIDE, 64, 16, 4096), owned=owned_ground(coverages, before, index))
    assert (time.perf_counter() - began) / len(placed) < 0.02
