"""The benchmark `overhead`: Ray against the plain loop, with models that take no time."""

import statistics
from functools import partial

from benchmarks.measure import Row, divided, interleaved
from benchmarks.runs import null_run
from benchmarks.scenes import large_scene
from benchmarks.settings import Settings

NAME = "overhead"
ONE, TWO = "one actor", "two actors"


def measure(settings: Settings) -> list[Row]:
    """Tiles per second of Ray over the loop on the large scene, with and without the engine's start."""
    scene = large_scene(settings)
    runs = interleaved(
        {
            engine: partial(null_run, scene, settings, engine=engine, watch=False)
            for engine in ("loop", "ray")
        },
        settings,
    )
    whole = {engine: [run.rate for run in found] for engine, found in runs.items()}
    steady = {engine: [run.steady for run in found] for engine, found in runs.items()}
    tiles = runs["loop"][0].tiles
    actors = interleaved(
        {
            name: partial(null_run, scene, settings, engine="ray", watch=False, workers=count)
            for name, count in ((ONE, 1), (TWO, 2))
        },
        settings,
    )
    rates = {name: [run.steady for run in found] for name, found in actors.items()}
    return [
        Row(
            NAME,
            f"{tiles} tiles, first to last commit: Ray with two model actors over one",
            divided(rates[TWO], rates[ONE]),
            f"{statistics.median(rates[TWO]):.1f} and {statistics.median(rates[ONE]):.1f} tiles/s",
        ),
        _row(f"{tiles} tiles, start and merge included: Ray over loop", whole),
        _row(f"{tiles} tiles, first to last commit: Ray over loop", steady),
    ]


def _row(what: str, rates: dict[str, list[float]]) -> Row:
    ray, loop = (statistics.median(rates[engine]) for engine in ("ray", "loop"))
    return Row(NAME, what, divided(rates["ray"], rates["loop"]), f"{ray:.1f} and {loop:.1f} tiles/s")
