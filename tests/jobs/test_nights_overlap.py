"""Claim: nights over scenes that share ground end as a run from nothing, and what stays keeps its id."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pytest
import shapely

from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.results.check import check_result
from pipelines.tables.objects import object_files, read_cell, write_cell
from tests.pipelines.merge.test_partial_seams import NIGHTS as COMES_AND_GOES
from tests.pipelines.merge.test_partial_seams import first_night, row_of
from tests.worlds.nights import changes_in, objects_in
from tests.worlds.practice import World
from tests.worlds.sheets import CASES, made
from tiling.storage.store import Store

TWO = (["older"], ["older", "newer"], ["newer"])
"""A scene takes ground from one, which then leaves its own."""
PLAIN = COMES_AND_GOES[2]
"""Here things of a scene that is not merged anew are said again."""
THREE = (["older", "third"], ["older", "third", "newer"], ["third", "newer"], ["newer"])
"""A scene takes ground from both, then they leave theirs, one after the other."""


def job(world: World, out: Path, scenes: Sequence[str]) -> JobConfig:
    files = [f"{world.folder}/scenes/{name}.tif" for name in scenes]
    return world.config(out, scenes=files, tile=128, overlap=32, chunk=400)


def overlaps(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> list[tuple[str, str, float]]:
    """Ids of every two things of two tables that overlap by half, and by how much."""
    shapes, others = one.geometry.to_numpy(), other.geometry.to_numpy()
    first, second = shapely.STRtree(others).query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes[first], others[second]))
    iou = shared / (shapely.area(shapes[first]) + shapely.area(others[second]) - shared)
    hits = np.flatnonzero(iou >= 0.5)
    return [(one["id"].iloc[first[at]], other["id"].iloc[second[at]], float(iou[at])) for at in hits]


@pytest.mark.parametrize(
    ("case", "nights"), [("pair", TWO), pytest.param("triple", THREE, marks=pytest.mark.slow)]
)
def test_scenes_that_take_and_leave_ground(tmp_path: Path, case: str, nights: Sequence[list[str]]) -> None:
    world, out = made(tmp_path / "world", *CASES[case]), tmp_path / "out"
    before: gpd.GeoDataFrame | None = None
    for number, scenes in enumerate(nights):
        date = f"2026-11-2{number}"
        run_nightly(job(world, out, scenes), date=date)
        run_job(job(world, tmp_path / f"fresh-{number}", scenes))
        fresh, now = objects_in(tmp_path / f"fresh-{number}"), objects_in(out)
        assert now.drop(columns=["id"]).map(repr).equals(fresh.drop(columns=["id"]).map(repr))
        assert now["id"].is_unique
        assert check_result(Store(str(out))).problems == ()
        if before is not None:
            assert_kept(before, now, changes_in(out, date))
        before = now


def assert_kept(before: gpd.GeoDataFrame, now: gpd.GeoDataFrame, changes: gpd.GeoDataFrame) -> None:
    """Every thing with one counterpart has its id, and the table is the difference of both states."""
    pairs = overlaps(before, now)
    assert len(pairs) > 20
    assert all(old == new for old, new, _ in pairs)
    old, new = before.set_index("id").geometry, now.set_index("id").geometry
    told = {kind: set(changes[changes["change"] == kind]["id"]) for kind in set(changes["change"])}
    assert told.get("appeared", set()) == set(new.index) - set(old.index)
    assert told.get("disappeared", set()) == set(old.index) - set(new.index)
    both = set(new.index) & set(old.index)
    assert told.get("changed", set()) == {name for name in both if new[name] != old[name]}


def with_old_ids(out: Path) -> None:
    """Give every published object an id that is not that of its place, as after many nights."""
    store = Store(str(out))
    for name in object_files(store):
        query_id, cell = (part.split("=")[1] for part in name.split("/")[1:3])
        rows = read_cell(store, query_id, cell)
        kept = pa.array([f"kept-{own}" for own in rows.column("id").to_pylist()], pa.string())
        write_cell(store, query_id, cell, rows.set_column(rows.column_names.index("id"), "id", kept))


@pytest.mark.parametrize(
    "numbers",
    [pytest.param(each, marks=[] if each == PLAIN else pytest.mark.slow) for each in COMES_AND_GOES],
)
def test_kept_ids_live_on_beside_scenes_that_come_and_go(
    tmp_path: Path, numbers: tuple[list[int], list[int]]
) -> None:
    row, out = row_of(tmp_path / "world", strips=False), tmp_path / "out"
    first_night(row, out, numbers[0])
    with_old_ids(out)
    before = objects_in(out)
    run_nightly(row.config(out, numbers[1]), date="2026-11-25")
    first_night(row, tmp_path / "fresh", numbers[1])
    fresh, now = objects_in(tmp_path / "fresh"), objects_in(out)
    assert now.drop(columns=["id"]).map(repr).equals(fresh.drop(columns=["id"]).map(repr))
    assert now["id"].is_unique
    old = dict(zip(shapely.to_wkb(before.geometry.to_numpy()), before["id"], strict=True))
    new = dict(zip(shapely.to_wkb(now.geometry.to_numpy()), now["id"], strict=True))
    both = old.keys() & new.keys()
    assert {shape: new[shape] for shape in both} == {shape: old[shape] for shape in both}
    assert len(both) > 5 or not set(numbers[0]) & set(numbers[1])
