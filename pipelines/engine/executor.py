"""The protocol of executors, which run a step over many items, and the executor that runs in this process."""

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
        """Yield the outcomes in the order of the items; outcomes of chunks come in the order they finish."""
        ...


@dataclass(frozen=True, slots=True)
class SerialExecutor:
    """Runs the items in this process, one after another."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Yield the outcomes in the order of the items."""
        return (run_step(step, item) for item in items)


@dataclass(frozen=True, slots=True)
class WithProgress:
    """An executor that sends its listener an event for every item."""

    executor: Executor
    """What runs the steps."""
    listener: Listener
    """Receives the events of progress."""

    def map(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Yield the outcomes in the order in which the wrapped executor yields them."""
        doing = str(getattr(step, "doing", "merging"))
        for done, outcome in enumerate(self.executor.map(step, items), start=1):
            self.listener(MergeMoved(doing, done, len(items)))
            yield outcome


def run_step(step: Callable[[I], O], item: I) -> O:
    """Run one item, with the garbage collector paused if the step declares that it makes no reference cycles.

    The merge's steps make very many small objects; collector passes over these took a tenth of its time.
    """
    pauses = getattr(step, "makes_no_cycles", False) and gc.isenabled()
    if not pauses:
        return step(item)
    gc.disable()
    try:
        return step(item)
    finally:
        gc.enable()
