"""What the map's sliders can be set to, and how many objects each setting leaves. Knows no geometry."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AREA_STEPS = 60
SCORE_STEP = 0.01

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Edges:
    """The settings of the sliders."""

    score: Numbers
    """Ascending; the first is at most the least score, the last at most the greatest."""
    area: Numbers
    """Ascending, square metres; the first is at most the least area, the last above the greatest."""


def filter_edges(score: Numbers, area: Numbers) -> Edges:
    """Settings that span all objects.

    Args:
        score: (n,) 0 to 1.
        area: (n,) square metres.
    """
    low, high = (_span(score) if len(score) else (0.0, 1.0)), (_span(area) if len(area) else (0.0, 1.0))
    return Edges(_score_edges(*low), _area_edges(*high))


def counts(score: Numbers, area: Numbers, edges: Edges) -> list[list[int]]:
    """How many objects lie between two neighbouring settings of both sliders.

    Args:
        score: (n,) scores of one question.
        area: (n,) its areas, square metres.
        edges: settings that span them.

    Returns:
        [score setting reached, area setting reached, objects], of all pairs that have any, sorted.
    """
    reached = np.column_stack([_reached(score, edges.score), _reached(area, edges.area)])
    pairs, number = np.unique(reached, axis=0, return_counts=True)
    return [[int(s), int(a), int(n)] for (s, a), n in zip(pairs, number, strict=True)]


def _reached(values: Numbers, edges: Numbers) -> NDArray[np.int64]:
    return np.searchsorted(edges, values, side="right") - 1


def _span(values: Numbers) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _score_edges(low: float, high: float) -> Numbers:
    first, last = (int(np.floor(value / SCORE_STEP + 1e-9)) for value in (low, high))
    return np.round(np.arange(first, last + 1) * SCORE_STEP, 2)


def _area_edges(low: float, high: float) -> Numbers:
    """Even steps of ratio, rounded to two digits, because people read them."""
    low, above = max(low, 0.1), max(high * 1.001, 0.2)
    inner = np.geomspace(low, above, AREA_STEPS + 1)[1:-1]
    digits = 10.0 ** (np.floor(np.log10(inner)) - 1)
    rounded = np.round(np.round(inner / digits) * digits, 2)
    kept = np.unique(rounded[(rounded > low) & (rounded <= high)])
    return np.concatenate([[0.0], kept, [np.ceil(above * 100) / 100]])
