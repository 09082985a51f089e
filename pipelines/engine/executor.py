"""What runs a step over many items: the protocol, and the serial one that runs them in this process."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pipelines import ChunkDone, Listener, MergeMoved
from pipelines.inference import CommitStep, InferStep, Pending, ReadStep
from pipelines.plan import ModelRecipe

I = TypeVar("I")  # noqa: E741 - item
O = TypeVar("O")  # noqa: E741 - outcome


class Drive(Protocol):
    """Does a step on every item, and gives what comes of it in the order of the items."""

    def __call__(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Drive the step over the items."""
        ...


@dataclass(frozen=True, slots=True)
class Telling:
    """A drive that tells a listener of every item."""

    drive: Drive
    """What drives the steps."""
    listener: Listener
    """Told of progress."""

    def __call__(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Drive the step over the items."""
        doing = str(getattr(step, "doing", "merging"))
        for done, outcome in enumerate(self.drive(step, items), start=1):
            self.listener(MergeMoved(doing, done, len(items)))
            yield outcome


def in_turn(step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
    """Do the items in this process, one after another."""
    return (do(step, item) for item in items)


def do(step: Callable[[I], O], item: I) -> O:
    """Do one item without the collector of reference cycles, of which the steps make none.

    They make very many small objects; looking through these again and again took a tenth of the merge's time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return step(item)
    finally:
        if collects:
            gc.enable()


def run_chunks_here(
    pending: Sequence[Pending], *, read: ReadStep, recipe: ModelRecipe, commit: CommitStep
) -> Iterator[ChunkDone]:
    """Do the pending chunks one after another; an event per committed chunk.

    Raises:
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
    """
    if not pending:
        return
    infer = InferStep(recipe)
    for item in pending:
        yield commit(infer(read(item.task())))
