"""Claim: every object comes back once, whole and alone, whatever the tiles, the order and the repetitions."""

import time
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import box

from tests.worlds.truth import PLACE, MergedRow, drawn_objects, fragment, merged_list, seen
from tiling.geo.crs import to_pixels
from tiling.grid import Grid
from tiling.merge.fragments import Fragment

SIDE = 1500


def grid(tile: int, overlap: int, side: int = SIDE) -> Grid:
    return Grid("s", side, side, tile, overlap, 4096)


def bytes_of(merged: list[MergedRow]) -> list[tuple[bytes, bytes, tuple[str, ...]]]:
    return [(m.geometry.wkb, m.region.wkb, m.tile_ids) for m in merged]


def recovered(merged: list[MergedRow], truth: NDArray[np.object_], iou: float) -> tuple[int, int]:
    """How many true objects were found at that overlap, and how many objects there are."""
    found = to_pixels([m.geometry for m in merged], PLACE)
    a, b = shapely.STRtree(truth).query(found)
    shared = shapely.area(shapely.intersection(found[a], truth[b]))
    together = shapely.area(found[a]) + shapely.area(truth[b]) - shared
    return len(set(b[shared > iou * together])), len(merged)


@pytest.mark.parametrize(("tile", "overlap"), [(224, 56), (224, 16), (448, 64), (128, 32), (200, 0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_exact_object_comes_back_once_and_whole(tile: int, overlap: int, seed: int) -> None:
    truth = drawn_objects(seed)
    tiles = grid(tile, overlap)
    merged = merged_list(seen(truth, tiles), tiles)
    assert recovered(merged, truth, 0.99) == (len(truth), len(truth))
    assert all(m.geometry.is_valid and m.geometry.geom_type == "Polygon" for m in merged)


def test_holes_of_rings_survive_and_those_of_unions_do_not() -> None:
    truth = drawn_objects(0)
    merged = merged_list(seen(truth, grid(128, 32)), grid(128, 32))
    holes = sum(len(t.interiors) for t in truth)
    assert holes > 2
    assert sum(len(m.geometry.interiors) for m in merged) == holes


def test_sloppy_outlines_add_few_objects_and_lose_none() -> None:
    truth = np.array([t for t in drawn_objects(2) if t.area > 300])
    merged = merged_list(seen(truth, grid(224, 56), sloppy=1.0), grid(224, 56))
    found, count = recovered(merged, truth, 0.5)
    assert found >= 0.99 * len(truth)
    assert count <= 1.03 * len(truth)


@settings(deadline=None, max_examples=6)
@given(st.randoms(use_true_random=False))
def test_order_and_repetition_change_no_byte(random: object) -> None:
    tiles = grid(128, 32, 500)
    fragments = seen(drawn_objects(3, 500), tiles)
    expected = bytes_of(merged_list(fragments, tiles))
    shuffled = [*fragments, *fragments[::3]]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bytes_of(merged_list(shuffled, tiles)) == expected


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 10**6), st.sampled_from([(64, 16), (64, 32), (96, 8)]))
def test_any_rectangles_come_back_once(seed: int, tiles: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    cells = [(x, y) for x in range(10, 240, 60) for y in range(10, 240, 60)]
    truth = np.array([
        box(x + a, y + b, x + a + w, y + b + h)
        for (x, y), (a, b), (w, h) in zip(
            cells, rng.uniform(0, 10, (16, 2)), rng.uniform(5, 45, (16, 2)), strict=True
        )
    ])  # fmt: skip
    merged = merged_list(seen(truth, grid(*tiles, 260)), grid(*tiles, 260))
    assert recovered(merged, truth, 0.9)[1] == len(truth)


def test_nothing_merges_to_nothing() -> None:
    assert merged_list([], grid(128, 32)) == []


def at(grid: Grid, row: int, col: int, *shape: float) -> Fragment:
    tile = grid.tile(row, col)
    return fragment(box(*shape), tile, grid)


def test_the_complete_fragment_farthest_from_its_edge_represents_the_object() -> None:
    tiles = grid(100, 40, 220)
    near, far = at(tiles, 0, 0, 62, 20, 80, 40), at(tiles, 0, 1, 63, 20, 80, 41)
    assert near.edge_distance == 20
    assert far.edge_distance == 3
    (merged,) = merged_list([far, near], tiles)
    assert merged.geometry == near.geometry
    assert merged.tile_ids == (near.tile_id,)
    assert (merged.thinking, merged.n_fragments) == (near.tile_id, 1)


def test_a_careless_mask_over_two_objects_swallows_neither() -> None:
    tiles = grid(100, 40, 220)
    careless = at(tiles, 0, 0, 62, 10, 97, 50)
    one, two = at(tiles, 0, 1, 70, 10, 95, 28), at(tiles, 0, 1, 70, 31, 95, 50)
    merged = merged_list([careless, two, one], tiles)
    assert [m.geometry for m in merged] == [one.geometry, two.geometry]


def test_a_truncated_fragment_inside_the_tile_of_a_complete_one_is_suppressed() -> None:
    tiles = grid(100, 40, 220)
    whole, cut = at(tiles, 0, 1, 70, 20, 110, 40), at(tiles, 0, 0, 66, 10, 100, 44)
    assert cut.truncated
    assert not whole.truncated
    (merged,) = merged_list([cut, whole], tiles)
    assert merged.geometry == whole.geometry
    assert merged.tile_ids == (whole.tile_id,)


def test_a_sloppy_truncated_fragment_does_not_glue_neighbours() -> None:
    tiles = grid(100, 40, 220)
    one, two = at(tiles, 0, 1, 70, 10, 110, 28), at(tiles, 0, 1, 70, 31, 110, 50)
    cut = at(tiles, 0, 0, 70, 10, 100, 50)
    merged = merged_list([cut, two, one], tiles)
    assert [m.geometry for m in merged] == [one.geometry, two.geometry]


def test_a_truncated_fragment_leaving_a_complete_ones_tile_is_united_with_it() -> None:
    tiles = grid(100, 40, 220)
    whole, cut = at(tiles, 0, 1, 66, 20, 110, 40), at(tiles, 0, 0, 50, 20, 100, 40)
    (merged,) = merged_list([cut, whole], tiles)
    (outline,) = to_pixels([merged.geometry], PLACE)
    assert outline.symmetric_difference(box(50, 20, 110, 40)).area < 0.01
    assert outline.area == pytest.approx(60 * 20)
    assert merged.tile_ids == (cut.tile_id, whole.tile_id)
    assert merged.thinking == cut.tile_id


def test_a_region_holds_the_boxes_along_the_grids_axes() -> None:
    tiles = grid(100, 40, 220)
    parts = [
        at(tiles, 0, 0, 20, 20, 100, 40),
        at(tiles, 0, 1, 60, 20, 160, 40),
        at(tiles, 0, 2, 120, 20, 180, 40),
    ]
    (merged,) = merged_list(parts, tiles)
    (region,) = to_pixels([merged.region], PLACE)
    assert shapely.equals_exact(region.normalize(), box(20, 20, 180, 40).normalize(), 1e-6)
    assert all(merged.region.buffer(1e-6).covers(part.box) for part in parts)


def test_fragments_of_one_tile_stay_apart_unless_another_tile_joins_them() -> None:
    tiles = grid(100, 40, 220)
    upper, lower = at(tiles, 0, 0, 40, 10, 100, 30), at(tiles, 0, 0, 40, 28, 100, 50)
    assert len(merged_list([upper, lower], tiles)) == 2
    bridge = at(tiles, 0, 1, 60, 10, 160, 50)
    assert len(merged_list([upper, lower, bridge], tiles)) == 1


def test_equal_fragments_of_one_tile_are_one() -> None:
    tiles = grid(100, 40, 220)
    one = at(tiles, 0, 0, 10, 10, 30, 30)
    (merged,) = merged_list([one, replace(one, score=0.5)], tiles)
    assert merged.score == 0.9


def test_a_thousand_pieces_of_one_runway_become_one() -> None:
    long = Grid("s", 60_000, 200, 128, 32, 4096)
    truth = np.array([box(40, 90, 59_950, 110)])
    fragments = seen(truth, long)
    assert len(fragments) > 600
    (merged,) = merged_list(fragments, long)
    (outline,) = to_pixels([merged.geometry], PLACE)
    assert outline.area == pytest.approx(truth[0].area, rel=1e-6)


def test_twenty_thousand_fragments_take_seconds() -> None:
    rng = np.random.default_rng(0)
    side = 7400
    centres = np.stack(np.meshgrid(*[np.arange(40, side - 40, 80)] * 2), axis=-1).reshape(-1, 2)
    radii = rng.uniform(5, 35, len(centres))
    truth = shapely.buffer(shapely.points(centres + rng.uniform(-4, 4, centres.shape)), radii, quad_segs=4)
    tiles = grid(224, 56, side)
    fragments = seen(truth, tiles)
    assert len(fragments) > 20_000
    start = time.process_time()
    merged = merged_list(fragments, tiles)
    assert time.process_time() - start < 10
    assert len(merged) == len(truth)


def test_a_fragment_without_support_counts_only_in_its_own_tiles_core() -> None:
    tiles = grid(224, 56)
    own, foreign = at(tiles, 0, 0, 100, 100, 120, 120), at(tiles, 0, 0, 200, 100, 220, 120)
    assert (own.core_share, foreign.core_share) == (1.0, 0.0)
    assert [row.geometry for row in merged_list([own, foreign], tiles)] == [own.geometry]


def test_a_missing_tile_suppresses_nothing() -> None:
    tiles = grid(224, 56)
    foreign = at(tiles, 0, 0, 200, 100, 220, 120)
    assert merged_list([foreign], tiles) == []
    gap = [tiles.tile(0, 1).window]
    assert [row.geometry for row in merged_list([foreign], tiles, missing=gap)] == [foreign.geometry]
