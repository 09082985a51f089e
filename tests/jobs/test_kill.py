"""A run on Ray that is killed outright and started again ends with the same bytes and does no chunk twice."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from pipelines.jobs.run import run_job
from tests.commands import command, executable, tree
from tests.worlds.practice import World
from training.scenery.practice import write_practice

pytestmark = pytest.mark.ray

KINDS = ("ship", "building")
TILE, CHUNK = 96, 140
DEADLINE_S = 240.0
POLL_S = 0.01

Committed = Mapping[str, tuple[int, int]]
"""Inode and modification time in nanoseconds of every ledger file, by name."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When to kill: so many ledger files after the start of the attempt, and a little later."""

    files: int
    """New ledger files to wait for, at most till all are there; 0 means to wait for the time alone."""
    seconds: float
    """Time to wait after that."""


@dataclass(frozen=True, slots=True)
class Job:
    """The command that is killed and given again."""

    world: World
    """Its scenes and their truth."""
    out: Path
    """Where it writes."""
    ray_folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="rr", dir="/tmp")))
    """Ray's own folder; short, because the paths of its sockets are limited. It marks the job's processes."""

    def args(self) -> list[str]:
        questions = [word for text in self.world.questions(KINDS) for word in ("--ask", text)]
        models = ["--reasoner", self.world.oracle, "--segmenter", self.world.oracle]
        sizes = ["--tile", str(TILE), "--chunk", str(CHUNK), "--engine", "ray"]
        return [
            "run",
            f"{self.world.folder}/scenes",
            *questions,
            *models,
            *sizes,
            "--out",
            str(self.out),
            "--json",
        ]

    def start(self) -> subprocess.Popen[str]:
        """Start it in a session of its own."""
        with (self.ray_folder / "stderr.txt").open("a", encoding="utf-8") as errors:
            return subprocess.Popen(
                [executable(), *self.args()],
                start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=errors,
                env={**os.environ, "RAY_TMPDIR": str(self.ray_folder), "OMP_NUM_THREADS": "1"},
            )  # fmt: skip

    def processes(self) -> Iterator[psutil.Process]:
        """Every process that carries the mark of the job's own Ray."""
        for process in psutil.process_iter():
            try:
                if process.environ().get("RAY_TMPDIR") == str(self.ray_folder):
                    yield process
            except psutil.Error:
                continue

    def kill(self, driver: subprocess.Popen[str]) -> None:
        """SIGKILL to the driver's process group, then to what else is the job's, as if the power failed."""
        os.killpg(driver.pid, signal.SIGKILL)
        self.end_rest()
        driver.communicate()

    def end_rest(self) -> None:
        """End Ray's processes of this job and no other's."""
        while left := list(self.processes()):
            for process in left:
                try:
                    process.kill()
                except psutil.NoSuchProcess:
                    continue
            psutil.wait_procs(left, timeout=10)

    def committed(self) -> Committed:
        stats = {path: path.stat() for path in self.out.glob("answers/*/*.parquet")}
        return {str(path.relative_to(self.out)): (s.st_ino, s.st_mtime_ns) for path, s in stats.items()}


def killed_at(job: Job, moment: Moment, *, total: int) -> bool:
    """Start the job and kill it at the moment; whether it was still running."""
    enough, driver = min(len(job.committed()) + moment.files, total), job.start()
    give_up = time.monotonic() + DEADLINE_S
    while len(job.committed()) < enough and driver.poll() is None:
        assert time.monotonic() < give_up, errors_of(job)
        time.sleep(POLL_S)
    try:
        driver.communicate(timeout=moment.seconds)
    except subprocess.TimeoutExpired:
        job.kill(driver)
        return True
    assert driver.returncode == 0, errors_of(job)
    job.end_rest()
    return False


def ended(job: Job) -> dict[str, object]:
    """Start the job and let it end; its report."""
    driver = job.start()
    try:
        output, _ = driver.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        job.kill(driver)
        pytest.fail(f"the run did not end within {DEADLINE_S:g} s: {errors_of(job)}")
    job.end_rest()
    assert driver.returncode == 0, errors_of(job)
    report: dict[str, object] = json.loads(output)
    return report


def errors_of(job: Job) -> str:
    return (job.ray_folder / "stderr.txt").read_text("utf-8")[-2000:]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    write_practice(str(folder), scenes=2, size_px=384, seed=3, density=2.0)
    world = World(folder)
    assert set(KINDS) <= set(world.truth()["kind"])
    return world


@pytest.fixture(scope="module")
def uninterrupted(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Output of the same job in a plain loop, which nothing disturbed."""
    out = tmp_path_factory.mktemp("uninterrupted")
    run_job(world.config(out, kinds=KINDS, tile=TILE, chunk=CHUNK))
    return out


@pytest.fixture
def job(world: World, tmp_path: Path) -> Iterator[Job]:
    job = Job(world, tmp_path / "out")
    yield job
    job.end_rest()
    shutil.rmtree(job.ray_folder, ignore_errors=True)


def ledger_names(out: Path) -> set[str]:
    return {name for name in tree(out) if name.startswith("answers/")}


def assert_survives(job: Job, moments: list[Moment], uninterrupted: Path, *, minimum: int) -> None:
    """Kill the job at every moment, let it end, and compare; at least so many kills must have hit it."""
    kept: Committed = {}
    planned = ledger_names(uninterrupted)
    hits = 0
    for moment in moments:
        hits += killed_at(job, moment, total=len(planned))
        now = job.committed()
        assert {name: now.get(name) for name in kept} == kept, (
            f"ledger files were written again after {moment}"
        )
        kept = now
    assert hits >= minimum
    report = ended(job)
    last = job.committed()
    assert {name: last.get(name) for name in kept} == kept
    assert set(last) == planned
    open_chunks = {name.rsplit("/", 1)[1] for name in set(last) - set(kept)}
    assert report["chunks_done"] == len(open_chunks)
    assert tree(job.out / "objects") == tree(uninterrupted / "objects")
    assert not [name for name in tree(job.out) if ".tmp-" in name]
    assert command("check", str(job.out), "--json").code == 0


@pytest.mark.parametrize("kills", [1, pytest.param(2, marks=pytest.mark.thorough)])
def test_kills_cost_nothing_but_time(job: Job, uninterrupted: Path, kills: int) -> None:
    draw = random.Random(7)
    third = len(ledger_names(uninterrupted)) // 3
    moments = [Moment(draw.randrange(2, third), draw.uniform(0.0, 0.15)) for _ in range(kills)]
    assert_survives(job, moments, uninterrupted, minimum=kills)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0])
def test_ten_kills_at_any_moment_cost_nothing_but_time(job: Job, uninterrupted: Path, seed: int) -> None:
    """Some while Ray starts, some between commits, some towards the end, where objects are merged."""
    draw = random.Random(seed)
    starting = [Moment(0, draw.uniform(0.5, 5.0)) for _ in range(3)]
    working = [Moment(draw.randrange(1, 12), draw.uniform(0.0, 0.1)) for _ in range(5)]
    merging = [Moment(len(ledger_names(uninterrupted)), seconds) for seconds in (0.0, draw.uniform(0.0, 0.3))]
    draw.shuffle(starting_or_working := [*starting, *working])
    assert_survives(job, [*starting_or_working, *merging], uninterrupted, minimum=8)
