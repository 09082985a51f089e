"""Objects as the page holds them: columns of plain JSON values. Knows no style and no file."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.map_frames import places
from pipelines.map_sources import areas, boxes, scores
from pipelines.plan import PlannedScene

MAX_OBJECTS = 20_000
"""Objects in the page itself; of more, a sample."""
LEAST_PER_QUESTION = 200
"""Of each question's objects the sample holds at least so many."""
MAX_POINTS = 400_000
"""Outline points in the page before outlines are simplified."""
SHOWN_TILES = 4
"""Tile ids of one object at most."""
DOT_PX = 8.0
"""Objects smaller than this on the screen are shown as dots."""
COLUMNS = ("q", "s", "a", "x", "y", "z", "g", "id", "label", "thinking", "tiles", "n", "tile", "box", "date")


@dataclass(slots=True)
class Words:
    """Texts of the page, each once; columns hold their numbers."""

    numbers: dict[str, int] = field(default_factory=dict)
    """Text to number, in the order of the numbers."""

    def number(self, text: str | None) -> int:
        """Number of a text."""
        return self.numbers.setdefault(text or "", len(self.numbers))


def sample_sizes(totals: list[int]) -> list[int]:
    """How many objects of each question the page holds: all, or shares of what it may hold."""
    whole = sum(totals)
    if whole <= MAX_OBJECTS:
        return totals
    least = [min(total, LEAST_PER_QUESTION) for total in totals]
    return [max(low, MAX_OBJECTS * total // whole) for low, total in zip(least, totals, strict=True)]


def sampled(ids: NDArray[np.object_], size: int) -> NDArray[np.int64]:
    """Numbers of so many objects, ascending; ids are digests, so the least of them are spread evenly."""
    return np.sort(np.argsort(ids, kind="stable")[:size])


def columns(
    table: pa.Table, question: int, *, scenes: Mapping[str, PlannedScene], words: Words
) -> dict[str, list[object]]:
    """Columns of some objects of one question, without outlines.

    Args:
        table: object rows.
        question: number of the question on the page.
        scenes: planned scenes by id.
        words: where texts go.
    """
    bounds, seen = boxes(table), places(scenes, table)
    tiles: list[list[str]] = table["tile_ids"].to_pylist()
    middles = ((bounds[:, :2] + bounds[:, 2:]) / 2).round(7)
    return {
        "q": [question] * len(table),
        "s": scores(table).tolist(),
        "a": areas(table).tolist(),
        "x": middles[:, 0].tolist(),
        "y": middles[:, 1].tolist(),
        "z": dot_zooms(bounds).tolist(),
        "g": [None] * len(table),
        "id": table["id"].to_pylist(),
        "label": [words.number(text) for text in table["label"].to_pylist()],
        "thinking": [words.number(text) for text in table["thinking"].to_pylist()],
        "tiles": [[words.number(tile) for tile in own[:SHOWN_TILES]] for own in tiles],
        "n": [len(own) for own in tiles],
        "tile": [words.number(place.tile) for place in seen],
        "box": [place.box for place in seen],
        "date": [words.number(day) for day in days(table)],
    }


def outlines(shapes: NDArray[np.object_]) -> tuple[list[object], bool]:
    """Geometries as GeoJSON, to a centimetre, thinned out until a browser can hold them; were they?"""
    tolerance, light = 1e-6, shapes
    while shapely.get_num_coordinates(light).sum() > MAX_POINTS and tolerance < 1e-3:
        light = shapely.simplify(light, tolerance)
        tolerance *= 2
    rounded = shapely.transform(light, lambda points: points.round(7))
    return [shapely.geometry.mapping(shape) for shape in rounded], light is not shapes


def dot_zooms(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) zooms from which objects with these bounds (n, 4) are larger than a dot."""
    share = np.maximum(mercator_sides(bounds).max(axis=1), 1e-9)
    zooms: NDArray[np.float64] = np.log2(DOT_PX / (512.0 * share))
    return zooms.round(2)


def mercator_sides(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) width and height of bounds (n, 4) as shares of the world's, in web mercator."""
    latitude = np.radians(np.clip(bounds[:, 1::2], -85.0, 85.0))
    north = np.arcsinh(np.tan(latitude)) / (2 * np.pi)
    return np.column_stack([(bounds[:, 2] - bounds[:, 0]) / 360.0, north[:, 1] - north[:, 0]])


def days(table: pa.Table) -> list[str]:
    """Acquisition day of each object, empty where unknown."""
    return [when.date().isoformat() if when else "" for when in table["datetime"].to_pylist()]
