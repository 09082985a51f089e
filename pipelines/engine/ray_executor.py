"""Steps over many items as Ray tasks, a bounded number under way, with the driver's credentials forwarded.

On a cluster the machines may reach the bucket by themselves (a role, a mounted profile): then that is used.
Where a worker finds no credentials, those the driver has at the start are forwarded to it, from memory to
memory: they never stand in a job, a task's description, a runtime environment or a log.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, ParamSpec, TypeVar

import ray
from ray.exceptions import RayTaskError

from pipelines.engine.executor import do, in_turn
from pipelines.engine.ray_cluster import connect, room
from tiling.storage import borrow, lend

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Lending(Generic[P, R]):
    """A step and the access it may need; as picklable as the step."""

    step: Callable[P, R]
    """What is to be done."""
    lent: Mapping[str, str] = field(repr=False)
    """Environment variables of the driver's access; empty where workers share its environment."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do the step, with the driver's access where this process has none."""
        borrow(self.lent)
        return self.step(*args, **kwargs)


I = TypeVar("I")  # noqa: E741 - item
O = TypeVar("O")  # noqa: E741 - outcome

FEW = 4
"""Fewer items than this start no cluster: they are done here sooner."""
AHEAD = 2
"""Items under way for each core."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Drives a step over a cluster, or over the cores of this machine."""

    address: str | None
    """The cluster, None for this machine."""

    def __call__(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Do the items as Ray tasks; what comes of them, in their order.

        Raises:
            RequestError: no such cluster.
            ray.exceptions.RayError: the cluster fails.
        """
        here = not items or (len(items) < FEW and not ray.is_initialized())
        return in_turn(step, items) if here else self._spread(step, items)

    def _spread(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        connect(self.address)
        shared: ray.ObjectRef[Any] = ray.put(Lending(step, lent_to(self.address)))
        waiting = deque[ray.ObjectRef[O]]()
        at_once = AHEAD * max(1, int(room().cpus))
        for item in items:
            if len(waiting) >= at_once:
                yield _outcome(waiting.popleft())
            waiting.append(_do.remote(shared, item))  # type: ignore[arg-type]
        while waiting:
            yield _outcome(waiting.popleft())


def lent_to(address: str | None) -> Mapping[str, str]:
    """Access to object storage for the workers of a cluster; those of this process share its environment."""
    return lend() if address else {}


def _outcome(ref: "ray.ObjectRef[O]") -> O:
    """What came of an item; what its task raised is raised here as itself."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        raise error.cause from error


@ray.remote(num_cpus=1)
def _do(step: Callable[[I], O], item: I) -> O:
    return do(step, item)
