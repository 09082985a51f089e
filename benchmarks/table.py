"""Writes the rows as a table on the terminal, and as results.json and results.md."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import rasterio
from rich.console import Console
from rich.table import Table

from benchmarks.measure import Row
from benchmarks.processes import total_memory
from benchmarks.settings import Settings

COLUMNS = ("benchmark", "what", "ratio", "range", "rounds", "behind it", "aim")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions under which the rows were measured."""

    cores: int
    """Logical cores."""
    memory_gb: float
    """Memory of the machine, 1e9 bytes."""
    load: float
    """Mean number of busy processes in the minute before; above 0.5 something else was running."""
    python: str
    """Version of Python."""
    gdal: str
    """Version of GDAL."""
    ray: str
    """Version of Ray."""


def conditions() -> Conditions:
    """The conditions at this moment."""
    return Conditions(
        cores=os.cpu_count() or 1,
        memory_gb=round(total_memory() / 1e9, 1),
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        gdal=rasterio.__gdal_version__,
        ray=version("ray"),
    )


def show(rows: Sequence[Row]) -> None:
    """Print the table on stdout."""
    table = Table(title="benchmarks: medians of rounds that measure every variant in turn")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("ratio", "range", "rounds") else "left")
    for row in rows:
        table.add_row(*_cells(row), style="red" if row.aim and not row.aim.met_by(row.ratio) else "")
    Console(width=None if os.isatty(1) else 160).print(table)


def save(rows: Sequence[Row], settings: Settings, under: Conditions) -> None:
    """Write results.json and results.md into the output folder."""
    folder = settings.out
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "conditions": {name: getattr(under, name) for name in Conditions.__dataclass_fields__},
        "settings": {name: _plain(getattr(settings, name)) for name in Settings.__dataclass_fields__},
        "rows": [_record(row) for row in rows],
    }
    (folder / "results.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "results.md").write_text(_markdown(rows, under), encoding="utf-8")


def _cells(row: Row) -> tuple[str, ...]:
    spread = f"{min(row.ratios):.2f}–{max(row.ratios):.2f}" if len(row.ratios) > 1 else ""
    met = "" if row.aim is None else f"{row.aim} {'met' if row.aim.met_by(row.ratio) else 'missed'}"
    return row.benchmark, row.what, f"{row.ratio:.2f}", spread, str(len(row.ratios)), row.detail, met


def _record(row: Row) -> dict[str, object]:
    return {
        "benchmark": row.benchmark,
        "what": row.what,
        "ratio": row.ratio,
        "ratios": list(row.ratios),
        "detail": row.detail,
        "aim": str(row.aim) if row.aim else None,
        "met": row.aim.met_by(row.ratio) if row.aim else None,
    }


def _markdown(rows: Sequence[Row], under: Conditions) -> str:
    machine = (
        f"{under.cores} cores, {under.memory_gb:g} GB, load {under.load:g} at the start, "
        f"Python {under.python}, GDAL {under.gdal}, Ray {under.ray}."
    )
    lines = [
        machine,
        "",
        _line(COLUMNS),
        _line(["---"] * len(COLUMNS)),
        *(_line(_cells(row)) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
