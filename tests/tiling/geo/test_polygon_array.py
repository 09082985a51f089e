"""Claim: rings are the shapes they came from, and what is measured on them is what shapely measures."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tiling.geo.polygon_array import (
    bounds_of,
    centroids,
    contain,
    long_edged,
    oriented,
    polygons_from_shapes,
    ring_areas,
    shape_sums,
    with_replaced,
)


def shapes_of(seed: int, count: int = 30) -> NDArray[np.object_]:
    """Polygons, some with holes, some of several parts, in any orientation."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(count):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 12)))
        ring = np.column_stack((np.cos(angles), np.sin(angles))) * rng.uniform(6, 20, (len(angles), 1))
        shape = shapely.make_valid(shapely.Polygon(ring + rng.uniform(-50, 50, 2)))
        if number % 3 == 0:
            shape = shape.difference(shape.centroid.buffer(2))
        if number % 5 == 0:
            shape = shape.union(shapely.affinity.translate(shape, 60, 10))
        if number % 2:
            shape = shape.reverse()
        found.append(shape)
    return np.array([each for each in found if each.geom_type.endswith("Polygon")], dtype=object)


seeds = st.integers(0, 10_000)


@given(seeds)
def test_rings_are_the_shapes(seed: int) -> None:
    shapes = shapes_of(seed)
    rings = polygons_from_shapes(shapes)
    assert len(rings) == len(shapes)
    assert shapely.equals_identical(rings.shapes(), shapes).all()
    order = np.random.default_rng(seed).permutation(len(shapes))[: len(shapes) // 2]
    assert shapely.equals_identical(rings.take(order).shapes(), shapes[order]).all()
    assert {each.geom_type for each in shapes} == {"Polygon", "MultiPolygon"}


@settings(deadline=None)
@given(seeds)
def test_measures_are_those_of_shapely(seed: int) -> None:
    shapes = shapes_of(seed)
    rings = polygons_from_shapes(shapes)
    rng = np.random.default_rng(seed)
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    assert np.allclose(bounds_of(rings), shapely.bounds(shapes), atol=0)
    assert np.allclose(centroids(rings), middles, atol=1e-9)
    assert np.allclose(shape_sums(rings, ring_areas(rings)), shapely.area(shapes), atol=1e-9)
    points = middles + rng.normal(0, 6, middles.shape)
    assert contain(rings, points).tolist() == shapely.contains_xy(shapes, *points.T).tolist()


@given(seeds)
def test_orientation_is_shapelys(seed: int) -> None:
    shapes = shapes_of(seed)
    turned = oriented(polygons_from_shapes(shapes)).shapes()
    assert shapely.equals_identical(turned, shapely.orient_polygons(shapes)).all()


@given(seeds)
def test_long_edges_are_found(seed: int) -> None:
    shapes = shapes_of(seed)
    found = long_edged(polygons_from_shapes(shapes), 20.0)
    rings = [
        [ring for part in shapely.get_parts(each) for ring in shapely.get_rings(part)] for each in shapes
    ]
    edges = [[np.diff(shapely.get_coordinates(ring), axis=0) for ring in each] for each in rings]
    longest = [max(np.hypot(*edge.T).max() for edge in each) for each in edges]
    assert found.tolist() == [length > 20.0 for length in longest]


def test_some_shapes_are_replaced_in_their_places() -> None:
    shapes, others = shapes_of(1), shapes_of(2)[:2]
    both = with_replaced(
        polygons_from_shapes(shapes), np.array([3, 0]), polygons_from_shapes(others)
    ).shapes()
    shapes[[3, 0]] = others
    assert shapely.equals_identical(both, shapes).all()


def test_no_shapes_are_no_rings() -> None:
    none = polygons_from_shapes(np.empty(0, dtype=object))
    assert len(none) == 0
    assert len(none.shapes()) == 0
