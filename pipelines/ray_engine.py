"""Ray Data over the chunks: read tasks, a fixed pool of model actors, commit tasks."""

import logging
import os
import pickle
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy

from pipelines.errors import RequestError
from pipelines.merge_job import MergeItem, MergeStep
from pipelines.models import ModelRecipe
from pipelines.plan import Plan
from pipelines.steps import CommitStep, InferStep, ReadStep
from pipelines.tasks import ChunkDone, Pending, task_of
from reasoner.query import Query

IO_CPUS = 0.25
"""Share of a core a read or a commit claims: they mostly wait for storage or for the next stage."""

READS_PER_ACTOR = 2
"""Reads under way for each model actor: one is waiting while one is used."""

MAX_BLOCK_BYTES = 1 << 30
"""A chunk's pixels are one block; larger than any chunk, so that Ray never splits or joins them."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
"""No reports to anyone, and no advice on stderr."""

_Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Pool:
    """The model actors and what each claims."""

    size: int
    """Actors."""
    cpus: float
    """Cores of each."""
    gpus: float
    """GPUs of each."""


def run_chunks(
    plan: Plan, pending: Sequence[Pending], *, read: ReadStep, recipe: ModelRecipe, commit: CommitStep
) -> Iterator[ChunkDone]:
    """Do the pending chunks on Ray; an event per committed chunk, in the order they finish.

    Raises:
        RequestError: no such cluster, or it has not what the workers need.
        ray.exceptions.RayError: the cluster fails.
    """
    if not pending:
        return
    connect(plan.config.address)
    pool = choose_pool(plan.config.workers, _resources())
    yield from _stream(ray.put((plan, tuple(pending))), len(pending), (read, recipe, commit), pool)


def merge_parts(step: MergeStep, items: Sequence[MergeItem]) -> Iterator[pa.Table]:
    """Merge scenes and questions as Ray tasks, a bounded number at a time; tables in the order of the items.

    Raises:
        RequestError: no such cluster.
        ray.exceptions.RayError: the cluster fails.
    """
    connect(step.plan.config.address)
    shared, waiting = ray.put(step), deque[ray.ObjectRef[pa.Table]]()
    at_once = 2 * int(_resources().get("CPU", 1.0))
    for scene, query in items:
        if len(waiting) >= at_once:
            yield ray.get(waiting.popleft())
        waiting.append(_merge_one.remote(shared, scene, query))
    while waiting:
        yield ray.get(waiting.popleft())


@ray.remote(num_cpus=1)
def _merge_one(step: MergeStep, scene: int, query: Query) -> pa.Table:
    return step(scene, query)


def connect(address: str | None) -> None:
    """Join a cluster, or start Ray in this process; a Ray that runs already is used as it is.

    Raises:
        RequestError: there is no such cluster.
    """
    if ray.is_initialized():
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(**_init_options(address))
    except (ConnectionError, ValueError) as error:
        raise RequestError(
            "address", f"no Ray cluster at {address} ({error})", "leave it out to run here"
        ) from error


def choose_pool(workers: int | None, resources: Mapping[str, float]) -> Pool:
    """How many model actors, with what: one a GPU, else by cores, leaving room for reads and commits.

    Args:
        workers: as requested, None for automatic.
        resources: what the cluster has in all.

    Raises:
        RequestError: more workers are asked for than the cluster can hold.
    """
    cpus, gpus = resources.get("CPU", 1.0), resources.get("GPU", 0.0)
    if gpus:
        size = workers or int(gpus)
        return Pool(size, cpus=1.0, gpus=min(1.0, gpus / size))
    size = workers or (int(cpus) - 1 if cpus > 2 else max(1, int(cpus)))
    if size > 4 * cpus:
        raise RequestError("workers", f"{size} workers on {cpus:g} cores", f"give at most {int(4 * cpus)}")
    return Pool(size, cpus=min(1.0, (cpus - 2 * IO_CPUS) / size), gpus=0.0)


class InferActor:
    """Keeps one loaded pair of models in a worker process."""

    def __init__(self, recipe: ModelRecipe) -> None:
        self._infer = InferStep(recipe)

    def __call__(self, row: _Row) -> dict[str, object]:
        """Answer one chunk; rows hold pickled steps' values, one chunk a row."""
        return _packed(self._infer(_unpacked(row)))


def _stream(
    work: "ray.ObjectRef[tuple[Plan, tuple[Pending, ...]]]",
    count: int,
    steps: tuple[ReadStep, ModelRecipe, CommitStep],
    pool: Pool,
) -> Iterator[ChunkDone]:
    read, recipe, commit = steps
    _set_context()

    def read_one(row: _Row) -> dict[str, object]:
        plan, pending = _fetched(work)
        return _packed(read(task_of(plan, pending[int(str(row["id"]))])))

    def commit_one(row: _Row) -> dict[str, object]:
        return _packed(commit(_unpacked(row)))

    chunks = ray.data.range(count, override_num_blocks=count).map(
        read_one, num_cpus=IO_CPUS, compute=TaskPoolStrategy(size=READS_PER_ACTOR * pool.size)
    )
    answered = chunks.map(
        InferActor,  # type: ignore[arg-type]
        fn_constructor_args=(recipe,),
        compute=ActorPoolStrategy(size=pool.size, max_tasks_in_flight_per_actor=2),
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
    )
    commits = TaskPoolStrategy(size=pool.size)
    for row in answered.map(commit_one, num_cpus=IO_CPUS, compute=commits).iter_rows():
        yield _unpacked(row)


def _set_context() -> None:
    """One chunk a block, nothing printed, no block dropped."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.target_max_block_size = MAX_BLOCK_BYTES
    context.max_errored_blocks = 0
    context.execution_no_progress_timeout_s = -1
    logging.getLogger("ray.data").setLevel(logging.ERROR)


@lru_cache(maxsize=1)
def _fetched(work: "ray.ObjectRef[tuple[Plan, tuple[Pending, ...]]]") -> tuple[Plan, tuple[Pending, ...]]:
    """The plan, fetched once a worker process."""
    fetched: tuple[Plan, tuple[Pending, ...]] = ray.get(work)
    return fetched


def _resources() -> Mapping[str, float]:
    """What the cluster has in all: CPU, GPU, memory."""
    resources: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources


def _packed(value: object) -> dict[str, object]:
    return {"value": pickle.dumps(value, protocol=5)}


def _unpacked(row: _Row) -> Any:
    packed = row["value"]
    assert isinstance(packed, bytes)
    return pickle.loads(packed)


def _init_options(address: str | None) -> dict[str, Any]:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    return (
        {**quiet, "address": address}
        if address
        else {**quiet, "address": "local", "include_dashboard": False}
    )
