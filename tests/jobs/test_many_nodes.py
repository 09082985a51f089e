"""Nodes come and go while a job runs, its driver is killed: the ledger is whole, the objects the same."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.progress import ChunkDone, Event
from pipelines.results.check import check_result
from tests.commands import executable
from tests.worlds.fixtures import ATOLLS, SHIPS, MakeConfig, file_bytes
from tiling.storage.store import Store

pytestmark = pytest.mark.ray

DEADLINE_S = 200.0
SMALL_CHUNK = 140
"""Side of a chunk, pixels, that makes 18 chunks of both scenes."""


@dataclass(slots=True)
class Machines:
    """A cluster on this machine: a head without cores, and nodes of one core."""

    cluster: Any
    nodes: list[Any] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(self.cluster.address)

    def add(self, *, wait: bool = True) -> None:
        self.nodes.append(self.cluster.add_node(num_cpus=1, object_store_memory=80_000_000, wait=wait))

    def kill(self) -> None:
        """The oldest node is gone from one moment to the next, with all its processes."""
        self.cluster.remove_node(self.nodes.pop(0), allow_graceful=False)


@pytest.fixture
def machines() -> Iterator[Machines]:
    import ray
    from ray.cluster_utils import Cluster

    ray.shutdown()
    folder = tempfile.mkdtemp(prefix="rr", dir="/tmp")
    head = {
        "num_cpus": 0, "object_store_memory": 80_000_000, "include_dashboard": False, "temp_dir": folder,
        # A node that is gone is known to be gone within seconds rather than half a minute.
        "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 4},
    }  # fmt: skip
    found = Machines(Cluster(initialize_head=True, head_node_args=head))
    try:
        yield found
    finally:
        ray.shutdown()
        found.cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def undisturbed(make_config: MakeConfig, tmp_path: Path) -> Path:
    """The same job in a plain loop."""
    run_job(make_config(chunk=SMALL_CHUNK, out=str(tmp_path / "loop")))
    return tmp_path / "loop"


def assert_same(config: JobConfig, undisturbed: Path) -> None:
    assert file_bytes(Path(config.out) / "objects") == file_bytes(undisturbed / "objects")
    found = check_result(Store(config.out))
    assert (found.complete, found.valid, found.problems) == (True, True, ())


def test_a_node_is_killed_and_one_added_and_nothing_is_missing(
    machines: Machines, make_config: MakeConfig, undisturbed: Path
) -> None:
    for _ in range(2):
        machines.add()
    config = make_config(engine="ray", address=machines.address, chunk=SMALL_CHUNK)
    done: list[str] = []

    def disturb(event: Event) -> None:
        if isinstance(event, ChunkDone):
            done.append(event.chunk_id)
            if len(done) == 4:
                machines.add(wait=False)
                machines.kill()

    report = run_job(config, listener=disturb)
    assert report.failed == 0
    assert sorted(set(done)) == sorted(done)
    assert len(done) == report.chunks_planned == 18
    assert_same(config, undisturbed)


@pytest.mark.slow
def test_four_nodes_one_killed_one_added_and_the_driver_killed_too(
    machines: Machines, make_config: MakeConfig, undisturbed: Path, practice: Path
) -> None:
    for _ in range(4):
        machines.add()
    config = make_config(engine="ray", address=machines.address, chunk=SMALL_CHUNK)
    first = start(config, practice)
    wait_for_files(config, 6, first)
    machines.kill()
    machines.add()
    wait_for_files(config, 14, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = ledger_times(config)
    assert 14 <= len(kept) < 36
    second = start(config, practice)
    assert second.wait(timeout=DEADLINE_S) == 0
    now = ledger_times(config)
    assert len(now) == 36
    assert {name: now[name] for name in kept} == kept
    assert_same(config, undisturbed)


@pytest.mark.slow
def test_a_node_that_joins_late_gets_an_actor_of_its_own(
    machines: Machines, make_config: MakeConfig, undisturbed: Path
) -> None:
    machines.add()
    config = make_config(engine="ray", address=machines.address, chunk=SMALL_CHUNK)
    places: list[set[str]] = []

    def grow(event: Event) -> None:
        if isinstance(event, ChunkDone):
            places.append(model_nodes())
            if len(places) == 1:
                machines.add()

    with patch("pipelines.engine.ray_chunks.CHECK_S", 0.2):
        run_job(config, listener=grow)
    assert len(places[0]) == 1
    assert len(places[-1]) == 2
    assert_same(config, undisturbed)


def model_nodes() -> set[str]:
    """Ids of the nodes that hold a model actor."""
    from ray._private.state import actors

    table = actors().values()
    return {
        row["Address"]["NodeID"]
        for row in table
        if row["ActorClassName"] == "InferActor" and row["State"] == "ALIVE"
    }


def start(config: JobConfig, practice: Path) -> "subprocess.Popen[str]":
    """The command, in a session of its own."""
    oracle = f"oracle:{practice}/truth.parquet"
    request = [
        f"{practice}/scenes/*.tif", "--ask", SHIPS, "--ask", ATOLLS, "--tile", "128",
        "--chunk", str(SMALL_CHUNK),
        "--reasoner", oracle, "--segmenter", oracle, "--out", config.out, "--address", str(config.address),
    ]  # fmt: skip
    return subprocess.Popen(
        [executable(), "run", *request, "--json"], start_new_session=True, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def wait_for_files(config: JobConfig, count: int, driver: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + DEADLINE_S
    while len(ledger_times(config)) < count:
        assert driver.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)


def ledger_times(config: JobConfig) -> dict[str, int]:
    """Modification time of every ledger file, nanoseconds."""
    return {str(path): path.stat().st_mtime_ns for path in Path(config.out).glob("answers/*/*.parquet")}
