"""The benchmark `outlines`: our outlines against rasterio.features.shapes, on masks with known outlines.

A mask is the share of each pixel that a practice object covers, which a perfect segmenter would give.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray

from benchmarks.measure import Aim, Row, divided, interleaved, timed
from benchmarks.scenes import drawn
from benchmarks.settings import Settings
from tiling.merge.vectorize import outlines
from training.scenery.drawing import coverage

NAME = "outlines"
SIDES = (224, 896)
"""Tiles, pixels."""

MAX_OBJECTS = 60
MIN_AREA_PX = 25.0
"""Smaller objects are left out, square pixels."""

Mask = NDArray[np.float32]
"""(side, side), 0 to 1."""

Trace = Callable[[Mask], Sequence[shapely.Geometry]]


@dataclass(frozen=True, slots=True)
class _Case:
    """One true object in one tile."""

    mask: Mask
    truth: shapely.Geometry
    """Tile pixels, cut at the tile's edge."""


def measure(settings: Settings) -> list[Row]:
    """Time and error of both ways, for small and for large tiles."""
    rows: list[Row] = []
    for side in SIDES:
        rows += _measure(_cases(max(settings.pattern_px, 256), side), side, settings)
    return rows


def _measure(cases: list[_Case], side: int, settings: Settings) -> list[Row]:
    ways: dict[str, Trace] = {"ours": outlines, "shapes": _shapes}
    times = interleaved(
        {n: partial(timed, partial(_trace_all, way, cases)) for n, way in ways.items()}, settings
    )
    seconds = {name: [item.seconds for item in took] for name, took in times.items()}
    each = {name: f"{statistics.median(took) / len(cases) * 1e3:.2f}" for name, took in seconds.items()}
    miss = {name: 1 - _mean_iou(way, cases) for name, way in ways.items()}
    what = f"{len(cases)} masks of {side}²"
    return [
        Row(
            NAME,
            f"{what}: time over features.shapes",
            divided(seconds["ours"], seconds["shapes"]),
            f"{each['ours']} and {each['shapes']} ms a mask",
        ),
        Row(
            NAME,
            f"{what}: (1 - IoU with the truth) over features.shapes",
            (miss["ours"] / miss["shapes"],),
            f"IoU {1 - miss['ours']:.4f} and {1 - miss['shapes']:.4f}",
            Aim(maximum=1.0),
        ),
    ]


def _cases(scene_px: int, side: int) -> list[_Case]:
    """Objects of the practice scene, each in a tile around it."""
    cases = []
    for each in drawn(scene_px).objects:
        case = _case(each.polygon, scene_px, side)
        if shapely.area(case.truth) >= MIN_AREA_PX:
            cases.append(case)
    return cases[:MAX_OBJECTS]


def _case(polygon: shapely.Polygon, scene_px: int, side: int) -> _Case:
    x, y = polygon.representative_point().coords[0]
    last = max(scene_px - side, 0)
    x0, y0 = (int(np.clip(round(at - side / 2), 0, last)) for at in (x, y))
    tile = shapely.box(x0, y0, x0 + side, y0 + side)
    truth = shapely.transform(shapely.intersection(polygon, tile), lambda points: points - (x0, y0))
    return _Case(coverage(polygon, (x0, y0, x0 + side, y0 + side)), truth)


def _shapes(mask: Mask) -> list[shapely.Geometry]:
    inside = (mask >= 0.5).astype(np.uint8)
    found = rasterio.features.shapes(inside, mask=inside.astype(bool))
    return [shapely.geometry.shape(geometry) for geometry, _ in found]


def _trace_all(trace: Trace, cases: list[_Case]) -> None:
    for case in cases:
        trace(case.mask)


def _mean_iou(trace: Trace, cases: list[_Case]) -> float:
    return statistics.fmean(_iou(shapely.union_all(trace(case.mask)), case.truth) for case in cases)


def _iou(found: shapely.Geometry, truth: shapely.Geometry) -> float:
    return float(shapely.intersection(found, truth).area / shapely.union(found, truth).area)
