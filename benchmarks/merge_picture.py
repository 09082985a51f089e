"""Draws the time of merging over the number of fragments, for the benchmark `merge`."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

NAMES = {
    "ours": "ours, from ledger to GeoParquet",
    "geopandas": "geopandas: sjoin, components, dissolve; in memory",
    "sahi": "SAHI greedy_nmm: index lists only",
}


def draw(seconds: Mapping[str, Mapping[int, Sequence[float]]], path: Path) -> None:
    """Draw medians of seconds over fragments as SVG, with one line for each way of merging.

    Args:
        seconds: by way and number of fragments, one per round.
        path: of the picture.
    """
    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for way, by_size in seconds.items():
        sizes = sorted(by_size)
        medians = [statistics.median(by_size[size]) for size in sizes]
        axes.plot(sizes, medians, marker="o", label=NAMES[way], linewidth=2.5 if way == "ours" else 1.5)
    axes.set(xscale="log", yscale="log", xlabel="fragments", ylabel="seconds")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
    plt.close(figure)
