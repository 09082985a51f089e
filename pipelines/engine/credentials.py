"""Forwards the driver's credentials for object storage to workers that have none; used by the Ray executors.

The machines of a cluster may reach the bucket with credentials of their own (a role, a mounted profile): then
these are used. A worker without credentials gets those that the driver had at the start, from memory to
memory: they are never written into a job, a task's description, a runtime environment or a log.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, ParamSpec, TypeVar

from tiling.storage import credentials_to_forward, use_forwarded

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class WithCredentials(Generic[P, R]):
    """A step with the credentials that it may need; picklable if the step is."""

    step: Callable[P, R]
    """The step to run."""
    forwarded: Mapping[str, str] = field(repr=False)
    """Environment variables with the driver's credentials; empty where workers share its environment."""

    def use(self) -> None:
        """Set the driver's credentials in this process, unless it has credentials of its own."""
        use_forwarded(self.forwarded)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the step, with the driver's credentials if this process has none."""
        self.use()
        return self.step(*args, **kwargs)


def forwarded_to(address: str | None) -> Mapping[str, str]:
    """Credentials to forward to the workers of a cluster; none for workers started by this process."""
    return credentials_to_forward() if address else {}
