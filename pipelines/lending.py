"""Steps that take their driver's way to object storage along to workers that have none. Knows no Ray.

On a cluster the machines may reach the bucket by themselves (a role, a mounted profile): then that is used.
Where a worker finds no credentials, those the driver has at the start are lent to it, from memory to memory:
they never stand in a job, a task's description, a runtime environment or a log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

from tiling.buckets import borrow

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
