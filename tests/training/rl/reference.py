"""From the rewards of groups of completions to their advantages, as GRPO defines them.

Knows numbers alone. What trains uses TRL's own; this is for logs and to hold TRL to the formula.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

EPSILON = 1e-4
"""Added to the standard deviation, so that a group of equal rewards has advantages of 0."""

Scale = Literal["group", "batch", "none"]
"""Whose standard deviation divides: each group's own, that of all completions, or nobody's."""


def group_advantages(rewards: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return how much better each completion is than its group, in standard deviations.

    Source: DeepSeekMath, section 4.1 (group); Dr. GRPO leaves the division out (none).

    Args:
        rewards: (prompts, completions of each prompt); NaN where a completion could not be judged: it is
            left out of mean and deviation and has an advantage of 0.
        scale: whose standard deviation divides; it is the unbiased one.

    Returns:
        The same shape, float64.

    Raises:
        ValueError: the rewards are not a table, or a group has fewer than two completions.
    """
    values = np.asarray(rewards, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2:
        raise ValueError(f"rewards of shape {values.shape} hold no groups of at least two completions")
    better = values - _mean(values)
    if scale != "none":
        better = better / (_std(values if scale == "group" else values.reshape(1, -1)) + EPSILON)
    return np.nan_to_num(better, nan=0.0)


def share_without_signal(rewards: NDArray[np.float64]) -> float:
    """Return the share of groups whose completions all have the same reward, which give no gradient.

    Args:
        rewards: (prompts, completions of each prompt).
    """
    std = _std(np.asarray(rewards, dtype=np.float64))
    return float(np.mean(np.isclose(std, 0.0) | np.isnan(std)))


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, 1) mean of what is not NaN; NaN for a row of nothing."""
    judged = ~np.isnan(values)
    count = judged.sum(axis=1, keepdims=True)
    return np.where(count > 0, np.nansum(values, axis=1, keepdims=True) / np.maximum(count, 1), np.nan)


def _std(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, 1) unbiased standard deviation of what is not NaN; NaN for a row of fewer than two."""
    squares = np.nansum((values - _mean(values)) ** 2, axis=1, keepdims=True)
    free = (~np.isnan(values)).sum(axis=1, keepdims=True) - 1
    return np.where(free > 0, np.sqrt(squares / np.maximum(free, 1)), np.nan)
