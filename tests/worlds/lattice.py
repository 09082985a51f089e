"""A synthetic world of known objects, and the fragments that tiles would give of them, for `merge`.

Compact shapes lie on a lattice, and some cells hold two shapes with a common wall; roads lie in some rows of
the lattice, and one river winds through all of it. Everything follows from a seed and the position.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.grid import Grid, Tile

PITCH = 96
"""Side of a cell of the lattice, pixels."""
CORNERS = 8
"""Of a compact shape."""
JITTER_PX = 0.2
"""Standard deviation of the position of a corner from fragment to fragment."""
RIVER_ROWS = 40
"""Distance from one reach of the river to the next, cells."""
HALF_WIDTH = 10.0
"""Of river and roads, pixels."""
TERRACES = 0.15
"""Share of cells with two shapes that share a wall."""
MIN_AREA_PX = 4.0
TOUCH_PX = 0.75
RIVER = "river"
Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pieces:
    """What one tile shows, (n,) each."""

    shapes: NDArray[np.object_]
    """Outlines, working pixels."""
    names: NDArray[np.object_]
    """True identity of each."""


@dataclass(frozen=True, slots=True)
class World:
    """The true objects under one scene."""

    grid: Grid
    """The scene's tiles."""
    seed: int = 0
    """Seed of everything that is drawn."""

    @property
    def side(self) -> int:
        """Cells along one side of the lattice."""
        return self.grid.width // PITCH

    def truth(self) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
        """Identities of all objects and their areas, square pixels."""
        found = [self.compact(np.arange(self.side), row) for row in range(self.side)]
        names = [*(each.names for each in found), *(self.roads(row).names for row in self._road_rows())]
        shapes = [*(each.shapes for each in found), *(self.roads(row).shapes for row in self._road_rows())]
        areas = [shapely.area(each) for each in shapes]
        river = shapely.union_all(self.river(0, self.grid.width, 0, self.grid.height))
        return np.concatenate([*names, np.array([RIVER], object)]), np.concatenate([*areas, [river.area]])

    def _road_rows(self) -> range:
        return range(RIVER_ROWS // 2, self.side, RIVER_ROWS)

    def compact(self, columns: NDArray[np.int64], row: int) -> Pieces:
        """Compact objects in some cells of a row of the lattice."""
        columns = columns[(columns >= 2) & (columns < self.side - 2)]
        if row % (RIVER_ROWS // 2) in (0, 1, RIVER_ROWS // 2 - 1) or not len(columns):
            return Pieces(np.empty(0, object), np.empty(0, object))
        draw = _uniform(self.seed, columns, row, 5 + CORNERS)
        middle = (np.column_stack((columns, np.full(len(columns), row))) + 0.5) * PITCH
        middle += (draw[:, :2] - 0.5) * 16
        paired = draw[:, 2] < TERRACES
        alone = ~paired
        rings = _octagons(middle[alone], draw[alone, 3:])
        walls = _terraces(middle[paired], draw[paired, 3])
        numbers = columns + row * self.side
        names = [*_named("b", numbers[alone]), *_named("l", numbers[paired]), *_named("r", numbers[paired])]
        shapes = [np.asarray(shapely.polygons(each), object).reshape(-1) for each in (rings, *walls)]
        return Pieces(np.concatenate(shapes), np.array(names, object))

    def roads(self, row: int) -> Pieces:
        """Straight strips of 300 to 6,000 pixels in a row of the lattice, gaps between them."""
        draw = _uniform(self.seed, np.arange(self.grid.width // 600), row, 2)
        lengths = 300 + draw[:, 0] * 5700
        ends = np.cumsum(lengths + 40 + draw[:, 1] * 60) + 2 * PITCH
        kept = ends < self.grid.width - 2 * PITCH
        x0, x1 = (ends - lengths)[kept], ends[kept]
        y = (row + 0.5) * PITCH
        y0, y1 = np.full(len(x0), y - HALF_WIDTH), np.full(len(x0), y + HALF_WIDTH)
        names = np.array(_named(f"road-{row}-", np.arange(len(x0))), object)
        return Pieces(np.asarray(shapely.box(x0, y0, x1, y1), dtype=np.object_), names)

    def river(self, x0: int, x1: int, y0: int, y1: int) -> NDArray[np.object_]:
        """The boxes that make up the river, those that may meet a window."""
        reach = RIVER_ROWS * PITCH
        left, right = 0.5 * PITCH, self.side * PITCH - 0.5 * PITCH
        last = (self.side - 1) // RIVER_ROWS
        first, end = max(0, (y0 - reach) // reach), min(last, (y1 + reach) // reach)
        boxes = []
        for number in range(first, end + 1):
            y = (number * RIVER_ROWS + 0.5) * PITCH
            boxes.append(shapely.box(left, y - HALF_WIDTH, right, y + HALF_WIDTH))
            if number < last:
                x = right if number % 2 == 0 else left
                boxes.append(
                    shapely.box(x - HALF_WIDTH, y - HALF_WIDTH, x + HALF_WIDTH, y + reach + HALF_WIDTH)
                )
        return np.array(boxes, dtype=object)

    def near(self, x0: int, x1: int, y0: int, y1: int) -> Pieces:
        """All objects except the river that may meet a window."""
        columns = np.arange(max(0, x0 // PITCH - 1), min(self.side, x1 // PITCH + 2))
        rows = range(max(0, y0 // PITCH - 1), min(self.side, y1 // PITCH + 2))
        found = [self.compact(columns, row) for row in rows]
        found += [self.roads(row) for row in rows if row in self._road_rows()]
        return Pieces(
            np.concatenate([each.shapes for each in found]), np.concatenate([each.names for each in found])
        )


def seen_in(tile: Tile, objects: Pieces, river: NDArray[np.object_], draw: np.random.Generator) -> Pieces:
    """The fragments in a tile: every object clipped at its edges with jittered corners; the river exactly."""
    window = tile.window
    ground = shapely.box(window.x0, window.y0, window.x1, window.y1)
    bounds = shapely.bounds(objects.shapes)
    low, high = (window.x0, window.y0), (window.x1, window.y1)
    meets = ((bounds[:, :2] < high) & (bounds[:, 2:] > low)).all(axis=1)
    shapes, names = objects.shapes[meets], objects.names[meets]
    shapes = _jittered(shapes, draw)
    bounds = shapely.bounds(shapes)
    out = ((bounds[:, :2] < low) | (bounds[:, 2:] > high)).any(axis=1)
    shapes[out] = shapely.intersection(shapes[out], ground)
    water = shapely.get_parts(shapely.intersection(shapely.union_all(river), ground))
    shapes = np.concatenate([shapes, water])
    names = np.concatenate([names, np.full(len(water), RIVER, object)])
    kept = (shapely.area(shapes) >= MIN_AREA_PX) & (
        shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON
    )
    return Pieces(shapes[kept], names[kept])


def _jittered(shapes: NDArray[np.object_], draw: np.random.Generator) -> NDArray[np.object_]:
    """The polygons without holes, with jittered corners."""
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    off = draw.normal(0, JITTER_PX, points.shape)
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    off[np.append(first[1:], len(owner))[: len(first)] - 1] = off[first]  # rings end where they began
    return np.atleast_1d(
        np.asarray(shapely.polygons(shapely.linearrings(points + off, indices=owner)), object)
    )


def _octagons(middle: Points, draw: Points) -> Points:
    """Rings (n, corners, 2) around places."""
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False) + draw[:, :1]
    radius = (12 + 12 * draw[:, 1:2]) * (0.85 + 0.3 * draw[:, 2 : 2 + CORNERS])
    return np.stack((np.cos(angle), np.sin(angle)), axis=-1) * radius[:, :, None] + middle[:, None, :]


def _terraces(middle: Points, draw: Points) -> tuple[Points, Points]:
    """Two rectangles (n, 4, 2) on both sides of a common wall."""
    height = 14 + 12 * draw
    corners = np.array([[-1.0, -1.0], [0.0, -1.0], [0.0, 1.0], [-1.0, 1.0]])
    scale = np.column_stack((np.full(len(draw), 24.0), height))[:, None, :]
    left = corners[None] * scale + middle[:, None, :]
    return left, (corners + np.array([1.0, 0.0]))[None] * scale + middle[:, None, :]


def _named(kind: str, numbers: NDArray[np.int64]) -> list[str]:
    return [f"{kind}{number}" for number in numbers.tolist()]


def _uniform(seed: int, columns: NDArray[np.int64], row: int, count: int) -> Points:
    """Numbers in [0, 1), (n, count), that follow from seed and place.

    Source: the output function of SplitMix64, G. Steele, D. Lea, C. Flood, OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        place = columns.astype(np.uint64) << np.uint64(32)
        state = (place + np.uint64(row) + np.uint64(seed) * np.uint64(7919))[:, None] * np.uint64(count)
        steps = np.arange(1, count + 1, dtype=np.uint64)
        mixed = np.asarray(state + steps, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53), dtype=np.float64)
