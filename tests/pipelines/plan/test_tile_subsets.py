"""Claim: a chunk plans any subset of its tiles; only these are read, and the whole keeps its old address."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipelines.inference.infer_chunk import open_chunks
from pipelines.plan.config import JobConfig
from pipelines.plan.plan import Plan, chunk_refs
from pipelines.plan.plan_files import read_plan, write_plan
from pipelines.plan.planning import make_plan
from pipelines.results.check import check_result
from tests.worlds.fixtures import MakeConfig
from tiling.grid import Grid, packed, unpacked
from tiling.storage.store import Store


@st.composite
def wanted_tiles(draw: st.DrawFn) -> tuple[Grid, NDArray[np.bool_]]:
    tile = draw(st.integers(2, 30))
    sizes = [draw(st.integers(1, 120)) for _ in range(2)]
    grid = Grid("s", *sizes, tile, draw(st.integers(0, tile // 2)), draw(st.integers(1, 90)))
    shape = (grid.rows.count, grid.columns.count)
    seed = draw(st.integers(0, 2**16))
    return grid, np.random.default_rng(seed).random(shape) < draw(st.floats(0.0, 1.0))


@given(wanted_tiles())
def test_a_mask_names_its_tiles_and_no_others(case: tuple[Grid, NDArray[np.bool_]]) -> None:
    _, wanted = case
    assert (unpacked(packed(wanted), *wanted.shape) == wanted).all()
    assert (packed(wanted) == b"") == wanted.all()


@given(wanted_tiles())
def test_a_masked_chunk_lists_its_tiles_and_reads_their_hull(case: tuple[Grid, NDArray[np.bool_]]) -> None:
    grid, wanted = case
    listed = []
    for whole in grid.chunks():
        rows, columns = grid.chunk_span(whole.row, whole.col)
        part = wanted[rows.start : rows.stop, columns.start : columns.stop]
        if not part.any():
            continue
        chunk = grid.chunk(whole.row, whole.col, mask=packed(part))
        listed += [tile.tile_id for tile in chunk.tiles]
        windows = [tile.window for tile in chunk.tiles]
        assert chunk.window.x0 == min(window.x0 for window in windows)
        assert chunk.window.y0 == min(window.y0 for window in windows)
        assert chunk.window.x1 == min(max(window.x1 for window in windows), grid.width)
        assert chunk.window.y1 == min(max(window.y1 for window in windows), grid.height)
    meant = [grid.tile(r, c).tile_id for r, c in np.argwhere(wanted).tolist()]
    assert sorted(listed) == sorted(meant)


def test_a_mask_of_other_tiles_is_refused() -> None:
    with pytest.raises(ValueError, match="3 by 7"):
        unpacked(b"\x01", 3, 7)


def thinned(config: JobConfig) -> tuple[Plan, Plan]:
    """The whole plan, and one of which the first scene plans a corner and the second all."""
    plan = make_plan(config)
    first = plan.scenes[0]
    wanted = np.zeros((first.grid.rows.count, first.grid.columns.count), dtype=bool)
    wanted[:2, 0] = True
    kept = chunk_refs(0, first, {"any": "thing"}, wanted=wanted)
    return plan, replace(plan, chunks=(*kept, *plan.chunks_of(1)))


def test_a_plan_of_some_tiles_survives_its_files_and_is_what_is_worked_and_checked(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    config = make_config()
    whole, some = thinned(config)
    store = Store(str(tmp_path / "some"))
    write_plan(store, some)
    assert read_plan(store) == some
    assert some.n_tiles == 2 + sum(ref.n_tiles for ref in whole.chunks_of(1))
    assert some.read_bytes < whole.read_bytes
    tasks = [task for task in open_chunks(some, set()) if task.ref.scene == 0]
    assert sum(len(task.chunk.tiles) for task in tasks) == 2
    assert all(task.chunk.window == ref.window for task, ref in zip(tasks, some.chunks_of(0), strict=True))
    assert any(
        "missing, 2 tiles" in problem or "missing, 1 tiles" in problem
        for problem in check_result(store).problems
    )


def test_the_address_of_a_chunk_covers_its_subset_and_a_full_mask_changes_nothing(
    make_config: MakeConfig,
) -> None:
    plan = make_plan(make_config())
    scene = plan.scenes[0]
    shape = (scene.grid.rows.count, scene.grid.columns.count)
    plain, full = list(chunk_refs(0, scene, {})), list(chunk_refs(0, scene, {}, wanted=np.ones(shape, bool)))
    assert plain == full
    wanted = np.ones(shape, dtype=bool)
    wanted[0, 0] = False
    some = list(chunk_refs(0, scene, {}, wanted=wanted))
    assert some[0].chunk_id != plain[0].chunk_id
    assert some[1:] == plain[1:]
    assert not list(chunk_refs(0, scene, {}, wanted=np.zeros(shape, dtype=bool)))
