"""Claim: what shapes have in common with boxes and with one another is what shapely cuts out of them."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.tiling.geo.test_polygon_array import shapes_of
from tiling.geo import common_areas
from tiling.geo.common_areas import EDGE_PAIRS, areas_in_boxes, shared_areas
from tiling.geo.polygon_array import polygons_from_shapes

FAR = np.array([3e5, -1e5])
seeds = st.integers(0, 10_000)


def pairs_of(seed: int) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Shapes with holes and parts, each near another one; the last ones with itself, and with many edges."""
    rng = np.random.default_rng(seed)
    one = shapes_of(seed)
    other = one[rng.permutation(len(one))]
    ways = shapely.bounds(one)[:, :2] - shapely.bounds(other)[:, :2] + rng.normal(0, 8, (len(one), 2))
    near = [shapely.affinity.translate(shape, *way) for shape, way in zip(other, ways, strict=True)]
    disc = shapely.Point(0, 0).buffer(15, 64)
    ends = np.array([one[0], disc, disc], dtype=object)
    return np.concatenate((one, ends)), np.concatenate((near, [one[0], one[1], disc]))


@settings(deadline=None)
@given(seeds)
def test_what_pairs_share_is_what_is_cut_out_of_both(seed: int) -> None:
    one, other = (shapely.transform(each, lambda p: p + FAR) for each in pairs_of(seed))
    shared = shapely.area(shapely.intersection(one, other))
    found = shared_areas(polygons_from_shapes(one), polygons_from_shapes(other))
    assert np.allclose(found, shared, rtol=0, atol=1e-6)
    assert (shared > 1).any()
    assert (shapely.get_num_coordinates(one) ** 2 > EDGE_PAIRS).any()


@pytest.mark.parametrize("turn", [0, 1])
def test_neither_order_nor_direction_matters(turn: int) -> None:
    one, other = pairs_of(5)
    there, back = (polygons_from_shapes(shapely.reverse(each) if turn else each) for each in (one, other))
    forth = shared_areas(there, back)
    assert np.allclose(shared_areas(back, there), forth, rtol=0, atol=1e-9)


def test_boxes_side_by_side_share_nothing_and_equal_ones_everything() -> None:
    boxes = polygons_from_shapes(np.array([shapely.box(0, 0, 2, 3), shapely.box(0, 0, 2, 3)], dtype=object))
    others = polygons_from_shapes(np.array([shapely.box(2, 0, 4, 3), shapely.box(0, 0, 2, 3)], dtype=object))
    assert shared_areas(boxes, others).tolist() == [0.0, 6.0]


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = map(polygons_from_shapes, pairs_of(3))
    whole = shared_areas(one, other)
    monkeypatch.setattr(common_areas, "_BATCH", 200)
    assert shared_areas(one, other).tolist() == whole.tolist()


@settings(deadline=None)
@given(seeds)
def test_areas_in_boxes_are_those_of_shapely(seed: int) -> None:
    shapes = shapes_of(seed)
    rng = np.random.default_rng(seed)
    low = shapely.bounds(shapes)[:, :2] + rng.uniform(-5, 15, (len(shapes), 2))
    boxes = np.hstack((low, low + rng.uniform(0, 30, (len(shapes), 2))))
    cut = shapely.area(shapely.intersection(shapes, shapely.box(*boxes.T)))
    assert np.allclose(areas_in_boxes(polygons_from_shapes(shapes), boxes), cut, atol=1e-6)


def test_no_pairs_share_nothing() -> None:
    none = polygons_from_shapes(np.empty(0, dtype=object))
    assert shared_areas(none, none).tolist() == []
