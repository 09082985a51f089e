"""Draws the driver's memory over runs of growing size, for the benchmark `scale`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from benchmarks.scale_child import Sample


def draw(runs: Mapping[int, Sequence[Sample]], path: Path) -> None:
    """Draw memory of the driver over the tiles done, one line a run, as SVG."""
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    for tiles, samples in sorted(runs.items()):
        working = [item for item in samples if item.tiles > 0]
        axes.plot(
            [item.tiles for item in working],
            [item.held_bytes / 1e6 for item in working],
            label=f"{tiles:,} tiles",
        )
    axes.set(xscale="log", xlabel="tiles done", ylabel="driver's own memory, MB", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
    plt.close(figure)
