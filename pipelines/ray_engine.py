"""Chunks on Ray: reads and commits as tasks, models in a fixed pool of actors, a bounded number under way.

Plain tasks and actors: Ray Data's streaming executor was seen to start its actors and then never a read, with
every core free, when the actors' share of a small machine left little for the reads.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
from ray.exceptions import RayError, RayTaskError

from pipelines.errors import RequestError
from pipelines.infer_chunk import failed_chunk
from pipelines.lending import Lending
from pipelines.merge_job import MergeItem, MergeStep
from pipelines.models import ModelRecipe
from pipelines.steps import CommitStep, InferStep, ReadStep
from pipelines.tasks import ChunkAnswers, ChunkDone, ChunkRead, ChunkTask, Pending
from reasoner.query import Query
from tiling.buckets import lend

IO_CPUS = 0.25
"""Share of a core a read or a commit claims: they mostly wait for storage."""

PER_ACTOR = 3
"""Chunks under way for each model actor: one is read, one answered, one committed."""

STREAMED_TRIES = 2
"""Tries of a chunk among others. One whose worker dies each time is then tried alone, so that it takes no
neighbour with it, and after that its tiles are recorded as failed."""

IO_RETRIES = 3
"""Further tries of a read or a commit whose worker died."""

MakeStep = Callable[[ModelRecipe], InferStep]
"""Loads the models."""

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""No reports to anyone, and no advice on stderr."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to run, and on how many workers."""

    address: str | None = None
    """Address of a Ray cluster, None for this process."""
    workers: int | None = None
    """Model actors, None for as many as fit."""


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
    pending: Sequence[Pending],
    *,
    read: ReadStep,
    recipe: ModelRecipe,
    commit: CommitStep,
    cluster: Cluster,
) -> Iterator[ChunkDone]:
    """Do the pending chunks on Ray; an event per committed chunk, in the order they finish.

    Raises:
        RequestError: no such cluster, or it has not what the workers need.
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
        ray.exceptions.RayError: the cluster fails.
    """
    if not pending:
        return
    connect(cluster.address)
    lent = _lent(cluster.address)
    pool = choose_pool(cluster.workers, _resources())
    actors = _start_actors(pool, recipe, count=len(pending))
    line = _Line(*(ray.put(Lending(step, lent)) for step in (read, InferStep, commit)))
    left: Sequence[Pending] = pending
    for _ in range(STREAMED_TRIES):
        left = yield from _streamed(left, line, actors * PER_ACTOR)
    for chunk in left:
        if (yield from _streamed([chunk], line, actors[:1])):
            yield ray.get(_give_up.remote(line.commit, chunk))


@dataclass(frozen=True, slots=True)
class _Line:
    """The three steps of a chunk, chained without passing through this process."""

    read: "ray.ObjectRef[Any]"
    make: "ray.ObjectRef[Any]"
    commit: "ray.ObjectRef[Any]"

    def ready(self, actor: Any) -> "ray.ObjectRef[None]":
        """Done when the actor, restarted if need be, has its models loaded."""
        loaded: ray.ObjectRef[None] = actor.load.options(max_task_retries=-1).remote(self.make)
        return loaded

    def send(self, chunk: Pending, actor: Any) -> "ray.ObjectRef[ChunkDone]":
        image = _read_one.remote(self.read, chunk)
        done: ray.ObjectRef[ChunkDone] = _commit_one.remote(
            self.commit, actor.answer.remote(self.make, image)
        )
        return done


def _streamed(
    chunks: Sequence[Pending], line: _Line, slots: Sequence[Any]
) -> Generator[ChunkDone, None, list[Pending]]:
    """Do chunks, one for each slot (an actor) at a time; returns those whose worker died.

    A slot is used as soon as its actor has loaded its models, and after a death once they are loaded again.
    """
    waiting, free, died = deque(chunks), deque[Any](), list[Pending]()
    under_way: dict[ray.ObjectRef[Any], tuple[Pending | None, Any]] = {
        line.ready(slot): (None, slot) for slot in slots
    }
    while waiting or any(chunk for chunk, _ in under_way.values()):
        while waiting and free:
            chunk, actor = waiting.popleft(), free.popleft()
            under_way[line.send(chunk, actor)] = (chunk, actor)
        (ref,), _ = ray.wait(list(under_way), num_returns=1)
        finished, actor = under_way.pop(ref)
        event = _outcome(ref)
        if event is None and finished is not None:
            died.append(finished)
            under_way[line.ready(actor)] = (None, actor)
            continue
        free.append(actor)
        if event is not None:
            yield event
    return died


def _outcome(ref: "ray.ObjectRef[Any]") -> ChunkDone | None:
    """What came of a call: a committed chunk, or None where a worker died or only models were loaded."""
    try:
        event: ChunkDone | None = ray.get(ref)
    except RayTaskError as error:
        if not isinstance(error.cause, RayError):
            raise error.cause from error
        return None
    except RayError:
        return None
    return event


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES)
def _read_one(read: Callable[[ChunkTask], ChunkRead], chunk: Pending) -> ChunkRead:
    return read(chunk.task())


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES)
def _commit_one(commit: Callable[[ChunkAnswers], ChunkDone], answers: ChunkAnswers) -> ChunkDone:
    return commit(answers)


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES)
def _give_up(commit: Callable[[ChunkAnswers], ChunkDone], chunk: Pending) -> ChunkDone:
    reason = f"the worker died {STREAMED_TRIES + 1} times on this chunk, the last time with nothing beside it"
    return commit(failed_chunk(chunk.task(), reason))


class InferActor:
    """Keeps one loaded pair of models in a worker process, and loads them again when it is restarted."""

    def __init__(self, recipe: ModelRecipe) -> None:
        self._recipe = recipe
        self._step: InferStep | None = None

    def load(self, make: MakeStep) -> None:
        """Load the models, so that a model that cannot be loaded is an error of its own."""
        if self._step is None:
            self._step = make(self._recipe)

    def answer(self, make: MakeStep, read: ChunkRead) -> ChunkAnswers:
        """Answer one chunk."""
        self.load(make)
        assert self._step is not None
        return self._step(read)


def _start_actors(pool: Pool, recipe: ModelRecipe, *, count: int) -> list[Any]:
    """Start the pool, at most one actor a chunk."""
    kind: Any = ray.remote(num_cpus=pool.cpus, num_gpus=pool.gpus, max_restarts=-1)(InferActor)
    return [kind.remote(recipe) for _ in range(min(pool.size, count))]


def _lent(address: str | None) -> Mapping[str, str]:
    """Access to object storage for the workers of a cluster; those of this process share its environment."""
    return lend() if address else {}


def merge_parts(step: MergeStep, items: Sequence[MergeItem]) -> Iterator[pa.Table]:
    """Merge scenes and questions as Ray tasks, a bounded number at a time; tables in the order of the items.

    Raises:
        RequestError: no such cluster.
        ray.exceptions.RayError: the cluster fails.
    """
    connect(step.plan.config.address)
    shared: ray.ObjectRef[Any] = ray.put(Lending(step, _lent(step.plan.config.address)))
    waiting = deque[ray.ObjectRef[pa.Table]]()
    at_once = 2 * int(_resources().get("CPU", 1.0))
    for scene, query in items:
        if len(waiting) >= at_once:
            yield _table(waiting.popleft())
        waiting.append(_merge_one.remote(shared, scene, query))
    while waiting:
        yield _table(waiting.popleft())


def _table(ref: "ray.ObjectRef[pa.Table]") -> pa.Table:
    """A merged table; what its task raised is raised here as itself."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from error


@ray.remote(num_cpus=1)
def _merge_one(step: Callable[[int, Query], pa.Table], scene: int, query: Query) -> pa.Table:
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


def _init_options(address: str | None) -> dict[str, Any]:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    return (
        {**quiet, "address": address}
        if address
        else {**quiet, "address": "local", "include_dashboard": False}
    )


def _resources() -> Mapping[str, float]:
    """What the cluster has in all: CPU, GPU, memory."""
    resources: Mapping[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources
