"""The step runner: the one place that turns any failure of a model into data."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one call."""

    reason: str
    """Class and message of the exception."""


def attempt(call: Callable[[], T]) -> T | Failure:
    """Result of a call, or what went wrong in it; a failure of one tile must not cost its neighbours."""
    try:
        return call()
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")
