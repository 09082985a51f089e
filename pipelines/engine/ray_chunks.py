"""Runs chunks on Ray: reads and commits as tasks, models in a pool of actors, a bounded number in flight.

It uses plain tasks and actors. Ray Data's streaming executor sometimes started its actors and then never a
read, with every core free, when the actors' share of a small machine left little for the reads.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import RayError, RayTaskError

from pipelines import ChunkDone, RequestError
from pipelines.engine.credentials import WithCredentials, forwarded_to
from pipelines.engine.ray_cluster import IO_CPUS, Pool, choose_pool, cluster_resources, connect
from pipelines.engine.resources import Cluster
from pipelines.inference import ChunkAnswers, ChunkStep, ChunkTask, InferStep, failed_chunk
from tiling.raster import ChunkPixels

STREAMED_TRIES = 2
"""Tries of a chunk beside other chunks. If its worker dies each time, the chunk is tried once more alone, so
that it cannot take others with it, and if that fails too its tiles are recorded as failed."""

NODES_LOST = 10
"""Times a chunk may lose its node before the chunk itself is suspected of killing it."""

IO_RETRIES = 3
"""Retries of a read or a commit whose worker died."""

CHECK_S = 5.0
"""Seconds between two checks of the cluster for lost and for new nodes."""


ForwardedStep = WithCredentials[[ChunkTask, ChunkPixels], ChunkAnswers]
"""The infer step in the form that is sent to actors."""

PER_ACTOR = 3
"""Chunks in flight for each model actor: one is read, one answered, one committed."""


class InferActor:
    """Holds one loaded pair of models in a worker process; a restarted actor loads them again."""

    def __init__(self) -> None:
        """Load nothing yet. A restart repeats this call, so it takes no arguments that could be lost."""
        self._step: InferStep | None = None

    def load(self, step: "list[ray.ObjectRef[ForwardedStep]]") -> str:
        """Load the models and return the node's id; a model that cannot be loaded raises here.

        Args:
            step: reference to the step, in a list so that Ray does not fetch it before it is needed.
        """
        if self._step is None:
            with_credentials = ray.get(step[0])
            with_credentials.use()
            self._step = cast("InferStep", with_credentials.step)
            self._step.load()
        return str(ray.get_runtime_context().get_node_id())

    def answer(
        self, step: "list[ray.ObjectRef[ForwardedStep]]", task: ChunkTask, pixels: ChunkPixels
    ) -> ChunkAnswers:
        """Answer one chunk."""
        self.load(step)
        assert self._step is not None
        return self._step(task, pixels)


@dataclass(slots=True, eq=False)
class Slot:
    """Room for one chunk in flight at an actor."""

    actor: Any
    """Handle of the actor."""
    number: int
    """Which actor it is, from 0."""
    node_id: str = ""
    """The node where it was last ready."""


class ActorPool:
    """Starts model actors, as many as the cluster has room for and there is work for."""

    def __init__(self, cluster: Cluster) -> None:
        """Check the cluster; no actor is started yet.

        Raises:
            RequestError: the cluster lacks what the models need.
        """
        self._cluster = cluster
        self._slots: list[Slot] = []
        self._pool = choose_pool(cluster.workers, cluster_resources(), requirement=cluster.requirement)

    def grown(self, waiting: int, *, known: Set[Slot]) -> list[Slot]:
        """Start the actors that the cluster now has room for, and return all slots that are not in use yet.

        Args:
            waiting: number of chunks without a slot; at most one actor is started for each.
            known: slots in use.
        """
        if self._slots:
            self._pool = self._now()
        actors = len(self._slots) // PER_ACTOR
        for _ in range(min(self._pool.size, actors + waiting) - actors):
            actor, number = self._start(), len(self._slots) // PER_ACTOR
            self._slots += [Slot(actor, number) for _ in range(PER_ACTOR)]
        return [slot for slot in self._slots if slot not in known]

    def close(self) -> None:
        """End the actors now, because the merge that follows needs their cores.

        They are asked to exit: Ray prints a complaint about an actor that is killed while it loads models.
        """
        for slot in self._slots[::PER_ACTOR]:
            slot.actor.__ray_terminate__.remote()
        self._slots = []

    def _now(self) -> Pool:
        """The pool that the cluster has room for; the present one if it has just lost too many nodes."""
        try:
            return choose_pool(
                self._cluster.workers, cluster_resources(), requirement=self._cluster.requirement
            )
        except RequestError:
            return self._pool

    def _start(self) -> Any:
        kind: Any = ray.remote(
            num_cpus=self._pool.cpus, num_gpus=self._pool.gpus, max_restarts=-1, scheduling_strategy="SPREAD"
        )(InferActor)
        return kind.remote()


def run_chunks(step: ChunkStep, tasks: Sequence[ChunkTask], cluster: Cluster) -> Iterator[ChunkDone]:
    """Run chunks on Ray and yield an event per committed chunk, in the order in which they finish.

    Raises:
        RequestError: there is no such cluster, or it lacks what the workers need.
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
        ray.exceptions.RayError: the cluster fails.
    """
    if not tasks:
        return
    connect(cluster.address)
    pool, forwarded = ActorPool(cluster), forwarded_to(cluster.address)
    parts = (step.read, step.infer, step.commit)
    line = _ChunkSteps(*(ray.put(WithCredentials(part, forwarded)) for part in parts))
    left = tasks
    try:
        for _ in range(STREAMED_TRIES):
            left = yield from _Stream(left, line, pool).run()
        for chunk in left:
            if (yield from _Stream([chunk], line, pool).run()):
                yield ray.get(_give_up.remote(line.commit, chunk))
    finally:
        pool.close()


@dataclass(frozen=True, slots=True)
class _ChunkSteps:
    """The three steps of a chunk, chained so that the data does not pass through this process."""

    read: "ray.ObjectRef[Any]"
    infer: "ray.ObjectRef[Any]"
    commit: "ray.ObjectRef[Any]"

    def ready(self, slot: Slot) -> "ray.ObjectRef[str]":
        """A reference that resolves to the node's id once the actor, restarted if need be, has its models."""
        loaded: ray.ObjectRef[str] = slot.actor.load.options(max_task_retries=-1).remote([self.infer])
        return loaded

    def send(self, task: ChunkTask, slot: Slot) -> "ray.ObjectRef[ChunkDone]":
        pixels = _read_one.remote(self.read, task)
        answers = slot.actor.answer.remote([self.infer], task, pixels)
        done: ray.ObjectRef[ChunkDone] = _commit_one.remote(self.commit, answers)
        return done


@dataclass(slots=True)
class _InFlight:
    """A call in flight: the steps of a chunk, or an actor that loads its models."""

    slot: Slot
    """The slot it occupies."""
    chunk: ChunkTask | None = None
    """The chunk that is worked on; None while an actor loads its models."""
    suspect: ChunkTask | None = None
    """The chunk the actor had when it died, kept until it is known whether its node died too."""


class _Stream:
    """One pass over some chunks; every slot of an actor has one chunk at a time.

    A slot is used once its actor has loaded its models, and after a death once they are loaded again.
    """

    def __init__(self, chunks: Sequence[ChunkTask], line: _ChunkSteps, pool: ActorPool) -> None:
        self._waiting = deque(chunks)
        self._line = line
        self._pool = pool
        self._free: list[Slot] = []
        self._busy = Counter[int]()
        self._died: list[ChunkTask] = []
        self._lost: dict[str, int] = {}
        self._under_way: dict[ray.ObjectRef[Any], _InFlight] = {}

    def run(self) -> Generator[ChunkDone, None, list[ChunkTask]]:
        """Run the chunks and return those whose worker died."""
        self._check()
        checked = time.monotonic()
        while self._open():
            while self._waiting and self._free:
                self._send(self._waiting.popleft())
            done, _ = ray.wait(list(self._under_way), num_returns=1, timeout=CHECK_S)
            for ref in done:
                event = self._finish(self._under_way.pop(ref), ref)
                if event is not None:
                    yield event
            if time.monotonic() - checked > CHECK_S:
                self._check()
                checked = time.monotonic()
        return self._died

    def _open(self) -> bool:
        return bool(self._waiting) or any(item.chunk or item.suspect for item in self._under_way.values())

    def _send(self, chunk: ChunkTask) -> None:
        """Give a chunk to the actor with the fewest chunks in flight."""
        slot = min(self._free, key=lambda slot: self._busy[slot.number])
        self._free.remove(slot)
        self._busy[slot.number] += 1
        self._under_way[self._line.send(chunk, slot)] = _InFlight(slot, chunk=chunk)

    def _check(self) -> None:
        """Use nodes that joined the cluster, and take chunks back from nodes that left it."""
        for slot in self._pool.grown(len(self._waiting), known=self._known()):
            self._under_way[self._line.ready(slot)] = _InFlight(slot)
        suspects = [item for item in self._under_way.values() if item.suspect]
        alive = {node.node_id for node in cluster_resources().nodes} if suspects else set()
        for item in suspects:
            if item.slot.node_id not in alive:
                self._requeue_or_suspect(item, node_lost=True)

    def _known(self) -> set[Slot]:
        return {*self._free, *(item.slot for item in self._under_way.values())}

    def _finish(self, item: _InFlight, ref: "ray.ObjectRef[Any]") -> ChunkDone | None:
        """The outcome of a call: a committed chunk; None where a worker died or only models were loaded."""
        found = _outcome(ref)
        self._busy[item.slot.number] -= item.chunk is not None
        if isinstance(found, ChunkDone):
            self._free.append(item.slot)
            return found
        if found is None:
            self._under_way[self._line.ready(item.slot)] = _InFlight(
                item.slot, suspect=item.chunk or item.suspect
            )
            return None
        if item.suspect:
            self._requeue_or_suspect(
                item, node_lost=item.slot.node_id not in {node.node_id for node in cluster_resources().nodes}
            )
        item.slot.node_id = found
        self._free.append(item.slot)
        return None

    def _requeue_or_suspect(self, item: _InFlight, *, node_lost: bool) -> None:
        """Requeue a chunk whose node was lost; a chunk whose worker died alone may have killed it."""
        assert item.suspect is not None
        key = item.suspect.ref.chunk_id
        self._lost[key] = self._lost.get(key, 0) + node_lost
        if node_lost and self._lost[key] <= NODES_LOST:
            self._waiting.appendleft(item.suspect)
        else:
            self._died.append(item.suspect)
        item.suspect = None


def _outcome(ref: "ray.ObjectRef[Any]") -> ChunkDone | str | None:
    """The value of a reference: a committed chunk, a ready actor's node id, or None if a worker died."""
    try:
        found: ChunkDone | str = ray.get(ref)
    except RayTaskError as error:
        if not isinstance(error.cause, RayError):
            raise error.cause from error
        return None
    except RayError:
        return None
    return found


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES, scheduling_strategy="SPREAD")
def _read_one(read: Callable[[ChunkTask], ChunkPixels], task: ChunkTask) -> ChunkPixels:
    return read(task)


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES)
def _commit_one(commit: Callable[[ChunkAnswers], ChunkDone], answers: ChunkAnswers) -> ChunkDone:
    return commit(answers)


@ray.remote(num_cpus=IO_CPUS, max_retries=IO_RETRIES)
def _give_up(commit: Callable[[ChunkAnswers], ChunkDone], task: ChunkTask) -> ChunkDone:
    reason = f"the worker died {STREAMED_TRIES + 1} times on this chunk, the last time with nothing beside it"
    return commit(failed_chunk(task, reason))
