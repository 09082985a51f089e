"""Every place falls in one cell, cells hold a bounded number of objects, and the choice is made once."""

from pathlib import Path

import mercantile
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tables.cells import (
    CELL_BYTES,
    MAX_ZOOM,
    MIN_ZOOM,
    cell_bounds,
    cell_points,
    choose_zoom,
    frozen_zoom,
    quadkeys,
)
from tiling.geo.polygon_array import bounds_of, polygons_from_shapes
from tiling.storage.store import Store

places = st.tuples(st.floats(-180, 180), st.floats(-84.9, 84.9))


@given(places, st.integers(MIN_ZOOM, MAX_ZOOM))
def test_a_place_lies_in_its_cell_at_every_zoom(place: tuple[float, float], zoom: int) -> None:
    (key,) = quadkeys(np.array([place]))
    west, south, east, north = cell_bounds(key[:zoom])
    assert len(key) == MAX_ZOOM
    assert west - 1e-9 <= place[0] <= east + 1e-9
    assert south - 1e-9 <= place[1] <= north + 1e-9


def test_the_poles_have_a_cell() -> None:
    assert len(set(quadkeys(np.array([(0.0, 90.0), (0.0, -90.0)])))) == 2


@given(places)
def test_cells_are_those_of_the_common_scheme(place: tuple[float, float]) -> None:
    tile = mercantile.tile(*place, MAX_ZOOM)
    borders = np.array(mercantile.bounds(tile)).reshape(2, 2)
    if np.abs(borders - place).min() > 1e-9:  # on a border rounding decides
        assert quadkeys(np.array([place]))[0] == mercantile.quadkey(tile)


def test_the_point_of_a_hollow_shape_lies_inside_it() -> None:
    ring = shapely.Point(5, 50).buffer(1).difference(shapely.Point(5, 50).buffer(0.9))
    disc = shapely.Point(6, 50).buffer(0.1)
    rings = polygons_from_shapes(np.array([ring, disc], dtype=object))
    places = cell_points(rings, bounds_of(rings))
    assert shapely.contains_xy(ring, *places.points[0])
    assert places.points[1].tolist() == pytest.approx([6, 50])


def test_crowded_cells_are_split_until_they_hold_little_enough() -> None:
    crowd = {
        "1" * MIN_ZOOM + f"{i}{j}".ljust(MAX_ZOOM - MIN_ZOOM, "0"): CELL_BYTES // 2
        for i in range(4)
        for j in range(4)
    }
    zoom = choose_zoom(crowd)
    assert zoom == MIN_ZOOM + 2
    assert choose_zoom({}) == MIN_ZOOM
    assert choose_zoom({"0" * MAX_ZOOM: 10 * CELL_BYTES}) == MAX_ZOOM


def test_the_zoom_is_frozen_at_the_first_merge(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert frozen_zoom(store, {}) == MIN_ZOOM
    assert frozen_zoom(store, {"0" * MAX_ZOOM: 10 * CELL_BYTES}) == MIN_ZOOM
