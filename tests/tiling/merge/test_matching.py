"""Claim: bounds only save work: what matches is what cutting every pair out of one another would say."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tiling.geo.polygon_array import polygons_from_shapes
from tiling.geo.polygons import snapped
from tiling.merge.matching import Matches, matches_between, matches_within, outlines_of

TAU = 0.5


def scattered(seed: int, overlap: int) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Uneven shapes seen in four tiles, neighbours among them that only touch, and the tiles."""
    rng = np.random.default_rng(seed)
    step = 100 - overlap
    tiles = np.array([(x, y, x + 100, y + 100) for y in (0, step) for x in (0, step)])
    shapes, owner = [], []
    for _ in range(25):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
        ring = np.column_stack((np.cos(angles), np.sin(angles))) * rng.uniform(4, 26, (7, 1))
        polygon = shapely.make_valid(shapely.Polygon(ring + rng.uniform(0, 100 + step, 2)))
        shapes += [polygon, shapely.affinity.translate(polygon, xoff=np.ptp(polygon.bounds[::2]))]
    seen = []
    for number, tile in enumerate(tiles):
        moved = [shapely.affinity.translate(shape, *rng.normal(0, 1.5, 2)) for shape in shapes]
        parts = shapely.get_parts(shapely.intersection(np.array(moved), shapely.box(*tile)))
        kept = [part for part in parts if part.geom_type == "Polygon" and part.area > 2]
        seen += kept
        owner += [number] * len(kept)
    return np.array(seen, dtype=object), tiles[owner]


def brute(shapes: NDArray[np.object_], tiles: NDArray[np.int64]) -> set[tuple[int, int]]:
    found = set()
    for a in range(len(shapes)):
        for b in range(a + 1, len(shapes)):
            if (tiles[a] == tiles[b]).all() or not shapes[a].intersects(shapes[b]):
                continue
            strip = shapely.intersection(shapely.box(*tiles[a]), shapely.box(*tiles[b]))
            size = shapely.area if strip.area > 0 else shapely.length
            shared = size(shapes[a].intersection(shapes[b]))
            smallest = min(size(shapes[each].intersection(strip)) for each in (a, b))
            if shared > 0 and shared >= TAU * smallest:
                found.add((a, b))
    return found


def as_pairs(matches: Matches) -> set[tuple[int, int]]:
    return set(zip(matches.first.tolist(), matches.second.tolist(), strict=True))


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([20, 40, 0]))
def test_pairs_are_those_of_cutting_everything(seed: int, overlap: int) -> None:
    shapes, tiles = scattered(seed, overlap)
    outlines = outlines_of(polygons_from_shapes(shapes), tiles)
    expected = brute(snapped(shapes), tiles)
    assert as_pairs(matches_within(outlines, tau=TAU)) == expected
    assert len(expected) > (5 if overlap else -1)


def test_pairs_between_parts_are_those_within_both_that_cross() -> None:
    shapes, tiles = scattered(3, 40)
    rings = polygons_from_shapes(shapes)
    left = (tiles[:, 0] == 0).nonzero()[0]
    right = (tiles[:, 0] > 0).nonzero()[0]
    within = matches_within(outlines_of(rings, tiles), tau=TAU)
    parts = (outlines_of(rings.take(each), tiles[each]) for each in (left, right))
    across = matches_between(*parts, tau=TAU)
    found = {tuple(sorted((int(left[a]), int(right[b])))) for a, b in as_pairs(across)}
    assert found == {pair for pair in as_pairs(within) if tiles[pair[0], 0] != tiles[pair[1], 0]}
    assert found


def test_matches_state_which_outline_lies_inside_the_others_tile() -> None:
    tiles = np.array([(0, 0, 100, 100), (60, 0, 160, 100)])
    shapes = np.array([shapely.box(55, 10, 100, 40), shapely.box(65, 10, 120, 40)], dtype=object)
    found = matches_within(outlines_of(polygons_from_shapes(shapes), tiles), tau=TAU)
    assert (found.first_inside.tolist(), found.second_inside.tolist()) == ([False], [False])
    shapes[0] = shapely.box(60, 10, 100, 40)
    found = matches_within(outlines_of(polygons_from_shapes(shapes), tiles), tau=TAU)
    assert (found.first_inside.tolist(), found.second_inside.tolist()) == ([True], [False])


def test_nothing_matches_nothing() -> None:
    none = outlines_of(polygons_from_shapes(np.empty(0, dtype=object)), np.empty((0, 4), dtype=np.int64))
    assert as_pairs(matches_within(none, tau=TAU)) == set()
    assert as_pairs(matches_between(none, none, tau=TAU)) == set()


@pytest.mark.parametrize("gap", [0.0, 1e-9])
def test_walls_in_common_are_no_match(gap: float) -> None:
    tiles = np.array([(0, 0, 100, 100), (60, 0, 160, 100)])
    shapes = np.array([shapely.box(70, 10, 80, 40), shapely.box(80 - gap, 10, 90, 40)], dtype=object)
    outlines = outlines_of(polygons_from_shapes(shapes), tiles)
    assert as_pairs(matches_within(outlines, tau=TAU)) == set()
