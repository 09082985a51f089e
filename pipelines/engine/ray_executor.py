"""The executor on Ray: items run as tasks, chunks on a pool of model actors, a bounded number in flight."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import ray
from ray.exceptions import RayTaskError

from pipelines.engine.credentials import WithCredentials, forwarded_to
from pipelines.engine.executor import SerialExecutor, run_step
from pipelines.engine.ray_chunks import run_chunks
from pipelines.engine.ray_cluster import cluster_resources, connect
from pipelines.engine.resources import Cluster
from pipelines.inference import ChunkStep, ChunkTask

I = TypeVar("I")  # noqa: E741 - item
O = TypeVar("O")  # noqa: E741 - outcome

FEW = 4
"""Fewer items than this are run in this process, which is sooner than starting Ray."""
AHEAD = 2
"""Items in flight for each core."""


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs steps on a Ray cluster, or on the cores of this machine."""

    cluster: Cluster
    """The cluster to run on, and the number of workers."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Yield the outcomes in the order of the items; outcomes of chunks come in the order they finish.

        Raises:
            RequestError: there is no such cluster, or it lacks what the workers need.
            ModelError: a model cannot be loaded.
            ray.exceptions.RayError: the cluster fails.
        """
        if isinstance(step, ChunkStep):
            return cast("Iterator[O]", run_chunks(step, cast("Sequence[ChunkTask]", items), self.cluster))
        here = not items or (len(items) < FEW and not ray.is_initialized())
        return SerialExecutor().map(step, items) if here else self._tasks(step, items)

    def _tasks(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        address = self.cluster.address
        connect(address)
        shared: ray.ObjectRef[Any] = ray.put(WithCredentials(step, forwarded_to(address)))
        waiting = deque[ray.ObjectRef[O]]()
        at_once = AHEAD * max(1, int(cluster_resources().cpus))
        for item in items:
            if len(waiting) >= at_once:
                yield _outcome(waiting.popleft())
            waiting.append(_run.remote(shared, item))  # type: ignore[arg-type]
        while waiting:
            yield _outcome(waiting.popleft())


def _outcome(ref: "ray.ObjectRef[O]") -> O:
    """The outcome of an item; an exception of its task is raised here with its own type."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from error


@ray.remote(num_cpus=1)
def _run(step: WithCredentials[[I], O], item: I) -> O:
    step.use()
    return run_step(step.step, item)
