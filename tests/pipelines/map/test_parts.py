"""Sliders, samples and tile archives of the map: every setting's count is exact, and no object is lost."""

import gzip
from pathlib import Path

import geopandas
import numpy as np
import pyogrio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from pipelines.map import objects, page
from pipelines.map.archive import MAP_FOLDER, crowd_zoom, outline_zooms, point_zooms
from pipelines.map.data import counts, filter_edges
from pipelines.map.objects import dot_zooms, sample_sizes, sampled
from pipelines.map.page import write_map
from pipelines.plan.plan_files import read_plan
from tiling.storage.store import Store

Numbers = NDArray[np.float64]


def columns(lowest: float, most: float) -> st.SearchStrategy[Numbers]:
    return arrays.arrays(np.float64, st.integers(1, 40), elements=st.floats(lowest, most))


@given(columns(0.0, 1.0), columns(0.0, 1e9), st.data())
def test_every_setting_of_the_sliders_counts_what_passes_it(
    score: Numbers, area: Numbers, data: st.DataObject
) -> None:
    n = min(len(score), len(area))
    score, area = score[:n].round(4), area[:n].round(2)
    edges = filter_edges(score, area)
    table = counts(score, area, edges)
    assert sum(number for _, _, number in table) == n
    lowest = data.draw(st.integers(0, len(edges.score) - 1))
    low, high = (data.draw(st.integers(0, len(edges.area) - 1)) for _ in range(2))
    passed = (score >= edges.score[lowest]) & (area >= edges.area[low]) & (area < edges.area[high])
    assert sum(number for s, a, number in table if s >= lowest and low <= a < high) == passed.sum()


@given(columns(0.0, 1.0), columns(0.0, 1e9))
def test_the_widest_setting_passes_everything(score: Numbers, area: Numbers) -> None:
    edges = filter_edges(score.round(4), area.round(2))
    assert edges.score[0] <= score.round(4).min()
    assert edges.area[0] <= area.round(2).min()
    assert edges.area[-1] > area.round(2).max()
    assert (np.diff(edges.area) > 0).all()
    assert (np.diff(edges.score) > 0).all()


def test_a_question_without_objects_has_sliders_too() -> None:
    nothing = np.empty(0)
    assert counts(nothing, nothing, filter_edges(nothing, nothing)) == []


def test_a_sample_has_some_of_every_question_and_most_of_the_largest() -> None:
    assert sample_sizes([5, 7]) == [5, 7]
    large, small, tiny = sample_sizes([1_000_000, 1_000, 3])
    assert large > 19_000
    assert small == objects.MIN_PER_QUESTION
    assert tiny == 3


def test_a_sample_is_the_same_whatever_the_order() -> None:
    ids = np.array([f"{value:04x}" for value in np.random.default_rng(0).permutation(500)], dtype=object)
    other = ids[::-1].copy()
    assert set(ids[sampled(ids, 50)]) == set(other[sampled(other, 50)])
    assert len(set(ids[sampled(ids, 50)])) == 50


def squares(number: int, side: float) -> Numbers:
    corner = np.random.default_rng(1).uniform(2.0, 2.5, (number, 2))
    return np.column_stack([corner, corner + side])


def test_no_tile_is_crowded_from_the_stated_zoom() -> None:
    bounds = squares(3000, 1e-4)
    zoom = crowd_zoom(bounds, 100)
    assert crowd_zoom(bounds, 3000) < zoom
    outlines = outline_zooms(bounds)
    assert point_zooms(bounds, outlines).first <= outlines.first <= outlines.last
    assert outline_zooms(squares(100, 1e-5)).first > outline_zooms(squares(100, 1e-3)).first


def test_larger_objects_are_dots_at_lower_zooms_only() -> None:
    small, large = dot_zooms(np.array([[2.0, 50.0, 2.0001, 50.0001], [2.0, 50.0, 2.01, 50.01]]))
    assert large < small
    # An object of 8 screen pixels at zoom 0, where the world has 512.
    assert dot_zooms(np.array([[0.0, 0.0, 360 * 8 / 512, 0.001]])) == pytest.approx(0.0, abs=0.01)


@pytest.fixture
def crowded(whole_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A run with a map that holds only some of its objects."""
    monkeypatch.setattr(page, "MAX_OBJECTS", 10)
    monkeypatch.setattr(objects, "MAX_OBJECTS", 10)
    monkeypatch.setattr(objects, "MIN_PER_QUESTION", 2)
    store = Store(str(whole_copy))
    write_map(store, read_plan(store))
    return store


def test_the_archives_hold_every_object_once(crowded: Store) -> None:
    truth = {
        row.id: row
        for path in (Path(crowded.root) / "objects").rglob("*.parquet")
        for row in geopandas.read_parquet(path).itertuples()
    }
    names = crowded.names(MAP_FOLDER)
    assert [Path(name).name.split("-")[0] for name in names] == ["outlines", "points"]
    for name in names:
        lowest, highest = Path(crowded.path(name)).read_bytes()[100:102]  # PMTiles 3: zooms
        for zoom in range(lowest, highest + 1):
            frame = pyogrio.read_dataframe(crowded.path(name), ZOOM_LEVEL=zoom).drop_duplicates("id")
            assert set(frame["id"]) == set(truth)
            for row in frame.itertuples():
                assert row.thinking == truth[row.id].thinking
                assert row.a == pytest.approx(truth[row.id].area_m2, abs=0.01)


def test_archives_of_the_same_objects_are_kept_and_others_replaced(crowded: Store) -> None:
    before = {name: Path(crowded.path(name)).stat().st_mtime_ns for name in crowded.names(MAP_FOLDER)}
    stray = Path(crowded.path(MAP_FOLDER)) / "outlines-0123456789ab.pmtiles"
    stray.write_bytes(gzip.compress(b"old"))
    write_map(crowded, read_plan(crowded))
    assert {name: Path(crowded.path(name)).stat().st_mtime_ns for name in crowded.names(MAP_FOLDER)} == before


def test_a_map_that_needs_no_archives_leaves_none(crowded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    write_map(crowded, read_plan(crowded))
    assert crowded.names(MAP_FOLDER) == []
