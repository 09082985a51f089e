"""The log of a training: CSV as it goes, Parquet at its end, TensorBoard, lines on stderr and a picture."""

import csv
import io
import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

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


CSV, PARQUET, EVENTS, CURVE = "log.csv", "log.parquet", "events", "curve.png"
COUNTED = ("images", "tokens")
"""Figures that count what a step worked through; with `seconds` they are shown as a speed."""
QUIET_S = 30.0
"""Longest silence on stderr while steps are taken, seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one step."""

    step: int
    """Counted from 1."""
    figures: Mapping[str, float]
    """By name; a figure that was not given at this step is absent."""


def read_log(folder: Path) -> tuple[Row, ...]:
    """The rows of a log, steps rising; none where there is no log. A torn last line is left out.

    Raises:
        OSError: the file cannot be read.
    """
    path = folder / CSV
    return tuple(Row(step, figures) for step, figures in _parsed(path).items()) if path.exists() else ()


def _parsed(path: Path) -> dict[int, dict[str, float]]:
    text = path.read_text("utf-8")
    whole = text[: text.rfind("\n") + 1]
    lines = csv.DictReader(io.StringIO(whole))
    return {int(line["step"]): _figures(line) for line in lines}


def _figures(line: Mapping[str, str]) -> dict[str, float]:
    return {name: float(value) for name, value in line.items() if name != "step" and value}


class MetricsLog:
    """Writes the log of a training; opened on an old log it goes on there."""

    def __init__(self, folder: Path, *, every: int = 50, stream: IO[str] | None = None) -> None:
        """Open the log.

        Args:
            folder: Where it lies; made if need be.
            every: Steps between lines on the stream.
            stream: Where lines go, None for stderr.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._rows: dict[int, dict[str, float]] = {row.step: dict(row.figures) for row in read_log(folder)}
        self._columns = list(dict.fromkeys(name for row in self._rows.values() for name in row))
        self._file: IO[str] | None = None
        self._events: SummaryWriter | None = None
        self._lines = _Lines(every, stream or sys.stderr)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Log a step, counted from 1; figures of the step already there are united with these.

        The first call, and one that steps back, drops what an earlier try logged from this step on.
        """
        if self._events is None or (self._rows and step < next(reversed(self._rows))):
            self._rewind(step)
        given = {name: float(value) for name, value in figures.items()}
        if not given:
            return
        self._write(step, given)
        assert self._events is not None
        for name, value in given.items():
            self._events.add_scalar(name, value, step)
        self._lines.add(step, given)

    def draw(self) -> None:
        """Write the picture of all figures so far."""
        if self._rows:
            draw_curves(self._rows, self._folder / CURVE)

    def flush(self) -> None:
        """Have everything logged so far on disk."""
        if self._events is not None:
            self._events.flush()

    def close(self) -> None:
        """Write the Parquet file and the picture and let go of the files."""
        if self._rows:
            _write_parquet(self._rows, self._columns, self._folder / PARQUET)
        self.draw()
        if self._events is not None:
            self._events.close()
        if self._file is not None:
            self._file.close()
        self._events = self._file = None

    def _rewind(self, step: int) -> None:
        """Forget all from `step` on, in the file and on TensorBoard."""
        self._rows = {number: row for number, row in self._rows.items() if number < step}
        self._rewrite()
        if self._events is not None:
            self._events.close()
        self._events = SummaryWriter(str(self._folder / EVENTS), purge_step=step)

    def _write(self, step: int, given: dict[str, float]) -> None:
        new = [name for name in given if name not in self._columns]
        self._columns += new
        appended = step not in self._rows and not new
        self._rows.setdefault(step, {}).update(given)
        if not appended:
            self._rewrite()
            return
        assert self._file is not None
        self._file.write(self._line(step))
        self._file.flush()

    def _rewrite(self) -> None:
        """Write the whole file anew, so that a reader sees the old one or the new one."""
        if self._file is not None:
            self._file.close()
        path = self._folder / CSV
        part = path.with_suffix(".part")
        head = _csv_line(["step", *self._columns])
        part.write_text(head + "".join(self._line(step) for step in self._rows), "utf-8")
        os.replace(part, path)
        self._file = path.open("a", encoding="utf-8")

    def _line(self, step: int) -> str:
        row = self._rows[step]
        return _csv_line([str(step), *(repr(row[name]) if name in row else "" for name in self._columns)])


def _csv_line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _write_parquet(rows: Mapping[int, Mapping[str, float]], columns: Sequence[str], path: Path) -> None:
    """Column `step` int64, every figure float64, null where it was not given."""
    values = {name: pa.array([row.get(name) for row in rows.values()], pa.float64()) for name in columns}
    table = pa.table({"step": pa.array(list(rows), pa.int64()), **values})
    part = path.with_suffix(".part")
    pq.write_table(table, part, compression="zstd")
    os.replace(part, path)


class _Lines:
    """One line for so many steps, or after a long silence; speed over the steps since the last line."""

    def __init__(self, every: int, stream: IO[str]) -> None:
        self._every, self._stream = every, stream
        self._sums: dict[str, float] = {}
        self._last, self._last_printed = 0, -math.inf

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        for name in ("seconds", *COUNTED):
            if name in figures:
                self._sums[name] = self._sums.get(name, 0.0) + figures[name]
        if step - self._last < self._every and time.monotonic() - self._last_printed < QUIET_S:
            return
        shown = [f"{name} {value:.4g}" for name, value in figures.items() if name not in COUNTED]
        print("  ".join([f"step {step}", *shown, *self._speeds()]), file=self._stream, flush=True)
        self._sums.clear()
        self._last, self._last_printed = step, time.monotonic()

    def _speeds(self) -> list[str]:
        seconds = self._sums.get("seconds", 0.0)
        if seconds <= 0:
            return []
        return [f"{self._sums[name] / seconds:.4g} {name}/s" for name in COUNTED if name in self._sums]
