"""Steps that take their driver's way to object storage along to workers that have none.

On a cluster the machines may reach the bucket by themselves (a role, a mounted profile): then that is used.
Where a worker finds no credentials, those the driver has at the start are forwarded to it, from memory to
memory: they never stand in a job, a task's description, a runtime environment or a log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

from tiling.storage import credentials_to_forward, use_forwarded

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class WithCredentials(Generic[P, R]):
    """A step and the access it may need; as picklable as the step."""

    step: Callable[P, R]
    """What is to be done."""
    forwarded: Mapping[str, str] = field(repr=False)
    """Environment variables of the driver's access; empty where workers share its environment."""

    def use(self) -> None:
        """From here on, use the driver's access where this process has none."""
        use_forwarded(self.forwarded)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do the step, with the driver's access where this process has none."""
        self.use()
        return self.step(*args, **kwargs)


def forwarded_to(address: str | None) -> Mapping[str, str]:
    """Access to object storage for the workers of a cluster; those of this process share its environment."""
    return credentials_to_forward() if address else {}
