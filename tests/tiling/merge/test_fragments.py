"""Claim: a mask's pieces lie on the ground where its pixels are, and know which edges they touch."""

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from tiling.geo.crs import footprint, to_pixels
from tiling.geo.geobox import WorkingGrid
from tiling.grid import Grid, Window
from tiling.merge.fragments import Fragment, fragments_of

PLACE = (0.5, 0.1, 500_000.0, 0.1, -0.5, 5_000_000.0)
GRID = Grid("s", 150, 100, 64, 16, 4096)
WORK = WorkingGrid("EPSG:32631", PLACE, 150, 100, 1.0, 0.5)


def mask(*rectangles: tuple[int, int, int, int], size: int = 64) -> NDArray[np.float32]:
    probabilities = np.zeros((size, size), dtype=np.float32)
    for x0, y0, x1, y1 in rectangles:
        probabilities[y0:y1, x0:x1] = 1.0
    return probabilities


def see(
    row: int, col: int, *rectangles: tuple[int, int, int, int], box: object = (1, 1, 60, 60)
) -> list[Fragment]:
    return fragments_of(
        mask(*rectangles), box=np.array(box, dtype=np.float64), score=0.8, label="x",
        tile=GRID.tile(row, col), work=WORK, valid_fraction=0.5,
    )  # fmt: skip


def test_a_piece_lies_where_its_pixels_are() -> None:
    (found,) = see(1, 1, (10, 20, 30, 40))
    window = GRID.tile(1, 1).window
    (outline,) = to_pixels([found.geometry], PLACE)
    assert outline.bounds == pytest.approx(
        (window.x0 + 10, window.y0 + 20, window.x0 + 30, window.y0 + 40), abs=0.1
    )
    assert outline.area == pytest.approx(400, rel=0.01)
    (asked,) = to_pixels([found.box], PLACE)
    assert asked.bounds == pytest.approx((window.x0 + 1, window.y0 + 1, window.x0 + 60, window.y0 + 60))
    assert found.tile_id == GRID.tile(1, 1).tile_id
    assert (found.score, found.label, found.valid_fraction) == (0.8, "x", 0.5)
    assert found.tile_id == "s/r0001-c0001"


def test_tile_edges_and_scene_edges_are_distinguished() -> None:
    at_left, at_right = see(0, 0, (0, 20, 12, 30), (55, 20, 64, 30))
    assert (at_left.truncated, at_left.touches_scene_edge) == (False, True)
    assert (at_right.truncated, at_right.touches_scene_edge) == (True, False)
    assert at_right.edge_distance == 0.0
    assert at_left.edge_distance == pytest.approx(34, abs=0.1)
    (alone,) = see(0, 1, (20, 20, 40, 40))
    assert (alone.truncated, alone.touches_scene_edge) == (False, False)
    assert alone.edge_distance == pytest.approx(20, abs=0.1)
    (last,) = see(1, 2, (50, 50, 64, 64))
    assert (last.truncated, last.touches_scene_edge) == (False, True)


def test_every_piece_of_a_mask_is_a_fragment_with_the_same_box() -> None:
    big, small = see(1, 1, (4, 4, 24, 24), (40, 40, 50, 50))
    assert big.geometry.area > small.geometry.area
    assert big.box.equals(small.box)
    assert see(1, 1, (4, 4, 5, 5)) == []
    assert see(1, 1) == []


def test_what_reaches_past_a_small_scene_is_cut_at_its_edge() -> None:
    small = WorkingGrid("EPSG:32631", PLACE, 40, 30, 1.0, 0.5)
    tile = next(Grid("s", 40, 30, 64, 16, 4096).tiles())
    (found,) = fragments_of(
        mask((20, 10, 60, 50)), box=np.array([20.0, 10, 60, 50]), score=1, label="", tile=tile, work=small,
        valid_fraction=0.3,
    )  # fmt: skip
    ground = footprint(Window(0, 0, 40, 30), PLACE)
    (outline, asked) = to_pixels([found.geometry, found.box], PLACE)
    assert outline.bounds[2:] == pytest.approx((40, 30))
    assert asked.bounds == pytest.approx((20, 10, 40, 30))
    assert ground.buffer(1e-6).covers(found.geometry)
    assert (found.truncated, found.touches_scene_edge, found.edge_distance) == (False, True, 64.0)
    outside = fragments_of(
        mask((45, 35, 60, 50)), box=np.array([45.0, 35, 60, 50]), score=1, label="", tile=tile, work=small,
        valid_fraction=0.3,
    )  # fmt: skip
    assert outside == []


def test_a_box_outside_the_scene_is_replaced_by_the_pieces_extent() -> None:
    (found,) = see(1, 2, (10, 10, 30, 30), box=(70, 70, 90, 90))
    (outline, asked) = to_pixels([found.geometry, found.box], PLACE)
    assert shapely.equals_exact(asked, shapely.box(*outline.bounds), 1e-6)


def test_specks_beside_an_object_are_dropped_and_truncated_pieces_kept() -> None:
    (kept,) = see(1, 1, (10, 10, 30, 30), (34, 12, 38, 20))
    (outline,) = to_pixels([kept.geometry], PLACE)
    assert outline.area == pytest.approx(400, rel=0.01)
    assert len(see(1, 1, (10, 10, 30, 30), (34, 10, 40, 20))) == 2, "a tenth or more is a piece"
    big, end = see(1, 1, (10, 10, 30, 30), (60, 12, 64, 20))
    assert (big.truncated, end.truncated) == (False, True)
