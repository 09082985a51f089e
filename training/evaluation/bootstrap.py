"""How sure a metric is: 95 % intervals by percentile bootstrap over examples or places."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
_BLOCK = 4_000_000
"""Numbers drawn at once, so that memory stays small."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and where it would lie on other examples of the same sort."""

    mean: float
    """The figure itself; NaN if it is not defined."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end of the 95 % interval."""


def intervals(
    sums: NDArray[np.float64], *, seed: int, rounds: int = 2_000, places: Sequence[str] | None = None
) -> list[Interval]:
    """Figures that are each a sum of numerators over a sum of denominators, resampled together.

    Args:
        sums: (n, k, 2) numerator and denominator of k figures for n examples; a mean has denominators 1.
        seed: the same seed draws the same examples.
        rounds: resamples.
        places: n names; examples of one place are drawn together. None draws each on its own.

    Returns:
        k intervals.
    """
    drawn = _resampled(sums, seed, rounds, places)
    return [_interval(mean, column) for mean, column in zip(_ratio(sums.sum(axis=0)), drawn.T, strict=True)]


def differences(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    *,
    seed: int,
    rounds: int = 10_000,
    places: Sequence[str] | None = None,
) -> list[Interval]:
    """By how much each of k figures rose between two runs on the same examples, `after` minus `before`.

    Both runs are resampled with the same draws, so that what makes an example hard cancels out.

    Args:
        before: (n, k, 2) numerators and denominators.
        after: the same of the other run, examples in the same order.
        seed: the same seed draws the same examples.
        rounds: resamples.
        places: n names; examples of one place are drawn together.

    Raises:
        ValueError: the runs have different numbers of examples.
    """
    if before.shape != after.shape:
        raise ValueError(f"paired runs need the same examples: {before.shape} before, {after.shape} after")
    both = np.concatenate([before, after], axis=1)
    risen = np.diff(_ratio(both.sum(axis=0)).reshape(2, -1), axis=0)[0]
    drawn = np.diff(_resampled(both, seed, rounds, places).reshape(rounds, 2, -1), axis=1)[:, 0]
    return [_interval(mean, column) for mean, column in zip(risen, drawn.T, strict=True)]


def _resampled(
    sums: NDArray[np.float64], seed: int, rounds: int, places: Sequence[str] | None
) -> NDArray[np.float64]:
    """(rounds, k) figures of resamples of (n, k, 2)."""
    grouped = _by_place(sums, places)
    flat = grouped.reshape(len(grouped), int(np.prod(sums.shape[1:])))
    drawn = [
        _ratio((counts @ flat).reshape(-1, *sums.shape[1:])) for counts in _draws(len(flat), seed, rounds)
    ]
    return np.concatenate(drawn)


def _by_place(sums: NDArray[np.float64], places: Sequence[str] | None) -> NDArray[np.float64]:
    if places is None:
        return sums
    names, place = np.unique(np.asarray(places, dtype=np.str_), return_inverse=True)
    grouped = np.zeros((len(names), *sums.shape[1:]))
    np.add.at(grouped, place, sums)
    return grouped


def _draws(n: int, seed: int, rounds: int) -> Iterator[NDArray[np.float64]]:
    """How often each of n examples is drawn, in blocks (rounds, n)."""
    rng = np.random.default_rng(seed)
    while rounds > 0:
        count = min(rounds, max(1, _BLOCK // max(n, 1)))
        drawn = rng.integers(0, max(n, 1), size=(count, n)) + n * np.arange(count)[:, None]
        yield np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n).astype(np.float64)
        rounds -= count


def _ratio(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    above, below = sums[..., 0], sums[..., 1]
    ratio: NDArray[np.float64] = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
    return ratio


def _interval(mean: float, drawn: NDArray[np.float64]) -> Interval:
    known = drawn[np.isfinite(drawn)]
    if not known.size or not np.isfinite(mean):
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(mean), float(low), float(high))
