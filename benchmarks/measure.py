"""The rows of the benchmarks, one ratio each, and fair timing: interleaved rounds, new raster handles."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.processes import bytes_read
from benchmarks.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Aim:
    """What a ratio should be."""

    minimum: float = -math.inf
    """Lower bound."""
    maximum: float = math.inf
    """Upper bound."""

    def __str__(self) -> str:
        if self.minimum == self.maximum:
            return f"= {self.minimum:g}"
        return f">= {self.minimum:g}" if self.minimum > -math.inf else f"<= {self.maximum:g}"

    def met_by(self, ratio: float) -> bool:
        """Whether the ratio is within the bounds."""
        return self.minimum <= ratio <= self.maximum


@dataclass(frozen=True, slots=True)
class Row:
    """One measured ratio."""

    benchmark: str
    """Name of the benchmark."""
    what: str
    """The two measured quantities whose ratio this is."""
    ratios: tuple[float, ...]
    """One per round."""
    detail: str
    """The medians of both, with units."""
    aim: Aim | None = None
    """What it should be, None for a row of reference."""

    @property
    def ratio(self) -> float:
        """Median over the rounds."""
        return statistics.median(self.ratios)


@dataclass(frozen=True, slots=True)
class Timed:
    """What one piece of work took."""

    seconds: float
    """Wall time."""
    read_bytes: int
    """Bytes that this process asked the system to read, cached or not."""


def timed(work: Callable[[], None]) -> Timed:
    """Time some work in a new thread, which starts without open rasters and closes those it opened."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_timed_here, work).result()


def interleaved(variants: Mapping[str, Callable[[], T]], settings: Settings) -> dict[str, list[T]]:
    """Measure every variant once a round, starting each round with another variant, within the time budget.

    Args:
        variants: what to call, by name.
        settings: number of rounds and time budget; the first round is always completed.

    Returns:
        Results by name, in the order of the rounds.
    """
    found: dict[str, list[T]] = {name: [] for name in variants}
    names = list(variants)
    began = time.perf_counter()
    for number in range(settings.repeats):
        spent = time.perf_counter() - began
        if number and spent * (number + 1) / number > settings.budget_s:
            break
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            found[name].append(variants[name]())
    return found


def divided(over: list[float], under: list[float]) -> tuple[float, ...]:
    """Ratio of each round's two figures."""
    return tuple(a / b for a, b in zip(over, under, strict=True))


def _timed_here(work: Callable[[], None]) -> Timed:
    before = bytes_read()
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    return Timed(seconds, bytes_read() - before)
