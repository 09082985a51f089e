"""`python -m benchmarks [names…]`: measures, prints a table and saves it; a missed aim is not a failure."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import (
    areas,
    memory,
    merge,
    mosaic,
    outlines,
    overhead,
    querying,
    reading,
    scale,
    show,
    training,
)
from benchmarks.measure import Row
from benchmarks.settings import Settings, quick
from benchmarks.table import conditions, save
from benchmarks.table import show as show_table

BENCHMARKS: dict[str, Callable[[Settings], list[Row]]] = {
    module.NAME: module.measure
    for module in (reading, mosaic, outlines, areas, memory, overhead, merge, querying, scale, training, show)
}

USUAL = [name for name in BENCHMARKS if name != scale.NAME]
"""Benchmarks that run if none is named; a million tiles take hours and must be named."""

BUSY = 0.5
"""Load average above which the times are not reliable."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the named benchmarks, or all."""
    given = _parser().parse_args(arguments)
    settings = _settings(given)
    say = Console(stderr=True).print
    under = conditions()
    if under.load > BUSY:
        say(f"the load is {under.load}: what else runs here disturbs the times")
    rows: list[Row] = []
    for name in given.names or USUAL:
        say(f"measuring {name} …")
        rows += BENCHMARKS[name](settings)
        save(rows, settings, under)
    show_table(rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHMARKS)}; default all but scale"
    )
    parser.add_argument("--size", type=int, help="side of the scene that is read, pixels (10000)")
    parser.add_argument("--repeats", type=int, help="rounds at most (5)")
    parser.add_argument("--out", type=Path, default=Path("bench-out"), help="folder of scenes and results")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: does all of it work?")
    return parser


def _settings(given: argparse.Namespace) -> Settings:
    unknown = set(given.names) - BENCHMARKS.keys()
    if unknown:
        _parser().error(f"no benchmark {', '.join(sorted(unknown))}: choose from {', '.join(BENCHMARKS)}")
    settings = quick(given.out) if given.quick else Settings(given.out)
    changed = {"size_px": given.size, "repeats": given.repeats}
    too_small = {name: value for name, value in changed.items() if value is not None and value < 1}
    if too_small:
        _parser().error(f"{too_small}: give whole numbers from 1 up")
    return replace(settings, **{name: value for name, value in changed.items() if value is not None})


if __name__ == "__main__":
    main()
