"""The benchmark `merge`: growth, memory and errors of the merge, in comparison with alternatives.

Fragments are synthetic, with true identities: see `synthetic.py`. Every figure is of a process of its own.
SAHI is measured where it is installed (`pip install sahi`).
"""

import json
import statistics
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec

from benchmarks.measure import Aim, Row, divided, interleaved
from benchmarks.merge_picture import draw
from benchmarks.settings import Settings
from benchmarks.watched import watched

NAME = "merge"
LIMIT_BYTES = 4e9
TIMEOUT_S = 1800.0
ROUNDS, BUDGETS = 3, 4
"""Maximum number of rounds, and their time budget in usual budgets: a round of the largest takes minutes."""
FLAT, WITHIN, FASTER, NO_SLOWER = Aim(maximum=1.15), Aim(maximum=1.0), Aim(minimum=3.0), Aim(minimum=1.0)
EXACT = Aim(minimum=1.0, maximum=1.0)
ERRORS = ("cut", "doubled", "glued", "missing")
PEERS = {"geopandas": FASTER, "sahi": NO_SLOWER}


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The figures that one process measured, and its memory."""

    facts: Mapping[str, float]
    """Its figures."""
    peak_bytes: int
    """Peak memory of the process and all its descendants together, 0 if it was not watched."""

    @property
    def seconds(self) -> float:
        """Wall time of the merge alone."""
        return self.facts["seconds"]


def measure(settings: Settings) -> list[Row]:
    """Growth, memory and errors of our merge at every size, and times and errors of the alternatives."""
    rows: list[Row] = []
    took: dict[str, dict[int, list[float]]] = {}
    longer = replace(settings, repeats=min(settings.repeats, ROUNDS), budget_s=BUDGETS * settings.budget_s)
    for size in sorted({*settings.merge_sizes, *settings.merge_peers}):
        _child("make", settings, size)
        ways = ("ours", *_there()) if size in settings.merge_peers else ("ours",)
        smaller = _smaller(size, settings)
        variants = {way: partial(_child, way, settings, size) for way in ways}
        beside = {"smaller": partial(_child, "ours", settings, smaller)} if smaller else {}
        found = interleaved({**variants, **beside}, longer)
        if smaller:
            rows.append(_growth({smaller: found.pop("smaller"), size: found["ours"]}, settings))
        for way, one in found.items():
            took.setdefault(way, {})[size] = [each.seconds for each in one]
        rows += [_verdict(settings, size), *_beside(size, found)]
    draw(took, settings.out / NAME / "merge.svg")
    return [*rows, _memory(settings)]


def _there() -> list[str]:
    return [name for name in PEERS if find_spec(name)]


def _verdict(settings: Settings, size: int) -> Row:
    facts = _child("verdict", settings, size).facts
    share = facts["objects"] / facts["true_objects"]
    return Row(NAME, f"objects over true objects, {_count(size)}: ours", (share,), _message(facts), EXACT)


def _beside(size: int, found: Mapping[str, list[ProcessFacts]]) -> list[Row]:
    """The ratios of each alternative's time to ours, and its errors."""
    rows = []
    for way in [name for name in found if name != "ours"]:
        ours, other = ([one.seconds for one in found[name]] for name in ("ours", way))
        detail = (
            f"{statistics.median(other):.2f} s, ours with reading and writing {statistics.median(ours):.2f} s"
        )
        again = [one.facts["again_s"] for one in found[way] if "again_s" in one.facts]
        detail += f"; its second call {statistics.median(again):.2f} s" if again else ""
        aim = PEERS[way] if size >= 100_000 or way == "sahi" else None
        rows.append(Row(NAME, f"time of {way} over ours, {_count(size)}", divided(other, ours), detail, aim))
        facts = found[way][0].facts
        share = facts["objects"] / facts["true_objects"]
        rows.append(Row(NAME, f"objects over true objects, {_count(size)}: {way}", (share,), _message(facts)))
    return rows


def _message(facts: Mapping[str, float]) -> str:
    errors = ", ".join(f"{name} {facts[name]:.0f}" for name in ERRORS if name in facts)
    return f"{facts['objects']:.0f} for {facts['true_objects']:.0f} true objects: {errors}"


def _smaller(size: int, settings: Settings) -> int:
    """The next smaller size, from which growth is measured; 0 if there is none."""
    sizes = (0, *settings.merge_sizes)
    return sizes[sizes.index(size) - 1] if size in settings.merge_sizes else 0


def _growth(found: Mapping[int, list[ProcessFacts]], settings: Settings) -> Row:
    """How time grows from one size to a larger one, both merged in the same rounds."""
    (less, a), (more, b) = (
        (size, [each.seconds / size * 1e6 for each in one]) for size, one in found.items()
    )
    detail = f"{statistics.median(a):.2f} and {statistics.median(b):.2f} µs a fragment"
    aim = FLAT if more == settings.merge_sizes[-1] else None
    return Row(NAME, f"time a fragment, {_count(more)} over {_count(less)}", divided(b, a), detail, aim)


def _memory(settings: Settings) -> Row:
    size = settings.merge_sizes[-1]
    peak = _child("ours", settings, size, watch=True).peak_bytes
    detail = f"{peak / 1e9:.2f} of {LIMIT_BYTES / 1e9:g} GB"
    what = f"peak memory of all processes, {_count(size)}: over the limit"
    return Row(NAME, what, (peak / LIMIT_BYTES,), detail, WITHIN)


def _child(way: str, settings: Settings, size: int, *, watch: bool = False) -> ProcessFacts:
    """Run one way of merging in a process of its own."""
    folder = settings.out / NAME
    command = [sys.executable, "-m", "benchmarks.merge_child", way, str(folder), str(size)]
    ended = watched(command, folder / f"{way}-{size}.log", watch=watch, timeout_s=TIMEOUT_S)
    return ProcessFacts(json.loads(ended.output.splitlines()[-1]), ended.peak_bytes)


def _count(fragments: int) -> str:
    return f"{fragments // 1_000_000}M" if fragments >= 1_000_000 else f"{fragments // 1000}k"
