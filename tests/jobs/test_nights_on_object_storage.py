"""Nights in a bucket end with the bytes of nights on disk, killed or not; its lock has one holder."""

import json
import multiprocessing
from collections.abc import Iterator
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from pipelines.errors import LockedError
from pipelines.jobs import lock
from pipelines.jobs.lock import LEASE, Lease, hold_lock
from pipelines.jobs.nightly import run_nightly
from pipelines.jobs.run import run_job
from pipelines.results.check import check_result
from tests.jobs.test_night_kills import KilledError, scripted
from tests.servers.fixtures import bucket_tree, direct, upload
from tests.servers.radosgw import Server
from tests.worlds.fixtures import file_bytes
from tests.worlds.nights import Sky, changes_in, counted_calls, draw_archive, moved, objects_in, one_model
from tiling.storage.store import Store

DAY_1, DAY_2, DAY_3 = "2026-11-24", "2026-11-25", "2026-11-26"
TILES = 4
"""Tiles of 128 pixels that a scene of 160 is cut into."""
SPAWN = multiprocessing.get_context("spawn")
RACERS = 3


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_archive(tmp_path_factory.mktemp("archive"), scenes=3, zones=2, size=160, density=4.0)


@pytest.fixture(autouse=True)
def same_model() -> Iterator[None]:
    with one_model():
        yield


class Twins:
    """The same nights on disk and in a bucket."""

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

    def local_night(self, date: str) -> None:
        run_nightly(self.sky.config(self.folder / "out", self.kinds), date=date)

    def night(self, date: str, lease: Lease = LEASE) -> object:
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
def twins(archive: Path, tmp_path: Path, s3_server: Server, bucket: str) -> Twins:
    """After their first night."""
    both = Twins(archive, tmp_path, s3_server, bucket)
    both.upload()
    both.local_night(DAY_1)
    both.night(DAY_1)
    return both


def test_nights_in_a_bucket_end_as_nights_on_disk_killed_on_the_way_or_not(twins: Twins) -> None:
    twins.change()
    twins.upload()
    twins.local_night(DAY_2)
    for moment in ("write answers", "write night/orders.json", "remove ['collection.json']", "write changes"):
        with pytest.raises(KilledError), scripted(upon=moment):
            twins.night(DAY_2)
        assert Store(f"{twins.bucket}/out").exists(lock.LOCK_FILE)
    report = twins.night(DAY_2)
    local, remote = twins.results()
    assert local == remote
    assert f"changes/date={DAY_2}/changes.parquet" in remote
    assert check_result(Store(f"{twins.bucket}/out")).problems == ()
    assert report.seconds < 60  # type: ignore[attr-defined]
    names = {name.split("/")[0] for name in bucket_tree(twins.server, f"{twins.bucket}/out")}
    assert names == {"answers", "changes", "collection.json", "job.json", "objects", "plan"}


@pytest.mark.slow
def test_forty_scenes_in_a_bucket_have_the_nights_they_have_on_disk(
    tmp_path: Path, s3_server: Server, bucket: str
) -> None:
    archive = draw_archive(tmp_path / "archive", scenes=42, zones=4, size=160, density=4.0)
    both = Twins(archive, tmp_path, s3_server, bucket, first=40)
    both.upload()
    both.local_night(DAY_1)
    both.night(DAY_1)
    both.change()
    both.upload()
    both.local_night(DAY_2)
    with counted_calls() as asked:
        both.night(DAY_2)
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
        both.night(DAY_3)
    assert asked == []
    assert check_result(Store(f"{bucket}/out")).problems == ()


def race(root: str, start: Barrier, end: Barrier, name: int) -> None:
    store = Store(root)
    start.wait()
    try:
        with hold_lock(store, f"racer {name}", LEASE):
            store.write(f"won/{name}", b"")
            end.wait()
    except LockedError:
        end.wait()


def test_of_processes_that_race_for_a_stale_lock_in_a_bucket_one_wins(bucket: str) -> None:
    store = Store(f"{bucket}/out")
    with hold_lock(store, "dead", Lease(clock=lambda: 1.0)):
        left = json.loads(store.read(lock.LOCK_FILE))
    store.write(lock.LOCK_FILE, json.dumps({**left, "place": "", "host": "node-7"}).encode())
    start, end = SPAWN.Barrier(RACERS), SPAWN.Barrier(RACERS)
    racers = [SPAWN.Process(target=race, args=(store.root, start, end, name)) for name in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(timeout=120)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    assert len(store.names("won")) == 1
    assert not store.exists(lock.LOCK_FILE)
