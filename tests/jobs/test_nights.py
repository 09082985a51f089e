"""What else a night meets: questions that come and go, dates, other jobs, runs beside it, the command."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipelines.errors import LockedError, RequestError
from pipelines.jobs import lock
from pipelines.jobs.lock import LEASE, hold_lock
from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.results.check import check_result
from tests.commands import Said, command, outer_command
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

DAY_1, DAY_2, DAY_3 = "2026-11-23", "2026-11-24", "2026-11-25"


@dataclass(frozen=True)
class Place:
    """Scenes and a dataset that a test may change."""

    sky: Sky
    kinds: list[str]
    out: Path

    def night(self, date: str, kinds: list[str] | None = None, **fields: object) -> object:
        return run_nightly(self.sky.config(self.out, kinds or self.kinds, **fields), date=date)

    def fresh(self, folder: Path, kinds: list[str] | None = None, **fields: object) -> Path:
        run_job(self.sky.config(folder, kinds or self.kinds, **fields))
        return folder


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("archive"), scenes=5, zones=2, size=200, density=4.0)


@pytest.fixture(autouse=True)
def same_model() -> Iterator[None]:
    with one_model():
        yield


@pytest.fixture(scope="module")
def first(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Three scenes after their first night."""
    folder = tmp_path_factory.mktemp("first")
    sky = Sky(archive, folder / "sky")
    sky.add(0, 1, 2)
    place = Place(sky, sky.commonest(2), folder / "out")
    with one_model():
        place.night(DAY_1, caption=True)
    return place


@pytest.fixture
def place(first: Place, tmp_path: Path) -> Place:
    out = Path(shutil.copytree(first.out, tmp_path / "out"))
    folder = Path(shutil.copytree(first.sky.folder, tmp_path / "sky"))
    return Place(Sky(first.sky.archive, folder, dict(first.sky.truth)), first.kinds, out)


def test_the_first_night_is_a_plain_run_with_an_empty_change_table(first: Place, tmp_path: Path) -> None:
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
        report = place.night(DAY_2, kinds, caption=True)
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


def test_a_question_no_longer_asked_goes_with_all_its_files_and_is_no_change(place: Place) -> None:
    gone, stays, caption = place.sky.config(place.out, place.kinds, caption=True).queries()
    before = file_bytes(place.out)
    report = place.night(DAY_2, place.kinds[1:])
    after = file_bytes(place.out)
    assert (report.questions_gone, report.chunks_done, report.disappeared) == (2, 0, 0)  # type: ignore[attr-defined]
    assert not [name for name in after if gone.id in name or caption.id in name]
    kept = {name: data for name, data in before.items() if stays.id in name}
    assert {name: after[name] for name in kept} == kept
    assert check_result(Store(str(place.out))).problems == ()


def test_a_last_scene_that_goes_takes_its_cell_and_captions_follow(place: Place, tmp_path: Path) -> None:
    place.sky.remove(1)
    report = place.night(DAY_2, caption=True)
    fresh = file_bytes(place.fresh(tmp_path / "fresh", caption=True))
    after = file_bytes(place.out)
    assert report.files_removed == len(place.kinds)  # type: ignore[attr-defined]
    for folder in ("objects", "texts"):
        made = {name: data for name, data in fresh.items() if name.startswith(folder)}
        assert {name: data for name, data in after.items() if name.startswith(folder)} == made


def test_a_question_that_found_nothing_finds_something_and_loses_it_again(
    place: Place, tmp_path: Path
) -> None:
    all_kinds = place.sky.commonest(99)
    held_now = set(place.sky.things(all_kinds)["kind"])
    place.sky.add(4)
    rare = sorted(set(place.sky.things(all_kinds)["kind"]) - held_now)
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


def test_an_id_is_kept_night_after_night_and_beside_new_neighbours(place: Place) -> None:
    was = objects_in(place.out)
    for day in (DAY_2, DAY_3):
        place.sky.replace(0, lambda truth: truth.set_geometry([moved(s, 0.03) for s in truth.geometry]))
        place.night(day, caption=True)
    place.sky.add(4)
    place.night("2026-11-26", caption=True)
    now = objects_in(place.out)
    mine = now["scene_ids"].map(lambda names: scene_name(0) in names)
    assert mine.sum() > 2
    assert set(was["id"]) <= set(now["id"])
    assert not set(changes_in(place.out, "2026-11-26")["id"]) & set(was["id"])


def test_a_second_night_of_one_date_adds_to_its_table(place: Place) -> None:
    place.sky.add(4)
    place.night(DAY_2, caption=True)
    appeared = set(changes_in(place.out, DAY_2)["id"])
    place.sky.remove(4)
    place.sky.remove(1)
    lost = {row.id for row in objects_in(place.out).itertuples() if list(row.scene_ids) == [scene_name(1)]}
    place.night(DAY_2, caption=True)
    table = changes_in(place.out, DAY_2)
    assert appeared
    assert set(table["id"]) == lost
    assert set(table["change"]) == {"disappeared"}


def test_a_night_before_one_that_is_published_is_refused_and_nothing_is_written(place: Place) -> None:
    place.sky.add(4)
    before = file_bytes(place.out)
    with pytest.raises(RequestError, match=f"date: the update of {DAY_1} is published already"):
        place.night("2026-11-22", caption=True)
    with pytest.raises(RequestError, match="is not a date; write it as"):
        place.night("25.11.2026", caption=True)
    assert file_bytes(place.out) == before


def test_what_is_no_scene_and_no_question_may_not_change(place: Place) -> None:
    before = file_bytes(place.out)
    with pytest.raises(RequestError, match="grid differ"):
        place.night(DAY_2, caption=True, tile=96)
    assert file_bytes(place.out) == before


def test_a_run_with_more_scenes_is_told_of_nights(place: Place) -> None:
    place.sky.add(4)
    with pytest.raises(RequestError, match=r"scenes differ .*added scene-0004.*remotereasoner nightly"):
        run_job(place.sky.config(place.out, place.kinds, caption=True))


def test_a_published_file_that_is_missing_stops_the_night(place: Place) -> None:
    place.sky.add(4)
    gone = next((place.out / "objects").rglob("objects.parquet"))
    gone.unlink()
    with pytest.raises(RequestError, match=r"lacks 1 published files .*--overwrite"):
        place.night(DAY_2, caption=True)


def test_a_run_killed_before_it_was_published_is_taken_up_with_the_scenes_of_now(
    place: Place, tmp_path: Path
) -> None:
    (place.out / "collection.json").unlink()
    place.sky.add(4)
    place.sky.remove(0)
    with counted_calls() as asked:
        place.night(DAY_2, place.kinds)
    assert len(asked) == len(place.kinds) * 4, "one scene of four tiles is new"
    fresh = file_bytes(place.fresh(tmp_path / "fresh", place.kinds))
    assert objects_bytes(file_bytes(place.out)) == objects_bytes(fresh)
    assert check_result(Store(str(place.out))).problems == ()


def test_the_loser_of_two_nights_and_of_a_run_learns_the_holder_and_writes_nothing(place: Place) -> None:
    place.sky.add(4)
    store = Store(str(place.out))
    with hold_lock(store, f"nightly {DAY_2}", LEASE):
        before = file_bytes(place.out)
        for attempt in (
            lambda: place.night(DAY_2, caption=True),
            lambda: run_job(place.sky.config(place.out, place.kinds, caption=True)),
        ):
            with pytest.raises(LockedError, match=rf"held by .* \(process \d+, nightly {DAY_2}\) since"):
                attempt()
        assert file_bytes(place.out) == before
    place.night(DAY_2, caption=True)


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
    said = command("nightly", str(job), "--date", DAY_2, "--json")
    assert said.code == 0, said.err
    report = json.loads(said.out)
    assert (report["date"], report["scenes_new"], report["failed"]) == (DAY_2, 1, 0)
    assert report["appeared"] == len(changes_in(place.out, DAY_2)) > 0
    assert report["out"] == str(place.out)


def test_two_job_files_are_one_too_many(job: Path) -> None:
    said = command("nightly", str(job), "--job", str(job))
    assert refused(said, "job: 2 job files are named")


def refused(said: Said, words: str) -> bool:
    return (said.code, said.out, len(said.err.splitlines())) == (2, "", 1) and words in said.err


def test_the_command_that_loses_ends_with_code_2_in_a_sentence(place: Place, job: Path) -> None:
    place.sky.add(4)
    with hold_lock(Store(str(place.out)), "nightly", LEASE):
        before = file_bytes(place.out)
        said = outer_command("nightly", str(job), "--date", DAY_2, "--json")
        assert refused(said, f"{place.out}/{lock.LOCK_FILE} is held by"), said
        assert file_bytes(place.out) == before
