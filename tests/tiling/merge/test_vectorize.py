"""Claim: outlines are sub-pixel, keep area and holes, reach the tile's edge exactly and never glue blobs."""

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from tiling.merge.vectorize import outlines


def coverage(shape: shapely.Geometry, height: int = 24, width: int = 24) -> NDArray[np.float32]:
    """Exact share of each pixel that a shape covers, (height, width)."""
    y, x = np.mgrid[:height, :width]
    return shapely.area(shapely.intersection(shapely.box(x, y, x + 1, y + 1), shape)).astype(np.float32)


def square(x: float, y: float, side: float) -> shapely.Polygon:
    return shapely.box(x, y, x + side, y + side)


def disc(x: float, y: float, side: float) -> shapely.Polygon:
    return shapely.Point(x + side / 2, y + side / 2).buffer(side / 2, 64)


def diamond(x: float, y: float, side: float) -> shapely.Polygon:
    h = side / 2
    return shapely.Polygon([(x + h, y), (x + side, y + h), (x + h, y + side), (x, y + h)])


@pytest.mark.parametrize("shape", [square, disc, diamond])
@pytest.mark.parametrize("side", [7, 10, 16])
def test_area_bias_is_under_one_percent(
    shape: Callable[[float, float, float], shapely.Polygon], side: float
) -> None:
    rng = np.random.default_rng(side)
    true = [shape(*rng.uniform(3, 4, 2), side) for _ in range(60)]
    found = [outlines(coverage(t)) for t in true]
    assert all(len(f) == 1 for f in found)
    bias = np.mean([f[0].area / t.area - 1 for f, t in zip(found, true, strict=True)])
    assert abs(bias) < 0.01
    centres = [f[0].centroid.distance(t.centroid) for f, t in zip(found, true, strict=True)]
    assert max(centres) < 0.15


def test_holes_survive_with_their_area() -> None:
    ring = disc(2.3, 2.6, 18).difference(disc(7.3, 7.6, 8))
    (found,) = outlines(coverage(ring))
    assert len(found.interiors) == 1
    assert found.area == pytest.approx(ring.area, rel=0.01)
    assert shapely.Polygon(found.interiors[0]).area == pytest.approx(disc(0, 0, 8).area, rel=0.03)


def test_a_mask_cut_by_the_edge_reaches_it_exactly() -> None:
    (found,) = outlines(coverage(shapely.box(-9, 5.25, 40, 12.75)))
    assert found.bounds[0] == 0.0
    assert found.bounds[2] == 24.0
    assert found.bounds[1] == pytest.approx(5.25, abs=0.1)
    assert found.area == pytest.approx(24 * 7.5, rel=0.01)
    (corner,) = outlines(coverage(shapely.box(11.5, 13.5, 40, 40)))
    assert corner.bounds[2:] == (24.0, 24.0)
    assert corner.area == pytest.approx(12.5 * 10.5, rel=0.01)
    (full,) = outlines(np.ones((5, 7), dtype=np.float32))
    assert full.equals(shapely.box(0, 0, 7, 5))


def test_blobs_two_pixels_apart_stay_two() -> None:
    found = outlines(coverage(shapely.union_all([square(3, 4, 7), square(12, 4, 5)])))
    assert [round(f.area) for f in found] == [49, 25]


def test_small_pieces_are_dropped_and_the_biggest_comes_first() -> None:
    mask = coverage(shapely.union_all([square(2, 2, 3), square(8, 8, 9), square(20, 2, 1.2)]))
    assert [round(f.area) for f in outlines(mask)] == [81, 9]
    assert outlines(np.zeros((9, 9), dtype=np.float32)) == []
    assert outlines(np.full((9, 9), np.nan, dtype=np.float32)) == []


@settings(deadline=None, max_examples=60)
@given(arrays(np.float32, (9, 11), elements=st.floats(0, 1, width=32)))
def test_any_mask_gives_valid_polygons_within_the_image_in_a_fixed_order(mask: NDArray[np.float32]) -> None:
    found = outlines(mask, min_area_px=0.5)
    assert all(f.is_valid and f.geom_type == "Polygon" and f.area >= 0.5 for f in found)
    assert all(shapely.box(0, 0, 11, 9).covers(f) for f in found)
    assert [f.area for f in found] == sorted((f.area for f in found), reverse=True)
    assert shapely.to_wkb(found).tolist() == shapely.to_wkb(outlines(mask, min_area_px=0.5)).tolist()
