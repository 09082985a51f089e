"""The picture of a training log: a panel per group of figures, as measured and smoothed."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

ACROSS = 3
"""Panels in a row, at most."""
POINTS = 2000
"""Points drawn of a line, at most."""
WITHOUT = frozenset({"images", "tokens"})
"""Counts of a step: they hardly change, and the speed says more."""


def draw_curves(rows: Mapping[int, Mapping[str, float]], path: Path) -> None:
    """Write a PNG with one panel per group; the group of `reward/format` is `reward`, of `loss` itself.

    Args:
        rows: Figures by step, steps rising.
        path: The file, replaced whole.
    """
    groups = _groups(rows)
    across = min(ACROSS, max(1, len(groups)))
    down = max(1, math.ceil(len(groups) / across))
    figure = Figure(figsize=(4.5 * across, 3 * down), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (group, names) in enumerate(groups.items(), start=1):
        axes = figure.add_subplot(down, across, number, title=group, xlabel="step")
        for name in names:
            _line(axes, rows, name, label=name if len(names) > 1 else None)
        if len(names) > 1:
            axes.legend(fontsize=7)
    part = path.with_suffix(".part")
    figure.savefig(part, dpi=100, format="png")
    os.replace(part, path)


def smoothed(values: NDArray[np.float64], span: float) -> NDArray[np.float64]:
    """Exponential mean of shape (n,) that starts on the first value."""
    keep = 1 - 2 / (1 + max(1.0, span))
    out, mean, weight = np.empty_like(values), 0.0, 0.0
    for i, value in enumerate(values):
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        out[i] = mean / weight
    return out


def _groups(rows: Mapping[int, Mapping[str, float]]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for row in rows.values() for name in row if name not in WITHOUT):
        groups.setdefault(name.split("/")[0], []).append(name)
    return groups


def _line(axes: Axes, rows: Mapping[int, Mapping[str, float]], name: str, *, label: str | None) -> None:
    points = np.array([(s, row[name]) for s, row in rows.items() if math.isfinite(row.get(name, math.nan))])
    if not len(points):
        return
    smooth = smoothed(points[:, 1], len(points) / 20)
    thin = slice(None, None, math.ceil(len(points) / POINTS))
    (raw,) = axes.plot(points[thin, 0], points[thin, 1], alpha=0.3, linewidth=0.8)
    axes.plot(points[thin, 0], smooth[thin], color=raw.get_color(), linewidth=1.5, label=label)
