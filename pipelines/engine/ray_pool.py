"""The model actors of a run: started, restarted by Ray, and more of them as the cluster grows."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, cast

import ray

from pipelines import RequestError
from pipelines.engine.credentials import WithCredentials
from pipelines.engine.ray_cluster import Pool, choose_pool, room
from pipelines.engine.resources import Cluster
from pipelines.inference import ChunkAnswers, ChunkTask, InferStep
from tiling.raster import ChunkPixels

ForwardedStep = WithCredentials[[ChunkTask, ChunkPixels], ChunkAnswers]
"""The infer step as it travels to actors."""

PER_ACTOR = 3
"""Chunks under way for each model actor: one is read, one answered, one committed."""


class InferActor:
    """Keeps one loaded pair of models in a worker process, and loads them again when it is restarted."""

    def __init__(self) -> None:
        """Load nothing yet. A restart repeats this call: it has no arguments that could be lost."""
        self._step: InferStep | None = None

    def load(self, step: "list[ray.ObjectRef[ForwardedStep]]") -> str:
        """Load the models, so that a model that cannot be loaded is an error of its own; the node's id.

        Args:
            step: the step by reference, in a list: so it is fetched only where it is needed.
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
    """Room for one chunk under way at an actor."""

    actor: Any
    """Handle of the actor."""
    number: int
    """Which actor it is, from 0."""
    node_id: str = ""
    """Where it was last seen ready."""


class ActorPool:
    """Starts model actors, as many as the cluster has room for and there is work for."""

    def __init__(self, cluster: Cluster) -> None:
        """Look at the cluster; starts no actor yet.

        Raises:
            RequestError: it has not what the models need.
        """
        self._cluster = cluster
        self._slots: list[Slot] = []
        self._pool = choose_pool(cluster.workers, room(), need=cluster.need)

    def grown(self, waiting: int, *, known: Set[Slot]) -> list[Slot]:
        """Start the actors that there is now room for; all slots that are not known yet.

        Args:
            waiting: chunks that no slot has; there is at most one actor for each.
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
        """End the actors now: what comes next in the run wants their cores.

        They are asked to: Ray complains on stdout of one that is killed while it loads its models.
        """
        for slot in self._slots[::PER_ACTOR]:
            slot.actor.__ray_terminate__.remote()
        self._slots = []

    def _now(self) -> Pool:
        """The pool that the cluster has room for; the one there is while it has just lost too much."""
        try:
            return choose_pool(self._cluster.workers, room(), need=self._cluster.need)
        except RequestError:
            return self._pool

    def _start(self) -> Any:
        kind: Any = ray.remote(
            num_cpus=self._pool.cpus, num_gpus=self._pool.gpus, max_restarts=-1, scheduling_strategy="SPREAD"
        )(InferActor)
        return kind.remote()
