"""What runs a step over many items: the protocol, and the executor that runs them in this process."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipelines import Listener, MergeMoved

I = TypeVar("I")  # noqa: E741 - item
O = TypeVar("O")  # noqa: E741 - outcome


class Executor(Protocol):
    """Runs a step over many items."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """The outcomes of the items, in their order; of chunks in the order in which they finish."""
        ...


@dataclass(frozen=True, slots=True)
class SerialExecutor:
    """Runs the items in this process, one after another."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """The outcomes of the items, in their order."""
        return (run_step(step, item) for item in items)


@dataclass(frozen=True, slots=True)
class WithProgress:
    """An executor that tells a listener of every item."""

    executor: Executor
    """What runs the steps."""
    listener: Listener
    """Told of progress."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """The outcomes of the items, as the executor gives them."""
        doing = str(getattr(step, "doing", "merging"))
        for done, outcome in enumerate(self.executor.map(step, items), start=1):
            self.listener(MergeMoved(doing, done, len(items)))
            yield outcome


def run_step(step: Callable[[I], O], item: I) -> O:
    """Run one item; without the collector of reference cycles, where the step says that it makes none.

    The merge's steps make very many small objects; looking through these again and again took a tenth of its
    time.
    """
    pauses = getattr(step, "makes_no_cycles", False) and gc.isenabled()
    if not pauses:
        return step(item)
    gc.disable()
    try:
        return step(item)
    finally:
        gc.enable()
