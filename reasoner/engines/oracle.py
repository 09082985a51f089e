"""Engines that know the truth: exact boxes and exact masks of given polygons.

A lookup gives the true polygons of a tile; runs make it from a truth table.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon

from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.coordinates import CoordinateScale
from reasoner.dialects import Dialect, WrittenBox, write_boxes
from reasoner.parsing import Rules, parse_answer
from reasoner.query import Query, Task

Lookup = Callable[[TileView, Query], Sequence[Polygon]]
"""The true objects a query means on a view: polygons in tile pixels, clipped to the tile or not."""

MIN_AREA_PX = 2.0
"""Smaller pieces, tile pixels squared, are not seen: an object that a tile's edge cuts down to a sliver."""

ROUNDING_PX = 1e-6
"""What clipping and moving between coordinates may add to an edge, tile pixels."""


class OracleReasoner:
    """Answers with the exact whole-pixel hull box of every connected piece of the truth on the tile.

    For captions and questions in words it answers with the number of pieces.
    """

    def __init__(self, lookup: Lookup, *, digest: str, tile_px: int = 896) -> None:
        self._lookup = lookup
        self._digest = digest
        self._tile_px = tile_px

    @property
    def digest(self) -> str:
        """Digest of the truth, as given."""
        return self._digest

    @property
    def tile_px(self) -> int:
        """Native tile size, pixels."""
        return self._tile_px

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        """Answer every query about every view: one list per view, one completion per query in it."""
        return [[self._answer(view, query) for query in queries] for view in views]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion; equal boxes stay, because two objects may share a box."""
        rules = Rules(Dialect.LIST, keep_duplicates=True)
        return parse_answer(
            completion, query, rules=rules, scale=CoordinateScale(width, height, width, height)
        )

    def _answer(self, view: TileView, query: Query) -> Completion:
        seen = pieces(self._lookup(view, query), view)
        if query.task is not Task.LOCATE:
            return Completion(f"<answer>{len(seen)}</answer>", n_tokens=1)
        text = write_boxes([WrittenBox(hull_box(piece)) for piece in seen], Dialect.LIST)
        return Completion(text, n_tokens=4 * len(seen))


class OracleSegmenter:
    """Gives the exact coverage of every pixel by the piece of truth a box belongs to, with score 1.

    A box that is not the hull box of a piece gets an empty mask with score 0.
    """

    def __init__(self, lookup: Lookup, *, digest: str) -> None:
        self._lookup = lookup
        self._digest = digest

    @property
    def digest(self) -> str:
        """Digest of the truth, as given."""
        return self._digest

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        """Masks for each answer, in order."""
        return [self._masks(view, answer) for answer in answers]

    def _masks(self, view: TileView, answer: Answer) -> Masks:
        height, width = view.pixels.shape[:2]
        probabilities = np.zeros((len(answer.boxes), height, width), dtype=np.float32)
        scores = np.zeros(len(answer.boxes), dtype=np.float32)
        if len(answer.boxes):
            matched = _matched(answer.boxes, pieces(self._lookup(view, answer.query), view))
            for index, piece in matched.items():
                probabilities[index] = pixel_coverage(piece, width=width, height=height)
                scores[index] = 1.0
        return Masks(probabilities, scores)


def pieces(polygons: Sequence[Polygon], view: TileView, *, min_area_px: float = MIN_AREA_PX) -> list[Polygon]:
    """Return the connected pieces of the polygons on the tile, each at least `min_area_px` large.

    Pieces of one polygon are ordered by their bounds, polygons stay in the order given.
    """
    height, width = view.pixels.shape[:2]
    clipped = shapely.intersection(np.array(polygons, dtype=object), shapely.box(0, 0, width, height))
    parts = shapely.get_parts(clipped, return_index=True)
    found = [
        (int(index), part.bounds, part)
        for part, index in zip(*parts, strict=True)
        if part.geom_type == "Polygon" and part.area >= min_area_px
    ]
    return [part for _, _, part in sorted(found, key=lambda entry: entry[:2])]


def hull_box(piece: Polygon) -> tuple[float, float, float, float]:
    """Return the smallest box of whole pixels around a piece: x0, y0, x1, y1, half-open."""
    x0, y0, x1, y1 = piece.bounds
    # An edge that lies on a pixel's border but for rounding does not open the next pixel.
    left, top = (float(math.floor(value + ROUNDING_PX)) for value in (x0, y0))
    right, bottom = (float(math.ceil(value - ROUNDING_PX)) for value in (x1, y1))
    return left, top, right, bottom


def pixel_coverage(piece: Polygon, *, width: int, height: int) -> NDArray[np.float32]:
    """Return the share of every pixel that a polygon covers: (height, width), 0 to 1, exact to float32.

    Blocks that the polygon's boundary crosses are quartered down to single pixels, so the cost follows the
    length of the boundary and not the area.
    """
    covered = np.zeros((height, width), dtype=np.float32)
    side = 1 << max(width - 1, height - 1, 0).bit_length()
    corners = np.zeros((1, 2), dtype=np.int64)
    shapes = np.array([shapely.intersection(piece, shapely.box(0, 0, width, height))], dtype=object)
    while len(corners):
        areas = shapely.area(shapes)
        # An intersection's area may miss a whole block by rounding, so full means full to 1e-9.
        full = areas >= side * side * (1 - 1e-9)
        _fill(covered, corners[full], side)
        crossed = (areas > 0) & ~full
        corners, shapes, areas = corners[crossed], shapes[crossed], areas[crossed]
        if side == 1:
            covered[corners[:, 1], corners[:, 0]] = areas
            break
        side //= 2
        corners, shapes = _quartered(corners, shapes, side)
    return covered


def _fill(covered: NDArray[np.float32], corners: NDArray[np.int64], side: int) -> None:
    for x, y in corners:
        covered[y : y + side, x : x + side] = 1.0


def _quartered(
    corners: NDArray[np.int64], shapes: NDArray[np.object_], side: int
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    steps = np.array([(0, 0), (side, 0), (0, side), (side, side)], dtype=np.int64)
    quarters = (corners[:, None, :] + steps[None]).reshape(-1, 2)
    x, y = quarters[:, 0], quarters[:, 1]
    return quarters, shapely.intersection(np.repeat(shapes, 4), shapely.box(x, y, x + side, y + side))


def _matched(boxes: NDArray[np.float64], seen: Sequence[Polygon]) -> dict[int, Polygon]:
    """Pair boxes with pieces of the same hull box; equal boxes pair in order."""
    by_key: dict[tuple[tuple[float, ...], int], Polygon] = {}
    counted: Counter[tuple[float, ...]] = Counter()
    for piece in seen:
        box = hull_box(piece)
        by_key[box, counted[box]] = piece
        counted[box] += 1
    matched, asked = {}, Counter[tuple[float, ...]]()
    for index, row in enumerate(boxes):
        box = (float(row[0]), float(row[1]), float(row[2]), float(row[3]))
        if (box, asked[box]) in by_key:
            matched[index] = by_key[box, asked[box]]
        asked[box] += 1
    return matched
