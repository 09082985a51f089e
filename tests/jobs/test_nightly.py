"""A night does only what is new, changed or gone, ends as a run from nothing would, and says what changed."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import shapely

from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.plan.models import ModelRecipe
from pipelines.plan.plan_files import read_plan
from pipelines.progress import ChunkDone, Event
from pipelines.results.check import check_result
from pipelines.tables.ledger import committed
from tests.worlds.fixtures import file_bytes
from tests.worlds.nights import (
    Sky,
    changes_in,
    counted_calls,
    draw_archive,
    moved,
    objects_in,
    one_model,
    scene_name,
)
from tiling.storage.store import Store

NIGHT_1, NIGHT_2, NIGHT_3 = "2026-11-23", "2026-11-24", "2026-11-25"
ZONES = 8
SIZES = {"tile": 192, "chunk": 200}
REMOVED, NEW = 13, (40, 41)
SHIFT = 0.04
"""Share of its width by which a thing moves; a slanting slim one still overlaps itself by half."""


@dataclass(frozen=True)
class Nights:
    """Forty scenes, brought up to date twice; tests must not write into it."""

    sky: Sky
    kinds: list[str]
    replaced: int
    """Number of the scene in whose place another file lies."""
    out: Path
    before: gpd.GeoDataFrame
    """Objects after the first night."""
    first_files: dict[str, tuple[int, int]]
    """Inode and modification time of the object files then."""
    edited: gpd.GeoDataFrame
    """True things of the replaced scene before the second night, with what became of them."""
    done: list[ChunkDone]
    """Chunks of the second night."""
    asked: list[str]
    """Questions of the second night, one for each tile."""


def edited(truth: gpd.GeoDataFrame, kinds: list[str]) -> gpd.GeoDataFrame:
    """Of each kind in turn a thing goes, the next moves, the rest stay."""
    fate = truth["kind"].where(truth["kind"].isin(kinds)).groupby(truth["kind"]).cumcount()
    return truth.assign(fate=np.array(["goes", "moves", "stays"])[np.minimum(fate.fillna(2), 2).astype(int)])


def replaced_truth(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The scene's truth after its things met their fates."""
    left = table[table["fate"] != "goes"].copy()
    move = left["fate"] == "moves"
    shapes = [moved(shape, SHIFT) if go else shape for shape, go in zip(left.geometry, move, strict=True)]
    return left.set_geometry(gpd.GeoSeries(shapes, index=left.index, crs=left.crs)).drop(columns="fate")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("archive"), scenes=42, zones=ZONES, density=4.0)


@pytest.fixture(autouse=True)
def same_model() -> Iterator[None]:
    with one_model():
        yield


@pytest.fixture(scope="module")
def nights(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Nights:
    folder = tmp_path_factory.mktemp("nights")
    sky, out = Sky(archive, folder / "sky"), folder / "out"
    with one_model():
        sky.add(*range(40))
        kinds = sky.commonest(2)
        run_nightly(sky.config(out, kinds, **SIZES), date=NIGHT_1)
        before, first_files = objects_in(out), marks(out)
        replaced = richest(sky, kinds)
        fates = edited(sky.truth[scene_name(replaced)], kinds)
        sky.add(*NEW)
        sky.remove(REMOVED)
        sky.replace(replaced, lambda _: replaced_truth(fates))
        done: list[ChunkDone] = []

        def listen(event: Event) -> None:
            if isinstance(event, ChunkDone):
                done.append(event)

        with counted_calls() as asked:
            run_nightly(sky.config(out, kinds, **SIZES), date=NIGHT_2, listener=listen)
    return Nights(sky, kinds, replaced, out, before, first_files, fates, done, list(asked))


def richest(sky: Sky, kinds: list[str]) -> int:
    """The scene that stays with the most things of the kind it has least of."""
    counts = [
        min(int((sky.truth[scene_name(number)]["kind"] == kind).sum()) for kind in kinds)
        if number != REMOVED
        else 0
        for number in range(40)
    ]
    assert max(counts) > 2
    return counts.index(max(counts))


@pytest.fixture
def copy(nights: Nights, tmp_path: Path) -> Nights:
    """The same result to write into, at a place of its own."""
    out = Path(shutil.copytree(nights.out, tmp_path / "out"))
    return Nights(nights.sky, nights.kinds, nights.replaced, out, nights.before, {}, nights.edited, [], [])


def marks(out: Path) -> dict[str, tuple[int, int]]:
    files = {path: path.stat() for path in (out / "objects").rglob("*.parquet")}
    return {str(path.relative_to(out)): (s.st_ino, s.st_mtime_ns) for path, s in files.items()}


def test_a_night_runs_the_chunks_of_new_and_replaced_scenes_and_no_other(nights: Nights) -> None:
    plan = read_plan(Store(str(nights.out)))
    touched = {scene_name(number) for number in (*NEW, nights.replaced)}
    expected = Counter(
        plan.scenes[ref.scene].scene.scene_id
        for ref in plan.chunks
        if plan.scenes[ref.scene].scene.scene_id in touched
    )
    assert Counter(done.scene_id for done in nights.done) == expected
    assert min(expected.values()) > 1
    n_tiles = sum(done.n_tiles for done in nights.done)
    assert len(nights.asked) == n_tiles * len(nights.kinds)
    assert n_tiles < plan.n_tiles / 10


def test_it_writes_only_the_cells_these_scenes_lie_or_lay_in(nights: Nights) -> None:
    now = marks(nights.out)
    rewritten = {name for name, mark in nights.first_files.items() if now.get(name) != mark}
    cells = {name.split("cell=")[1][:6] for name in rewritten}
    zones = {number % ZONES for number in (*NEW, nights.replaced, REMOVED)}
    every = {name.split("cell=")[1][:6] for name in nights.first_files}
    assert (len(cells), len(every)) == (len(zones), ZONES)
    assert {name.split("cell=")[1][:6] for name in now} == every


def test_it_gives_the_objects_of_a_run_from_nothing_but_for_kept_ids(nights: Nights, tmp_path: Path) -> None:
    run_job(nights.sky.config(tmp_path / "fresh", nights.kinds, **SIZES))
    fresh, now = objects_in(tmp_path / "fresh"), objects_in(nights.out)
    assert len(now) == len(fresh) > 100
    for column in set(fresh.columns) - {"id"}:
        assert same_values(now[column], fresh[column]), column
    elsewhere = ~now["scene_ids"].map(lambda names: scene_name(nights.replaced) in names)
    assert (now["id"] == fresh["id"])[elsewhere].all()
    other = now[now["id"] != fresh["id"]]
    moves = nights.edited[(nights.edited["fate"] == "moves") & nights.edited["kind"].isin(nights.kinds)]
    assert len(other) == len(moves) == len(nights.kinds)
    for found in other.itertuples():
        (was,) = nights.before[nights.before["id"] == found.id].itertuples()
        assert was.query_id == found.query_id
        assert 0.5 <= overlap(was.geometry, found.geometry) < 1
    assert now["id"].is_unique


def same_values(one: pd.Series, other: pd.Series) -> bool:
    if isinstance(one, gpd.GeoSeries):
        return bool(shapely.equals_exact(one.to_numpy(), other.to_numpy()).all())
    return [repr(value) for value in one] == [repr(value) for value in other]


def overlap(one: shapely.Geometry, other: shapely.Geometry) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def test_the_change_table_is_the_generators_truth(nights: Nights) -> None:
    table = changes_in(nights.out, NIGHT_2)
    known = gpd.read_parquet(nights.sky.archive / "truth.parquet")
    known = known[known["kind"].isin(nights.kinds)]
    fates = nights.edited[nights.edited["kind"].isin(nights.kinds)]
    came = known[known["scene_id"].isin([scene_name(number) for number in NEW])].geometry
    went = [
        *known[known["scene_id"] == scene_name(REMOVED)].geometry,
        *fates[fates["fate"] == "goes"].geometry,
    ]
    shifted = list(fates[fates["fate"] == "moves"].geometry)
    assert min(len(came), len(went), len(shifted)) > 1
    assert_same_things(table[table["change"] == "appeared"].geometry, came)
    assert_same_things(table[table["change"] == "disappeared"].geometry, went)
    changed = table[table["change"] == "changed"]
    assert_same_things(changed["before"], shifted)
    assert_same_things(changed["after"], [moved(shape, SHIFT) for shape in shifted])
    assert len(table) == len(came) + len(went) + len(shifted)


def assert_same_things(found: object, true: object) -> None:
    """One found thing over each true one, at an overlap of 0.9, and none else."""
    left = list(found)  # type: ignore[call-overload]
    for shape in true:  # type: ignore[attr-defined]
        best = max(range(len(left)), key=lambda at, shape=shape: overlap(left[at], shape), default=None)
        assert best is not None
        assert overlap(left[best], shape) > 0.9
        del left[best]
    assert left == []


def test_a_changed_row_holds_both_sides_and_the_others_the_one_they_have(nights: Nights) -> None:
    table = changes_in(nights.out, NIGHT_2).set_index("change")
    boxes = boxes_of(nights.out / "changes" / f"date={NIGHT_2}" / "changes.parquet")
    now = objects_in(nights.out).set_index("id")
    for row in table.loc[["changed"]].itertuples():
        assert row.geometry == row.after == now.loc[row.id].geometry
        assert row.area_m2_after == now.loc[row.id].area_m2
        assert abs(row.iou - overlap(row.before, row.after)) < 1e-9
        assert tuple(boxes[row.id].values()) == row.geometry.bounds
        assert list(row.scene_ids_before) == list(row.scene_ids_after) == [scene_name(nights.replaced)]
    for row in table.loc[["appeared"]].itertuples():
        assert (row.before, row.iou) == (None, None) or np.isnan(row.iou)
        assert row.id in now.index
    for row in table.loc[["disappeared"]].itertuples():
        assert row.after is None
        assert row.geometry == row.before
        assert row.id not in now.index


def boxes_of(path: Path) -> dict[str, dict[str, float]]:
    table = pq.read_table(path, columns=["id", "bbox"])
    return dict(zip(table.column("id").to_pylist(), table.column("bbox").to_pylist(), strict=True))


def test_every_cell_keeps_an_item_that_fits_its_file(nights: Nights) -> None:
    cells = [path for path in nights.out.rglob("objects.parquet") if "cell=0/" not in str(path)]
    assert {path.parent for path in nights.out.rglob("_item.json")} == {path.parent for path in cells}
    for path in cells:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest in path.with_name("_item.json").read_text("utf-8")


def test_nothing_of_the_night_is_left_over_and_the_result_is_whole(nights: Nights) -> None:
    store = Store(str(nights.out))
    plan = read_plan(store)
    planned = {(query.id, ref.chunk_id) for query in plan.queries for ref in plan.chunks}
    assert committed(store) == planned
    assert sorted(path.name for path in nights.out.iterdir()) == [
        "answers", "changes", "collection.json", "job.json", "objects", "plan",
    ]  # fmt: skip
    report = check_result(store)
    assert (report.complete, report.valid, report.problems) == (True, True, ())


def test_a_night_with_nothing_new_asks_no_model_and_again_touches_no_file(
    copy: Nights, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: ModelRecipe) -> object:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(ModelRecipe, "load_reasoner", load)
    monkeypatch.setattr(ModelRecipe, "load_segmenter", load)
    before = file_bytes(copy.out)
    config = copy.sky.config(copy.out, copy.kinds, **SIZES, engine="ray")
    report = run_nightly(config, date=NIGHT_3)
    assert (report.chunks_done, report.files_written, report.appeared) == (0, 0, 0)
    assert report.seconds < 5
    after = file_bytes(copy.out)
    assert {name for name in after if after[name] != before.get(name)} == {
        "collection.json",
        f"changes/date={NIGHT_3}/changes.parquet",
    }
    assert len(changes_in(copy.out, NIGHT_3)) == 0
    times = {path: path.stat().st_mtime_ns for path in copy.out.rglob("*") if path.is_file()}
    assert run_nightly(config, date=NIGHT_3).chunks_done == 0
    assert run_nightly(config, date=NIGHT_2).disappeared == len(
        changes_in(copy.out, NIGHT_2).query("change == 'disappeared'")
    )
    assert {path: path.stat().st_mtime_ns for path in copy.out.rglob("*") if path.is_file()} == times
