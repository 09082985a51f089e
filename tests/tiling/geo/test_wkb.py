"""Claim: columns of rings hold the bytes that shapely writes."""

import numpy as np
import pyarrow as pa
import shapely
from hypothesis import given
from hypothesis import strategies as st

from tests.tiling.geo.test_polygon_array import shapes_of
from tiling.geo.polygon_array import polygons_from_shapes
from tiling.geo.wkb import line_column, polygon_column, polygons_from_wkb


@given(st.integers(0, 10_000))
def test_polygons_are_written_as_shapely_does(seed: int) -> None:
    shapes = shapes_of(seed)
    assert polygon_column(polygons_from_shapes(shapes)).to_pylist() == shapely.to_wkb(shapes).tolist()


@given(st.integers(0, 10_000), st.booleans())
def test_polygons_are_read_as_shapely_does(seed: int, plain: bool) -> None:
    shapes = shapes_of(seed)
    if plain:
        shapes = shapely.convex_hull(shapes)
    column = pa.array([b"before", *shapely.to_wkb(shapes)], pa.binary())[1:]
    assert shapely.equals_identical(polygons_from_wkb(column).shapes(), shapes).all()


@given(st.integers(0, 10_000))
def test_lines_are_the_rings(seed: int) -> None:
    shapes = shapes_of(seed)
    rings = [
        [ring for part in shapely.get_parts(each) for ring in shapely.get_rings(part)] for each in shapes
    ]
    lines = [shapely.MultiLineString([shapely.get_coordinates(ring) for ring in each]) for each in rings]
    assert line_column(polygons_from_shapes(shapes)).to_pylist() == [line.wkb for line in lines]


def test_no_rings_are_no_rows() -> None:
    none = polygons_from_shapes(np.empty(0, dtype=object))
    assert len(polygon_column(none)) == len(line_column(none)) == 0
    assert len(polygons_from_wkb(pa.array([], pa.binary()))) == 0
