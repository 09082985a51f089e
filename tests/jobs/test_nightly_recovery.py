"""An update that is killed, fails or loses a race damages nothing: repeated, it ends as an undisturbed one.

On disk and in a bucket; what readers see stays as it was until the update has written its commit manifest.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import pytest

from pipelines.errors import RequestError
from pipelines.jobs import lock
from pipelines.jobs.lock import LEASE, Lease
from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.results.check import check_result
from pipelines.tables.collection import published_failed
from tests.commands import command
from tests.servers.fixtures import bucket_tree, direct, upload
from tests.servers.radosgw import Server
from tests.worlds.fixtures import file_bytes
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
WRITES = ("write", "create", "replace_if", "remove", "remove_folder")
TURNS = 5
FINISHED = ("objects", "texts", "changes", "collection.json")
TILES = 4
"""Tiles of 128 pixels that a scene of 160 is cut into."""
HOLD = """
import sys, time
from pipelines.cli import app as cli
from pipelines.jobs.lock import LEASE, hold_lock
from tiling.storage.store import Store

def work():
    with hold_lock(Store(sys.argv[1]), "nightly", LEASE):
        print("held", flush=True)
        time.sleep(60)

cli.app = work
cli.main()
"""


@pytest.fixture(autouse=True)
def same_model() -> Iterator[None]:
    with one_model():
        yield


class KilledError(BaseException):
    """The process dies: what it would do to release its lock cannot happen either."""


@dataclass
class Script:
    """Kills the process for good at its k-th call that changes the store, or at one by its name."""

    at: int = 0
    upon: str = ""
    """The method and the start of the file's name."""
    calls: int = 0
    names: list[str] = field(default_factory=list)

    def wrap(self, name: str) -> Callable[..., object]:
        real = getattr(Store, name)

        def act(store: Store, *args: object, **kwargs: object) -> object:
            self.calls += 1
            what = f"{name} {args[0]}"
            if self.upon and what.startswith(self.upon):
                self.at = self.calls
            if self.at and self.calls >= self.at:
                raise KilledError
            self.names.append(what)
            return real(store, *args, **kwargs)

        return act


@contextmanager
def scripted(at: int = 0, *, upon: str = "") -> Iterator[Script]:
    script = Script(at, upon)
    wrapped = {name: script.wrap(name) for name in WRITES}
    with patch.multiple(Store, **wrapped):
        yield script


@dataclass(frozen=True)
class Town:
    """A published dataset, and the next update's request for it."""

    sky: Sky
    kinds: list[str]
    published: Path
    """After the first update; tests must not write into it."""
    out: Path
    """Where tests write, always the same place: it stands in job.json."""

    def restore(self) -> None:
        """Put the published dataset in the place that tests write to."""
        shutil.rmtree(self.out, ignore_errors=True)
        shutil.copytree(self.published, self.out)

    def update(self, date: str = DAY_2) -> None:
        run_nightly(self.sky.config(self.out, self.kinds, caption=True, chunk=400), date=date)

    def killed_update(self, at: int) -> list[str]:
        """The writes that came through before the k-th, which kills; the lock stays behind."""
        with pytest.raises(KilledError), scripted(at) as script:
            self.update()
        return script.names

    def files(self) -> dict[str, bytes]:
        """All files; of the ledger's only the names, because they hold how long each tile took."""
        return {
            name: b"" if name.startswith("answers") else data for name, data in file_bytes(self.out).items()
        }


def finished(folder: Path) -> dict[str, bytes]:
    """What readers of the result see."""
    return {name: data for name, data in file_bytes(folder).items() if name.startswith(FINISHED)}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Next update: one scene new, one gone, one replaced; one question new, one gone; captions are asked."""
    folder = tmp_path_factory.mktemp("town")
    sky = Sky(draw_archive(folder / "archive", scenes=4, zones=2, size=160, density=4.0), folder / "sky")
    with one_model():
        sky.add(0, 1, 2)
        first, second, third = sky.commonest(3)
        run_nightly(sky.config(folder / "out", [first, second], caption=True, chunk=400), date=DAY_1)
        (folder / "out").rename(folder / "published")
        sky.add(3)
        sky.remove(0)
        sky.replace(1, lambda truth: truth.set_geometry([moved(s, 0.04) for s in truth.geometry]))
        yield Town(sky, [second, third], folder / "published", folder / "out")


@pytest.fixture(scope="module")
def undisturbed(town: Town) -> tuple[dict[str, bytes], list[str]]:
    """Every file after an update that nothing disturbed, and its writes."""
    town.restore()
    with scripted(0) as script:
        town.update()
    return town.files(), script.names


@pytest.mark.parametrize(
    "turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in range(1, TURNS))]
)
def test_an_update_killed_at_any_write_and_repeated_ends_the_same(
    town: Town, undisturbed: tuple[dict[str, bytes], list[str]], turn: int
) -> None:
    """All turns together kill at every write."""
    files, writes = undisturbed
    assert len(writes) > 30
    published = finished(town.published)
    manifest = writes.index("write night/orders.json")
    for at in range(1 + turn, len(writes) + 1, TURNS):
        town.restore()
        town.killed_update(at)
        if at <= manifest + 1:
            assert finished(town.out) == published, writes[at - 1]
        town.update()
        assert town.files() == files, writes[at - 1]


def test_a_killed_update_repeated_for_a_later_date_lists_its_changes_under_that_date(
    town: Town, undisturbed: tuple[dict[str, bytes], list[str]]
) -> None:
    files, writes = undisturbed
    table = f"changes/date={DAY_2}/changes.parquet"
    town.restore()
    town.killed_update(writes.index("write night/orders.json") + 1)
    town.update(DAY_3)
    now = file_bytes(town.out)
    assert now[f"changes/date={DAY_3}/changes.parquet"] == files[table]
    assert table not in now
    town.restore()
    town.killed_update(writes.index("write night/orders.json") + 4)
    town.update(DAY_3)
    now = file_bytes(town.out)
    assert now[table] == files[table]
    assert len(now[f"changes/date={DAY_3}/changes.parquet"]) < len(files[table])


def test_a_killed_update_is_reported_by_check_and_not_continued_by_a_run(town: Town) -> None:
    town.restore()
    with scripted(0) as script:
        town.update()
    town.restore()
    town.killed_update(next(at for at, name in enumerate(script.names) if "answers" in name) + 2)
    config = town.sky.config(town.out, town.kinds, caption=True, chunk=400)
    before = file_bytes(town.out)
    with pytest.raises(RequestError, match="unfinished update; run: remotereasoner nightly"):
        run_job(config)
    assert file_bytes(town.out) == before
    report = check_result(Store(str(town.out)))
    assert (report.complete, report.valid) == (False, True)
    assert any("an update is under way or was killed" in problem for problem in report.problems)


@pytest.fixture
def sky(tmp_path: Path) -> Sky:
    archive = draw_archive(tmp_path / "archive", scenes=2, zones=1, size=160, density=4.0)
    return Sky(archive, tmp_path / "sky")


def test_a_broken_scene_marks_the_dataset_until_it_is_replaced(sky: Sky, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sky.add(0)
    kinds = sky.commonest(1)
    assert run_nightly(sky.config(out, kinds), date=DAY_1).failed == 0
    sky.add(1)
    path = sky.folder / "scenes" / f"{scene_name(1)}.tif"
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 3])
    broken = run_nightly(sky.config(out, kinds), date=DAY_2)
    assert broken.failed > 0
    assert published_failed(Store(str(out))) == broken.failed
    given = sky.config(out, kinds)
    words = ["nightly", f"{sky.folder}/scenes", "--out", str(out), "--ask", given.ask[0].text, "--json"]
    models = ["--reasoner", given.reasoner, "--segmenter", given.segmenter, "--engine", "loop"]
    result = command(*words, *models, "--tile", "128", "--chunk", "230", "--date", DAY_2)
    assert (result.code, json.loads(result.out)["failed"]) == (3, broken.failed)
    path.write_bytes(sound)
    mended = run_nightly(sky.config(out, kinds), date=DAY_3)
    assert (mended.scenes_replaced, mended.failed) == (1, 0)
    assert json.loads((out / "collection.json").read_text("utf-8"))["remotereasoner:complete"] is True


def test_a_terminated_update_releases_its_lock(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    assert (tmp_path / lock.LOCK_FILE).exists()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 128 + signal.SIGTERM
    assert not (tmp_path / lock.LOCK_FILE).exists()


@pytest.mark.ray
@pytest.mark.slow
def test_an_update_on_ray_gives_the_bytes_of_one_in_a_loop(sky: Sky, tmp_path: Path) -> None:
    sky.add(0)
    kinds = sky.commonest(2)
    engines = ("loop", "ray")
    for engine in engines:
        run_nightly(sky.config(tmp_path / engine, kinds, engine=engine), date=DAY_1)
    sky.add(1)
    for engine in engines:
        run_nightly(sky.config(tmp_path / engine, kinds, engine=engine), date=DAY_2)
    loop, ray = (file_bytes(tmp_path / engine) for engine in engines)
    seen = {name for name in loop if name.startswith(("objects", "changes"))}
    assert len(seen) > 3
    assert {name: ray.get(name) for name in seen} == {name: loop[name] for name in seen}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("three"), scenes=3, zones=2, size=160, density=4.0)


class Twins:
    """The same updates on disk and in a bucket."""

    def __init__(self, archive: Path, folder: Path, server: Server, bucket: str, *, first: int = 2) -> None:
        """Begin with so many scenes of the archive, numbered from 0."""
        self.sky = Sky(archive, folder / "sky")
        self.folder, self.server, self.bucket = folder, server, bucket
        self.coming = range(first, len(list((archive / "scenes").iterdir())))
        self.sky.add(*range(first))
        self.kinds = self.sky.commonest(2)

    def change(self) -> None:
        """The rest of the archive comes, one scene goes, one is another file."""
        self.sky.add(*self.coming)
        self.sky.remove(0)
        self.sky.replace(1, lambda truth: truth.set_geometry([moved(s, 0.04) for s in truth.geometry]))

    def upload(self) -> None:
        fs = direct(self.server)
        for name in fs.find(f"{self.bucket}/sky"):
            fs.rm_file(name)
        upload(self.server, self.sky.folder, f"{self.bucket}/sky")

    def local_update(self, date: str) -> None:
        run_nightly(self.sky.config(self.folder / "out", self.kinds), date=date)

    def update(self, date: str, lease: Lease = LEASE) -> object:
        truth = f"oracle:{self.bucket}/sky/truth.parquet"
        given = {"scenes": [f"{self.bucket}/sky/scenes"], "reasoner": truth, "segmenter": truth}
        return run_nightly(self.sky.config(f"{self.bucket}/out", self.kinds, **given), date=date, lease=lease)

    def results(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """What readers see: on disk, in the bucket."""
        seen = ("objects/", "changes/")
        both = file_bytes(self.folder / "out"), bucket_tree(self.server, f"{self.bucket}/out")
        local, remote = (
            {name: data for name, data in each.items() if name.startswith(seen)} for each in both
        )
        return local, remote


@pytest.fixture
def twins(three: Path, tmp_path: Path, s3_server: Server, bucket: str) -> Twins:
    """After their first update."""
    both = Twins(three, tmp_path, s3_server, bucket)
    both.upload()
    both.local_update(DAY_1)
    both.update(DAY_1)
    return both


def test_updates_in_a_bucket_equal_updates_on_disk_killed_or_not(twins: Twins) -> None:
    twins.change()
    twins.upload()
    twins.local_update(DAY_2)
    for moment in ("write answers", "write night/orders.json", "remove ['collection.json']", "write changes"):
        with pytest.raises(KilledError), scripted(upon=moment):
            twins.update(DAY_2)
        assert Store(f"{twins.bucket}/out").exists(lock.LOCK_FILE)
    report = twins.update(DAY_2)
    local, remote = twins.results()
    assert local == remote
    assert f"changes/date={DAY_2}/changes.parquet" in remote
    assert check_result(Store(f"{twins.bucket}/out")).problems == ()
    assert report.seconds < 60  # type: ignore[attr-defined]
    names = {name.split("/")[0] for name in bucket_tree(twins.server, f"{twins.bucket}/out")}
    assert names == {"answers", "changes", "collection.json", "job.json", "objects", "plan"}


@pytest.mark.slow
def test_an_update_of_forty_scenes_in_a_bucket_equals_one_on_disk(
    tmp_path: Path, s3_server: Server, bucket: str
) -> None:
    archive = draw_archive(tmp_path / "archive", scenes=42, zones=4, size=160, density=4.0)
    both = Twins(archive, tmp_path, s3_server, bucket, first=40)
    both.upload()
    both.local_update(DAY_1)
    both.update(DAY_1)
    both.change()
    both.upload()
    both.local_update(DAY_2)
    with counted_calls() as asked:
        both.update(DAY_2)
    tiles = {question: asked.count(question) for question in set(asked)}
    assert set(tiles.values()) == {3 * TILES}, "two new scenes and a replaced one, each tile once a question"
    local, remote = both.results()
    assert local == remote
    fresh = run_job(both.sky.config(tmp_path / "fresh", both.kinds))
    table, anew = objects_in(tmp_path / "out"), objects_in(tmp_path / "fresh")
    assert fresh.objects == len(table)
    assert (table.geometry == anew.geometry).all()
    assert {str(row["change"]) for row in changes_in(tmp_path / "out", DAY_2).to_dict("records")} == {
        "appeared", "changed", "disappeared",
    }  # fmt: skip
    with counted_calls() as asked:
        both.update(DAY_3)
    assert asked == []
    assert check_result(Store(f"{bucket}/out")).problems == ()
