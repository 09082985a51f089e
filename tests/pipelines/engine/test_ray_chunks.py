"""Ray gives the same bytes as the plain loop, from many chunks, and survives the loss of a model worker."""

import math
import os
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from pipelines.engine import ray_executor
from pipelines.engine.executor import SerialExecutor
from pipelines.engine.ray_executor import RayExecutor
from pipelines.engine.resources import Cluster
from pipelines.errors import RequestError
from pipelines.inference.infer_chunk import ChunkTask, open_chunks
from pipelines.inference.steps import InferStep, ReadStep
from pipelines.jobs.run import run_job
from pipelines.jobs.work import chunk_step, model_recipe
from pipelines.merge import blocks
from pipelines.merge.job import merge_job
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import make_plan
from pipelines.progress import ChunkDone, Event
from pipelines.tables.ledger import Status
from pipelines.tables.objects import object_files
from tests.worlds.fixtures import MakeConfig, file_bytes
from tiling.grid import Chunk
from tiling.raster.chunks import ChunkPixels
from tiling.storage.store import Store


@pytest.mark.ray
def test_ray_gives_the_bytes_of_the_loop(make_config: MakeConfig, whole: Path, ray_here: None) -> None:
    config = make_config(engine="ray")
    events: list[Event] = []
    report = run_job(config, listener=events.append)
    done = [event.chunk_id for event in events if isinstance(event, ChunkDone)]
    assert len(done) == len(set(done)) == report.chunks_done == report.chunks_planned
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


@pytest.mark.ray
def test_ray_survives_the_loss_of_a_model_worker(
    make_config: MakeConfig, whole: Path, ray_here: None
) -> None:
    config = make_config(engine="ray", workers=1)
    killed: list[int] = []

    def kill_first_worker(event: Event) -> None:
        if isinstance(event, ChunkDone) and not killed:
            worker = model_worker()
            killed.append(worker)
            os.kill(worker, signal.SIGKILL)

    report = run_job(config, listener=kill_first_worker)
    assert killed
    assert report.failed == 0
    assert file_bytes(Path(config.out) / "objects") == file_bytes(whole / "objects")


@dataclass(frozen=True)
class Poison:
    """Pixels that kill whatever process looks at them."""

    chunk: Chunk

    @property
    def failed(self) -> dict[str, str]:
        os._exit(1)


@dataclass(frozen=True)
class PoisonedRead:
    """Reads one chunk as poison and the others as they are."""

    real: ReadStep
    chunk_id: str

    def __call__(self, task: ChunkTask) -> ChunkPixels:
        return Poison(task.chunk) if task.ref.chunk_id == self.chunk_id else self.real(task)  # type: ignore[return-value]


@pytest.mark.ray
@pytest.mark.slow
def test_a_chunk_that_kills_its_workers_is_recorded_and_the_rest_is_done(
    make_config: MakeConfig, ray_here: None
) -> None:
    config = make_config()
    store = Store(config.out)
    plan = make_plan(config)
    tasks, step = open_chunks(plan, ()), chunk_step(store, plan)
    poisoned = replace(step, read=PoisonedRead(step.read, tasks[1].ref.chunk_id))  # type: ignore[arg-type]
    events = list(RayExecutor(Cluster()).map(poisoned, tasks))
    failed = {event.chunk_id for event in events if Status.FAILED in event.statuses}
    assert len(events) == len(tasks)
    assert failed == {tasks[1].ref.chunk_id}


@pytest.mark.ray
def test_a_step_that_raises_is_raised_here_as_itself(make_config: MakeConfig, ray_here: None) -> None:
    config = make_config()
    plan = make_plan(config)
    gone = replace(model_recipe(plan), reasoner="oracle:nowhere/truth.parquet")
    step = replace(chunk_step(Store(config.out), plan), infer=InferStep(gone))
    with pytest.raises(RequestError, match="nowhere"):
        list(RayExecutor(Cluster()).map(step, open_chunks(plan, ())))


@pytest.mark.ray
def test_items_on_ray_come_back_in_their_order_and_errors_as_themselves(ray_here: None) -> None:
    on_ray = RayExecutor(Cluster()).map
    assert list(on_ray(math.sqrt, [4.0, 9.0])) == [2.0, 3.0]
    numbers = [float(number) for number in range(50)]
    assert list(on_ray(math.sqrt, numbers)) == list(SerialExecutor().map(math.sqrt, numbers))
    with pytest.raises(ValueError, match="domain"):
        list(on_ray(math.sqrt, [1.0, 2.0, -1.0, 3.0, 4.0]))


@pytest.mark.ray
def test_ray_merges_blocks_and_cells_to_the_bytes_of_the_loop(
    whole_copy: Path, ray_here: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = file_bytes(whole_copy / "objects")
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 1)
    monkeypatch.setattr(ray_executor, "FEW", 1)
    store = Store(str(whole_copy))
    store.remove(object_files(store))
    merge_job(store, read_plan(store), RayExecutor(Cluster()))
    assert file_bytes(whole_copy / "objects") == expected


def model_worker() -> int:
    """Process id of the actor that holds the models."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        alive = [
            p for p in psutil.Process().children(recursive=True) if "InferActor" in " ".join(p.cmdline())
        ]
        if alive:
            return int(max(alive, key=lambda process: process.create_time()).pid)
        time.sleep(0.05)
    raise LookupError("no model worker runs")
