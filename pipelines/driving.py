"""What drives a step over many items: here, or on Ray. The steps are plain callables either way."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

I = TypeVar("I")  # noqa: E741 - item
O = TypeVar("O")  # noqa: E741 - outcome


class Drive(Protocol):
    """Does a step on every item, and gives what comes of it in the order of the items."""

    def __call__(self, step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
        """Drive the step over the items."""
        ...


def in_turn(step: Callable[[I], O], items: Sequence[I]) -> Iterator[O]:
    """Do the items in this process, one after another."""
    return (step(item) for item in items)
