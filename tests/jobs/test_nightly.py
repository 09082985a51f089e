"""An update processes only what is new, changed or gone, equals a fresh run, and lists what changed.

Scenes, questions and dates that come and go, and scenes that share ground with others.
"""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import yaml

from pipelines.errors import LockedError, RequestError
from pipelines.jobs import lock
from pipelines.jobs.lock import LEASE, hold_lock
from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.models import ModelRecipe
from pipelines.plan.plan_files import read_plan
from pipelines.progress import ChunkDone, Event
from pipelines.results.check import check_result
from pipelines.tables.ledger import committed
from pipelines.tables.objects import object_files, read_cell, write_cell
from tests.commands import CommandResult, command
from tests.worlds.fixtures import file_bytes
from tests.worlds.practice import World
from tests.worlds.rows import COMES_AND_GOES, row_of
from tests.worlds.sheets import CASES, made
from tests.worlds.updates import (
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

DAY_1, DAY_2, DAY_3 = "2026-11-23", "2026-11-24", "2026-11-25"
ZONES = 7
SIZES = {"tile": 192, "chunk": 200}
FIRST = 20
"""Scenes of the first update."""
REMOVED, NEW = 13, (20, 21)
SHIFT = 0.04
"""Share of its width by which an object moves; a slanting slim one still overlaps itself by half."""
TWO = (["older"], ["older", "newer"], ["newer"])
"""A scene takes ground from one, which then leaves its own."""
PLAIN = COMES_AND_GOES[2]
"""Here objects of a scene that is not merged again are written again."""
THREE = (["older", "third"], ["older", "third", "newer"], ["third", "newer"], ["newer"])
"""A scene takes ground from both, then they leave theirs, one after the other."""


@pytest.fixture(autouse=True)
def same_model() -> Iterator[None]:
    with one_model():
        yield


@dataclass(frozen=True)
class UpdatedScenes:
    """Twenty scenes, brought up to date twice; tests must not write into it."""

    sky: Sky
    kinds: list[str]
    replaced: int
    """Number of the scene in whose place another file lies."""
    out: Path
    before: gpd.GeoDataFrame
    """Objects after the first update."""
    first_files: dict[str, tuple[int, int]]
    """Inode and modification time of the object files then."""
    edited: gpd.GeoDataFrame
    """True objects of the replaced scene before the second update, with what became of them."""
    done: list[ChunkDone]
    """Chunks of the second update."""
    asked: list[str]
    """Questions of the second update, one for each tile."""


def edited(truth: gpd.GeoDataFrame, kinds: list[str]) -> gpd.GeoDataFrame:
    """Of each kind the first object goes, the second moves, the rest stay."""
    fate = truth["kind"].where(truth["kind"].isin(kinds)).groupby(truth["kind"]).cumcount()
    return truth.assign(fate=np.array(["goes", "moves", "stays"])[np.minimum(fate.fillna(2), 2).astype(int)])


def replaced_truth(table: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The scene's truth after some of its objects went or moved."""
    left = table[table["fate"] != "goes"].copy()
    move = left["fate"] == "moves"
    shapes = [moved(shape, SHIFT) if go else shape for shape, go in zip(left.geometry, move, strict=True)]
    return left.set_geometry(gpd.GeoSeries(shapes, index=left.index, crs=left.crs)).drop(columns="fate")


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("twenty"), scenes=FIRST + len(NEW), zones=ZONES, density=4.0)


@pytest.fixture(scope="module")
def updated(twenty: Path, tmp_path_factory: pytest.TempPathFactory) -> UpdatedScenes:
    folder = tmp_path_factory.mktemp("updates")
    sky, out = Sky(twenty, folder / "sky"), folder / "out"
    with one_model():
        sky.add(*range(FIRST))
        kinds = sky.commonest(2)
        run_nightly(sky.config(out, kinds, **SIZES), date=DAY_1)
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
            run_nightly(sky.config(out, kinds, **SIZES), date=DAY_2, listener=listen)
    return UpdatedScenes(sky, kinds, replaced, out, before, first_files, fates, done, list(asked))


def richest(sky: Sky, kinds: list[str]) -> int:
    """The remaining scene with the most objects of its rarest kind."""
    counts = [
        min(int((sky.truth[scene_name(number)]["kind"] == kind).sum()) for kind in kinds)
        if number != REMOVED
        else 0
        for number in range(FIRST)
    ]
    assert max(counts) > 2
    return counts.index(max(counts))


@pytest.fixture
def copy(updated: UpdatedScenes, tmp_path: Path) -> UpdatedScenes:
    """The same result to write into, at a place of its own."""
    out = Path(shutil.copytree(updated.out, tmp_path / "out"))
    return UpdatedScenes(
        updated.sky, updated.kinds, updated.replaced, out, updated.before, {}, updated.edited, [], []
    )


def marks(out: Path) -> dict[str, tuple[int, int]]:
    files = {path: path.stat() for path in (out / "objects").rglob("*.parquet")}
    return {str(path.relative_to(out)): (s.st_ino, s.st_mtime_ns) for path, s in files.items()}


def test_an_update_runs_the_chunks_of_new_and_replaced_scenes_only(updated: UpdatedScenes) -> None:
    plan = read_plan(Store(str(updated.out)))
    touched = {scene_name(number) for number in (*NEW, updated.replaced)}
    expected = Counter(
        plan.scenes[ref.scene].scene.scene_id
        for ref in plan.chunks
        if plan.scenes[ref.scene].scene.scene_id in touched
    )
    assert Counter(done.scene_id for done in updated.done) == expected
    assert min(expected.values()) > 1
    n_tiles = sum(done.n_tiles for done in updated.done)
    assert len(updated.asked) == n_tiles * len(updated.kinds)
    assert n_tiles / plan.n_tiles == len(touched) / (FIRST + len(NEW) - 1)


def test_an_update_writes_only_the_cells_of_changed_scenes(updated: UpdatedScenes) -> None:
    now = marks(updated.out)
    rewritten = {name for name, mark in updated.first_files.items() if now.get(name) != mark}
    cells = {name.split("cell=")[1][:6] for name in rewritten}
    zones = {number % ZONES for number in (*NEW, updated.replaced, REMOVED)}
    every = {name.split("cell=")[1][:6] for name in updated.first_files}
    assert (len(cells), len(every)) == (len(zones), ZONES)
    assert {name.split("cell=")[1][:6] for name in now} == every


def test_an_update_gives_the_objects_of_a_fresh_run_except_for_stable_ids(
    updated: UpdatedScenes, tmp_path: Path
) -> None:
    run_job(updated.sky.config(tmp_path / "fresh", updated.kinds, **SIZES))
    fresh, now = objects_in(tmp_path / "fresh"), objects_in(updated.out)
    assert len(now) == len(fresh) > 100
    for column in set(fresh.columns) - {"id"}:
        assert same_values(now[column], fresh[column]), column
    elsewhere = ~now["scene_ids"].map(lambda names: scene_name(updated.replaced) in names)
    assert (now["id"] == fresh["id"])[elsewhere].all()
    other = now[now["id"] != fresh["id"]]
    moves = updated.edited[(updated.edited["fate"] == "moves") & updated.edited["kind"].isin(updated.kinds)]
    assert len(other) == len(moves) == len(updated.kinds)
    for found in other.itertuples():
        (was,) = updated.before[updated.before["id"] == found.id].itertuples()
        assert was.query_id == found.query_id
        assert 0.5 <= overlap(was.geometry, found.geometry) < 1
    assert now["id"].is_unique


def same_values(one: pd.Series, other: pd.Series) -> bool:
    if isinstance(one, gpd.GeoSeries):
        return bool(shapely.equals_exact(one.to_numpy(), other.to_numpy()).all())
    return [repr(value) for value in one] == [repr(value) for value in other]


def overlap(one: shapely.Geometry, other: shapely.Geometry) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def test_the_change_table_is_the_generators_truth(updated: UpdatedScenes) -> None:
    table = changes_in(updated.out, DAY_2)
    known = gpd.read_parquet(updated.sky.archive / "truth.parquet")
    known = known[known["kind"].isin(updated.kinds)]
    fates = updated.edited[updated.edited["kind"].isin(updated.kinds)]
    came = known[known["scene_id"].isin([scene_name(number) for number in NEW])].geometry
    went = [
        *known[known["scene_id"] == scene_name(REMOVED)].geometry,
        *fates[fates["fate"] == "goes"].geometry,
    ]
    shifted = list(fates[fates["fate"] == "moves"].geometry)
    assert min(len(came), len(went), len(shifted)) > 1
    assert_same_objects(table[table["change"] == "appeared"].geometry, came)
    assert_same_objects(table[table["change"] == "disappeared"].geometry, went)
    changed = table[table["change"] == "changed"]
    assert_same_objects(changed["before"], shifted)
    assert_same_objects(changed["after"], [moved(shape, SHIFT) for shape in shifted])
    assert len(table) == len(came) + len(went) + len(shifted)


def assert_same_objects(found: object, true: object) -> None:
    """One found object over each true one, at an overlap of 0.9, and no other."""
    left = list(found)  # type: ignore[call-overload]
    for shape in true:  # type: ignore[attr-defined]
        best = max(range(len(left)), key=lambda at, shape=shape: overlap(left[at], shape), default=None)
        assert best is not None
        assert overlap(left[best], shape) > 0.9
        del left[best]
    assert left == []


def test_changed_rows_hold_both_versions_and_other_rows_their_only_one(updated: UpdatedScenes) -> None:
    table = changes_in(updated.out, DAY_2).set_index("change")
    boxes = boxes_of(updated.out / "changes" / f"date={DAY_2}" / "changes.parquet")
    now = objects_in(updated.out).set_index("id")
    for row in table.loc[["changed"]].itertuples():
        assert row.geometry == row.after == now.loc[row.id].geometry
        assert row.area_m2_after == now.loc[row.id].area_m2
        assert abs(row.iou - overlap(row.before, row.after)) < 1e-9
        assert tuple(boxes[row.id].values()) == row.geometry.bounds
        assert list(row.scene_ids_before) == list(row.scene_ids_after) == [scene_name(updated.replaced)]
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


def test_every_cell_keeps_an_item_that_fits_its_file(updated: UpdatedScenes) -> None:
    cells = [path for path in updated.out.rglob("objects.parquet") if "cell=0/" not in str(path)]
    assert {path.parent for path in updated.out.rglob("_item.json")} == {path.parent for path in cells}
    for path in cells:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert digest in path.with_name("_item.json").read_text("utf-8")


def test_an_update_leaves_no_temporary_file_and_a_complete_result(updated: UpdatedScenes) -> None:
    store = Store(str(updated.out))
    plan = read_plan(store)
    planned = {(query.id, ref.chunk_id) for query in plan.queries for ref in plan.chunks}
    assert committed(store) == planned
    assert sorted(path.name for path in updated.out.iterdir()) == [
        "answers", "changes", "collection.json", "job.json", "objects", "plan",
    ]  # fmt: skip
    report = check_result(store)
    assert (report.complete, report.valid, report.problems) == (True, True, ())


def test_an_update_without_changes_loads_no_model_and_repeated_writes_nothing(
    copy: UpdatedScenes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: ModelRecipe) -> object:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(ModelRecipe, "load_reasoner", load)
    monkeypatch.setattr(ModelRecipe, "load_segmenter", load)
    before = file_bytes(copy.out)
    config = copy.sky.config(copy.out, copy.kinds, **SIZES, engine="ray")
    report = run_nightly(config, date=DAY_3)
    assert (report.chunks_done, report.files_written, report.appeared) == (0, 0, 0)
    assert report.seconds < 5
    after = file_bytes(copy.out)
    assert {name for name in after if after[name] != before.get(name)} == {
        "collection.json",
        f"changes/date={DAY_3}/changes.parquet",
    }
    assert len(changes_in(copy.out, DAY_3)) == 0
    times = {path: path.stat().st_mtime_ns for path in copy.out.rglob("*") if path.is_file()}
    assert run_nightly(config, date=DAY_3).chunks_done == 0
    assert run_nightly(config, date=DAY_2).disappeared == len(
        changes_in(copy.out, DAY_2).query("change == 'disappeared'")
    )
    assert {path: path.stat().st_mtime_ns for path in copy.out.rglob("*") if path.is_file()} == times


@dataclass(frozen=True)
class Place:
    """Scenes and a dataset that a test may change."""

    sky: Sky
    kinds: list[str]
    out: Path

    def update(self, date: str, kinds: list[str] | None = None, **fields: object) -> object:
        return run_nightly(self.sky.config(self.out, kinds or self.kinds, **fields), date=date)

    def fresh(self, folder: Path, kinds: list[str] | None = None, **fields: object) -> Path:
        run_job(self.sky.config(folder, kinds or self.kinds, **fields))
        return folder


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("five"), scenes=5, zones=2, size=200, density=4.0)


@pytest.fixture(scope="module")
def first(five: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three scenes after their first update."""
    folder = tmp_path_factory.mktemp("first")
    sky = Sky(five, folder / "sky")
    sky.add(0, 1, 2)
    place = Place(sky, sky.commonest(2), folder / "out")
    with one_model():
        place.update(DAY_1, caption=True)
    return place


@pytest.fixture
def place(first: Place, tmp_path: Path) -> Place:
    out = Path(shutil.copytree(first.out, tmp_path / "out"))
    folder = Path(shutil.copytree(first.sky.folder, tmp_path / "sky"))
    return Place(Sky(first.sky.archive, folder, dict(first.sky.truth)), first.kinds, out)


def test_the_first_update_is_a_plain_run_with_an_empty_change_table(first: Place, tmp_path: Path) -> None:
    fresh = file_bytes(first.fresh(tmp_path / "fresh", caption=True))
    now = file_bytes(first.out)
    made = {name for name in fresh if name.startswith(("objects", "texts", "plan"))}
    assert {name: now[name] for name in made} == {name: fresh[name] for name in made}
    assert set(now) - set(fresh) == {f"changes/date={DAY_1}/changes.parquet"}
    assert len(changes_in(first.out, DAY_1)) == 0


def test_a_new_question_asks_and_makes_only_its_own(first: Place, tmp_path: Path) -> None:
    out = Path(shutil.copytree(first.out, tmp_path / "out"))
    place = Place(first.sky, first.kinds, out)
    kinds = place.sky.commonest(3)
    own = place.sky.config(out, kinds).queries()[2]
    before = file_bytes(out)
    with counted_calls() as asked:
        report = place.update(DAY_2, kinds, caption=True)
    assert set(asked) == {own.text}
    assert (report.questions_new, report.appeared) == (1, 0)  # type: ignore[attr-defined]
    after = file_bytes(out)
    made = {name for name in after if after[name] != before.get(name)}
    assert {name.split("/")[1] for name in made if name.startswith(("answers", "objects", "texts"))} == {
        f"query={own.id}"
    }
    assert before.keys() <= after.keys()
    fresh = file_bytes(place.fresh(tmp_path / "fresh", kinds, caption=True))
    for folder in ("objects", "texts"):
        names = {name for name in fresh if name.startswith(folder)}
        assert {name: after[name] for name in names} == {name: fresh[name] for name in names}


def test_a_removed_question_loses_all_its_files_and_counts_as_no_change(place: Place) -> None:
    gone, stays, caption = place.sky.config(place.out, place.kinds, caption=True).queries()
    before = file_bytes(place.out)
    report = place.update(DAY_2, place.kinds[1:])
    after = file_bytes(place.out)
    assert (report.questions_gone, report.chunks_done, report.disappeared) == (2, 0, 0)  # type: ignore[attr-defined]
    assert not [name for name in after if gone.id in name or caption.id in name]
    kept = {name: data for name, data in before.items() if stays.id in name}
    assert {name: after[name] for name in kept} == kept
    assert check_result(Store(str(place.out))).problems == ()


def test_removing_the_last_scene_of_a_cell_removes_the_cell_and_its_captions(
    place: Place, tmp_path: Path
) -> None:
    place.sky.remove(1)
    report = place.update(DAY_2, caption=True)
    fresh = file_bytes(place.fresh(tmp_path / "fresh", caption=True))
    after = file_bytes(place.out)
    assert report.files_removed == len(place.kinds)  # type: ignore[attr-defined]
    for folder in ("objects", "texts"):
        made = {name: data for name, data in fresh.items() if name.startswith(folder)}
        assert {name: data for name, data in after.items() if name.startswith(folder)} == made


def test_a_question_without_objects_gains_some_and_loses_them_again(place: Place, tmp_path: Path) -> None:
    all_kinds = place.sky.commonest(99)
    held_now = set(place.sky.true_objects(all_kinds)["kind"])
    place.sky.add(4)
    rare = sorted(set(place.sky.true_objects(all_kinds)["kind"]) - held_now)
    assert rare, "scene 4 brings a kind of its own"
    place.sky.remove(4)
    before = file_bytes(place.fresh(tmp_path / "before", rare[:1]))
    out = tmp_path / "rare"
    run_nightly(place.sky.config(out, rare[:1]), date=DAY_1)
    place.sky.add(4)
    run_nightly(place.sky.config(out, rare[:1]), date=DAY_2)
    fresh = file_bytes(place.fresh(tmp_path / "fresh", rare[:1]))
    assert objects_bytes(file_bytes(out)) == objects_bytes(fresh) != objects_bytes(before)
    place.sky.remove(4)
    run_nightly(place.sky.config(out, rare[:1]), date=DAY_3)
    assert objects_bytes(file_bytes(out)) == objects_bytes(before)


def objects_bytes(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name.startswith("objects")}


def test_ids_are_stable_over_several_updates_and_beside_new_neighbours(place: Place) -> None:
    was = objects_in(place.out)
    for day in (DAY_2, DAY_3):
        place.sky.replace(0, lambda truth: truth.set_geometry([moved(s, 0.03) for s in truth.geometry]))
        place.update(day, caption=True)
    place.sky.add(4)
    place.update("2026-11-26", caption=True)
    now = objects_in(place.out)
    mine = now["scene_ids"].map(lambda names: scene_name(0) in names)
    assert mine.sum() > 2
    assert set(was["id"]) <= set(now["id"])
    assert not set(changes_in(place.out, "2026-11-26")["id"]) & set(was["id"])


def test_a_second_update_of_one_date_adds_to_its_change_table(place: Place) -> None:
    place.sky.add(4)
    place.update(DAY_2, caption=True)
    appeared = set(changes_in(place.out, DAY_2)["id"])
    place.sky.remove(4)
    place.sky.remove(1)
    lost = {row.id for row in objects_in(place.out).itertuples() if list(row.scene_ids) == [scene_name(1)]}
    place.update(DAY_2, caption=True)
    table = changes_in(place.out, DAY_2)
    assert appeared
    assert set(table["id"]) == lost
    assert set(table["change"]) == {"disappeared"}


def test_an_update_older_than_the_published_one_is_refused_and_writes_nothing(place: Place) -> None:
    place.sky.add(4)
    before = file_bytes(place.out)
    with pytest.raises(RequestError, match=f"date: the update of {DAY_1} is published already"):
        place.update("2026-11-22", caption=True)
    with pytest.raises(RequestError, match="is not a date; write it as"):
        place.update("25.11.2026", caption=True)
    assert file_bytes(place.out) == before


def test_nothing_but_scenes_and_questions_may_change(place: Place) -> None:
    before = file_bytes(place.out)
    with pytest.raises(RequestError, match="grid differ"):
        place.update(DAY_2, caption=True, tile=96)
    assert file_bytes(place.out) == before


def test_a_run_with_more_scenes_is_refused_and_names_the_nightly_command(place: Place) -> None:
    place.sky.add(4)
    with pytest.raises(RequestError, match=r"scenes differ .*added scene-0004.*remotereasoner nightly"):
        run_job(place.sky.config(place.out, place.kinds, caption=True))


def test_a_missing_published_file_stops_the_update(place: Place) -> None:
    place.sky.add(4)
    gone = next((place.out / "objects").rglob("objects.parquet"))
    gone.unlink()
    with pytest.raises(RequestError, match=r"lacks 1 published files .*--overwrite"):
        place.update(DAY_2, caption=True)


def test_an_update_continues_a_run_killed_before_publication_with_the_current_scenes(
    place: Place, tmp_path: Path
) -> None:
    (place.out / "collection.json").unlink()
    place.sky.add(4)
    place.sky.remove(0)
    with counted_calls() as asked:
        place.update(DAY_2, place.kinds)
    assert len(asked) == len(place.kinds) * 4, "one scene of four tiles is new"
    fresh = file_bytes(place.fresh(tmp_path / "fresh", place.kinds))
    assert objects_bytes(file_bytes(place.out)) == objects_bytes(fresh)
    assert check_result(Store(str(place.out))).problems == ()


def test_an_update_or_run_while_the_lock_is_held_names_the_holder_and_writes_nothing(place: Place) -> None:
    place.sky.add(4)
    store = Store(str(place.out))
    with hold_lock(store, f"nightly {DAY_2}", LEASE):
        before = file_bytes(place.out)
        for attempt in (
            lambda: place.update(DAY_2, caption=True),
            lambda: run_job(place.sky.config(place.out, place.kinds, caption=True)),
        ):
            with pytest.raises(LockedError, match=rf"held by .* \(process \d+, nightly {DAY_2}\) since"):
                attempt()
        assert file_bytes(place.out) == before
    place.update(DAY_2, caption=True)


@pytest.fixture
def job(place: Place, tmp_path: Path) -> Path:
    """A job file for the command line."""
    config = place.sky.config(place.out, place.kinds, caption=True)
    asked = [question.model_dump(mode="json") for question in config.ask]
    fields: dict[str, object] = {"scenes": list(config.scenes), "out": config.out, "ask": asked}
    fields |= {name: getattr(config, name) for name in ("reasoner", "segmenter", "tile", "chunk")}
    path = tmp_path / "job.yaml"
    path.write_text(yaml.safe_dump({**fields, "engine": "loop"}), "utf-8")
    return path


def test_the_command_takes_a_job_file_and_prints_one_object(place: Place, job: Path) -> None:
    place.sky.add(4)
    result = command("nightly", str(job), "--date", DAY_2, "--json")
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert (report["date"], report["scenes_new"], report["failed"]) == (DAY_2, 1, 0)
    assert report["appeared"] == len(changes_in(place.out, DAY_2)) > 0
    assert report["out"] == str(place.out)


def test_two_job_files_are_refused(job: Path) -> None:
    result = command("nightly", str(job), "--job", str(job))
    assert refused(result, "job: 2 job files are named")


def refused(result: CommandResult, words: str) -> bool:
    return (result.code, result.out, len(result.err.splitlines())) == (2, "", 1) and words in result.err


def test_the_command_exits_with_code_2_and_one_line_while_the_lock_is_held(place: Place, job: Path) -> None:
    place.sky.add(4)
    with hold_lock(Store(str(place.out)), "nightly", LEASE):
        before = file_bytes(place.out)
        result = command("nightly", str(job), "--date", DAY_2, "--json")
        assert refused(result, f"{place.out}/{lock.LOCK_FILE} is held by"), result
        assert file_bytes(place.out) == before


def overlapping(world: World, out: Path, scenes: Sequence[str]) -> JobConfig:
    files = [f"{world.folder}/scenes/{name}.tif" for name in scenes]
    return world.config(out, scenes=files, tile=128, overlap=32, chunk=400)


def overlaps(one: gpd.GeoDataFrame, other: gpd.GeoDataFrame) -> list[tuple[str, str, float]]:
    """Ids of every two objects of two tables that overlap by half, and by how much."""
    shapes, others = one.geometry.to_numpy(), other.geometry.to_numpy()
    first, second = shapely.STRtree(others).query(shapes, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes[first], others[second]))
    iou = shared / (shapely.area(shapes[first]) + shapely.area(others[second]) - shared)
    hits = np.flatnonzero(iou >= 0.5)
    return [(one["id"].iloc[first[at]], other["id"].iloc[second[at]], float(iou[at])) for at in hits]


@pytest.mark.parametrize(
    ("case", "updates"), [("pair", TWO), pytest.param("triple", THREE, marks=pytest.mark.slow)]
)
def test_scenes_that_take_and_leave_ground(tmp_path: Path, case: str, updates: Sequence[list[str]]) -> None:
    world, out = made(tmp_path / "world", *CASES[case]), tmp_path / "out"
    before: gpd.GeoDataFrame | None = None
    for number, scenes in enumerate(updates):
        date = f"2026-11-2{number}"
        run_nightly(overlapping(world, out, scenes), date=date)
        run_job(overlapping(world, tmp_path / f"fresh-{number}", scenes))
        fresh, now = objects_in(tmp_path / f"fresh-{number}"), objects_in(out)
        assert now.drop(columns=["id"]).map(repr).equals(fresh.drop(columns=["id"]).map(repr))
        assert now["id"].is_unique
        assert check_result(Store(str(out))).problems == ()
        if before is not None:
            assert_kept(before, now, changes_in(out, date))
        before = now


def assert_kept(before: gpd.GeoDataFrame, now: gpd.GeoDataFrame, changes: gpd.GeoDataFrame) -> None:
    """Every object with one counterpart has its id, and the table is the difference of both states."""
    pairs = overlaps(before, now)
    assert len(pairs) > 20
    assert all(old == new for old, new, _ in pairs)
    old, new = before.set_index("id").geometry, now.set_index("id").geometry
    listed = {kind: set(changes[changes["change"] == kind]["id"]) for kind in set(changes["change"])}
    assert listed.get("appeared", set()) == set(new.index) - set(old.index)
    assert listed.get("disappeared", set()) == set(old.index) - set(new.index)
    both = set(new.index) & set(old.index)
    assert listed.get("changed", set()) == {name for name in both if new[name] != old[name]}


def with_old_ids(out: Path) -> None:
    """Give every published object an id that is not that of its place, as after many updates."""
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
def test_stable_ids_survive_scenes_that_come_and_go(
    tmp_path: Path, numbers: tuple[list[int], list[int]]
) -> None:
    row, out = row_of(tmp_path / "world", strips=False), tmp_path / "out"
    row.first_run(out, numbers[0])
    with_old_ids(out)
    before = objects_in(out)
    run_nightly(row.config(out, numbers[1]), date="2026-11-25")
    row.first_run(tmp_path / "fresh", numbers[1])
    fresh, now = objects_in(tmp_path / "fresh"), objects_in(out)
    assert now.drop(columns=["id"]).map(repr).equals(fresh.drop(columns=["id"]).map(repr))
    assert now["id"].is_unique
    old = dict(zip(shapely.to_wkb(before.geometry.to_numpy()), before["id"], strict=True))
    new = dict(zip(shapely.to_wkb(now.geometry.to_numpy()), now["id"], strict=True))
    both = old.keys() & new.keys()
    assert {shape: new[shape] for shape in both} == {shape: old[shape] for shape in both}
    assert len(both) > 5 or not set(numbers[0]) & set(numbers[1])
