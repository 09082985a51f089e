"""Claim: an object holds what its fragments say together, however many they are and in whatever runs."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from tests.worlds.truth import drawn_objects, fragment, listed, merged_list, merged_objects, seen
from tiling.geo.crs import to_pixels
from tiling.geo.groups import Ragged
from tiling.grid import Grid
from tiling.merge import objects as module
from tiling.merge.objects import RUN, concat_objects, cut_into_runs

PLACE = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_000_000.0)
GRID = Grid("s", 500, 500, 128, 32, 4096)


def test_objects_name_their_fragments() -> None:
    found = merged_objects(seen(drawn_objects(0, 500), GRID, PLACE), GRID, PLACE)
    rows = listed(found)
    assert all(row.n_fragments >= 1 and row.tile_ids == tuple(sorted(set(row.tile_ids))) for row in rows)
    assert max(row.n_fragments for row in rows) > 4
    assert set(found.label) == {"thing"}
    assert set(found.touches_scene_edge.tolist()) == {True, False}


def test_the_valid_fraction_is_the_minimum_of_the_fragments() -> None:
    parts = [
        replace(fragment(shapely.box(20, 20, 128, 40), GRID.tile(0, 0), GRID, PLACE), valid_fraction=0.4),
        fragment(shapely.box(96, 20, 200, 40), GRID.tile(0, 1), GRID, PLACE),
    ]
    found = merged_objects(parts, GRID, PLACE)
    assert found.valid_fraction.tolist() == [0.4]
    assert found.n_fragments.tolist() == [2]


def test_taking_all_in_parts_gives_all() -> None:
    found = merged_objects(seen(drawn_objects(0, 500), GRID, PLACE), GRID, PLACE)
    halves = concat_objects([found.take(np.arange(9)), found.take(np.arange(9, len(found)))])
    assert listed(halves) == listed(found)


@pytest.mark.parametrize("count", [1, RUN, RUN + 1, 2 * RUN, 3 * RUN + 7])
def test_runs_hold_every_member_once_in_order(count: int) -> None:
    groups = Ragged(np.arange(count + 2), np.array([0, 1, count + 1, count + 2]))
    pieces, regrouped = cut_into_runs(groups)
    assert pieces.values.tolist() == groups.values.tolist()
    assert pieces.lengths.max() <= RUN
    assert [sum(pieces.lengths[each]) for each in regrouped] == groups.lengths.tolist()


def test_a_long_object_united_in_runs_is_the_object(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Grid("s", 12_000, 200, 128, 32, 4096)
    fragments = seen(np.array([shapely.box(40, 90, 11_950, 110)]), long)
    (whole,) = merged_list(fragments, long)
    monkeypatch.setattr(module, "RUN", 5)
    (piecewise,) = merged_list(fragments, long)
    assert len(fragments) > 100
    assert piecewise.tile_ids == whole.tile_ids
    assert (piecewise.n_fragments, piecewise.thinking) == (whole.n_fragments, whole.thinking)
    one, other = to_pixels([whole.geometry, piecewise.geometry], PLACE)
    assert shapely.symmetric_difference(one, other).area < 1
