"""Claim: cores cover a scene exactly once, whatever its size; none is dropped; chunks partition tiles."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiling.errors import GridError
from tiling.grid import Grid


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    tile = draw(st.integers(1, 40))
    return Grid(
        "scene", draw(st.integers(1, 120)), draw(st.integers(1, 120)), tile, draw(st.integers(0, tile // 2)),
        draw(st.integers(1, 150)),
    )  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(grids())
def test_cores_cover_the_scene_exactly_once(grid: Grid) -> None:
    count = np.zeros((grid.height, grid.width), dtype=int)
    for tile in grid.tiles():
        core = tile.core
        assert core.x0 >= 0
        assert core.y0 >= 0
        assert core.x1 <= grid.width
        assert core.y1 <= grid.height
        count[core.y0 : core.y1, core.x0 : core.x1] += 1
    assert (count == 1).all()


@settings(deadline=None, max_examples=40)
@given(grids())
def test_windows_have_one_size_hold_their_core_and_end_at_the_scene(grid: Grid) -> None:
    for tile in grid.tiles():
        window, core = tile.window, tile.core
        assert window.width == window.height == grid.tile_px
        assert window.x0 <= core.x0
        assert window.y0 <= core.y0
        assert core.x1 <= window.x1
        assert core.y1 <= window.y1
        assert window.x1 <= max(grid.width, grid.tile_px)
        assert window.y1 <= max(grid.height, grid.tile_px)
    assert max(t.window.x1 for t in grid.tiles()) >= grid.width


@settings(deadline=None, max_examples=40)
@given(grids())
def test_neighbours_share_at_least_the_overlap(grid: Grid) -> None:
    tops = sorted({t.window.y0 for t in grid.tiles()})
    assert all(a + grid.tile_px - b >= grid.overlap_px for a, b in pairwise(tops))
    assert len(tops) == len(set(tops)) == grid.rows.count


@settings(deadline=None, max_examples=40)
@given(grids())
def test_chunks_partition_the_tiles_and_hold_their_windows(grid: Grid) -> None:
    chunks = list(grid.chunks())
    ids = [tile.tile_id for chunk in chunks for tile in chunk.tiles]
    assert sorted(ids) == sorted(tile.tile_id for tile in grid.tiles())
    assert len(ids) == len(set(ids)) == grid.n_tiles
    assert len(chunks) == len({(c.row, c.col) for c in chunks}) == grid.n_chunks
    for chunk in chunks:
        assert chunk.window.x1 <= grid.width
        assert chunk.window.y1 <= grid.height
        assert max(chunk.window.width, chunk.window.height) <= max(grid.chunk_px, grid.tile_px)
        for tile in chunk.tiles:
            assert chunk.window.x0 <= tile.window.x0
            assert chunk.window.y0 <= tile.window.y0
            assert min(tile.window.x1, grid.width) <= chunk.window.x1
            assert min(tile.window.y1, grid.height) <= chunk.window.y1


def test_a_tile_is_found_by_its_id_and_by_no_other_text() -> None:
    grid = Grid("a/b", 700, 500, 224, 56, 448)
    assert [grid.find(tile.tile_id) for tile in grid.tiles()] == list(grid.tiles())
    for text in (
        "",
        "a/b",
        "a/b/r0-c0",
        "a/b/r9999-c0000",
        "b/r0000-c0000",
        "a/b/r-001-c0000",
        "a/b/rx-c0000",
    ):
        assert grid.find(text) is None


def test_one_chunk_is_made_without_the_others() -> None:
    grid = Grid("s", 1000, 700, 128, 32, 300)
    assert [grid.chunk(c.row, c.col) for c in grid.chunks()] == list(grid.chunks())
    with pytest.raises(GridError, match="rows"):
        grid.chunk(grid.chunk_rows, 0)


def test_counts_of_a_country_sized_scene_need_no_listing() -> None:
    grid = Grid("big", 2_000_000, 2_000_000, 224, 56, 4096)
    assert grid.n_tiles == 11_905**2
    assert grid.n_chunks == 497**2
    assert next(grid.tiles()).tile_id == "big/r0000-c0000"


@pytest.mark.parametrize("sizes", [(100, 100, 32, 17, 64), (100, 100, 32, -1, 64), (0, 100, 32, 8, 64)])
def test_sizes_that_make_no_grid_are_refused(sizes: tuple[int, int, int, int, int]) -> None:
    with pytest.raises(GridError, match=r"must"):
        Grid("s", *sizes)
