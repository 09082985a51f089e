"""Where objects stand: nothing overlaps, land objects stay dry, ships and atolls stay afloat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from training.scenery import shapes, strips
from training.scenery.drawing import PixelWindow, Ring, Sketch, placed_sketch, turned, window_of

GAP_PX = 3.0
"""Minimum distance between two objects of different groups."""
PIECE_PX2 = 60.0
"""What is left of a clipped object counts from this area on."""
STRIP_PX2 = 1500.0
"""What is left of a cut river or road counts from this area on."""
RIVER_GAP_PX = 40.0
"""Rivers keep this far from one another."""
TRIES = 30
STRIP_TRIES = 10
SPACING_PX = 75.0
"""At density 1 there is one object per square of this side."""

LAND: tuple[tuple[shapes.Maker, float], ...] = (
    (shapes.car_park, 1.0),
    (shapes.orchard, 1.0),
    (shapes.greenhouse, 0.3),
    (shapes.ring_road, 1.0),
    (shapes.aircraft, 1.0),
    (shapes.tennis_court, 1.0),
    (shapes.building, 1.5),
    (shapes.tank, 1.0),
    (shapes.pool, 1.0),
)
"""Makers with their weights, the largest first: they need the room most."""
SEA: tuple[tuple[shapes.Maker, float], ...] = ((shapes.atoll, 0.4), (shapes.ship, 0.6))


@dataclass(frozen=True, slots=True)
class PlacedSketch:
    """One sketch in its place."""

    sketch: Sketch
    """In scene pixels."""
    pieces: tuple[shapely.Polygon, ...]
    """The outline clipped to the frame and to what stands in its way; each is an object of the truth."""


class Site:
    """The free ground of one scene, pixel by pixel."""

    def __init__(self, frame: shapely.Polygon, sea: shapely.Polygon | None, size_px: int) -> None:
        """Start with the whole frame free.

        Args:
            frame: The part of the scene that holds data, scene pixels.
            sea: In scene pixels, or None inland.
            size_px: Side of the scene.
        """
        self.frame, self.sea, self.size_px = frame, sea, size_px
        self.dry = np.ones((size_px, size_px), dtype=np.bool_)
        self.wet = np.zeros((size_px, size_px), dtype=np.bool_)
        if sea is not None:
            self._mark(self.dry, sea.buffer(10), False)
            for water in shapely.get_parts(sea.buffer(-8)):
                self._mark(self.wet, water, True)

    def _mark(self, mask: NDArray[np.bool_], polygon: shapely.Polygon, value: bool) -> None:
        ring = shapely.get_coordinates(polygon.exterior)
        window = window_of((*ring.min(axis=0), *ring.max(axis=0)), mask.shape)
        if window is not None:
            x0, y0, x1, y1 = window
            mask[y0:y1, x0:x1][_inked(ring, window)] = value

    def fits(self, ring: Ring, free: NDArray[np.bool_]) -> bool:
        """Say whether the inside of a ring, shape (n, 2), is all free; what is outside the scene is free."""
        window = window_of((*ring.min(axis=0), *ring.max(axis=0)), free.shape)
        if window is None:
            return False
        x0, y0, x1, y1 = window
        column, row = np.clip(ring.astype(np.int64), 0, self.size_px - 1).T
        return bool(free[row, column].all() and free[y0:y1, x0:x1][_inked(ring, window)].all())

    def take(self, hull: shapely.Polygon) -> None:
        """Mark a hull's ground as no longer free."""
        self._mark(self.dry, hull, False)
        self._mark(self.wet, hull, False)

    def spot(self, rng: np.random.Generator, free: NDArray[np.bool_]) -> tuple[float, float]:
        """Draw a point, on free ground if one of 64 draws finds any."""
        points = rng.uniform(0, self.size_px, (64, 2))
        good = free[points[:, 1].astype(np.int64), points[:, 0].astype(np.int64)]
        x, y = points[int(good.argmax())]
        return float(x), float(y)


def _inked(ring: Ring, window: PixelWindow) -> NDArray[np.bool_]:
    """Rasterise a ring, the pixels under its edge included."""
    x0, y0, x1, y1 = window
    image = Image.new("L", (x1 - x0, y1 - y0))
    corners = np.floor(ring - (x0, y0))
    ImageDraw.Draw(image).polygon(corners.ravel().tolist(), fill=1, outline=1)
    return np.asarray(image, dtype=np.bool_)


def lay_out(
    rng: np.random.Generator,
    frame: shapely.Polygon,
    sea: shapely.Polygon | None,
    *,
    size_px: int,
    density: float,
) -> list[PlacedSketch]:
    """Choose objects and places for one scene: long ones first, then the others by rejection.

    Args:
        rng: Source of randomness.
        frame: The part of the scene that holds data, scene pixels.
        sea: In scene pixels, or None inland.
        size_px: Side of the scene.
        density: Objects per square of `SPACING_PX` on a side.
    """
    site = Site(frame, sea, size_px)
    placed = _strips(rng, site, density)
    for makers, free in ((LAND, site.dry), (SEA, site.wet)):
        expected = density * float(free.mean()) * (size_px / SPACING_PX) ** 2
        total = sum(weight for _, weight in makers)
        for maker, weight in makers:
            for _ in range(int(rng.poisson(expected * weight / total))):
                placed += _stand(rng, site, maker(rng), free)
    return placed


def _stand(
    rng: np.random.Generator, site: Site, group: list[Sketch], free: NDArray[np.bool_]
) -> list[PlacedSketch]:
    """Find room for a group of sketches, or give up after some tries."""
    points = shapely.get_coordinates([sketch.outline for sketch in group])
    hull = shapely.Polygon(shapely.get_coordinates(shapely.MultiPoint(points).convex_hull))
    grown = _with_gap(hull)
    for _ in range(TRIES):
        (x, y), angle = site.spot(rng, free), float(rng.uniform(0, 2 * math.pi))
        if site.fits(turned(grown, angle, x, y), free):
            site.take(_moved(hull, angle, x, y))
            return [_clipped(placed_sketch(sketch, angle, x, y), site.frame) for sketch in group]
    return []


def _moved(hull: shapely.Polygon, angle: float, x: float, y: float) -> shapely.Polygon:
    return shapely.transform(hull, lambda points: turned(points, angle, x, y))


def _with_gap(hull: shapely.Polygon) -> Ring:
    """Widen a hull by the minimum distance and by two pixels for the coarseness of the masks."""
    return shapely.get_coordinates(hull.buffer(GAP_PX + 2, 4).exterior)


def _clipped(sketch: Sketch, frame: shapely.Polygon) -> PlacedSketch:
    if frame.contains(sketch.outline):
        return PlacedSketch(sketch, (sketch.outline,))
    return PlacedSketch(sketch, polygons(sketch.outline.intersection(frame), PIECE_PX2))


def polygons(shape: BaseGeometry, minimum_px2: float) -> tuple[shapely.Polygon, ...]:
    """Give the polygons of any geometry that reach an area, the largest first."""
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    return tuple(sorted((part for part in parts if part.area >= minimum_px2), key=lambda part: -part.area))


def _strips(rng: np.random.Generator, site: Site, density: float) -> list[PlacedSketch]:
    """Lay rivers, then runways beside them, then roads, which end at both.

    Their number grows with the area, in scenes smaller than 2048 pixels with the side: else most had none.
    """
    side = site.size_px / 2048
    share = max(side, side**2) * density
    placed: list[PlacedSketch] = []
    for maker, mean in ((_river, 1.2), (_runway, 1.3), (_road, 2.2)):
        minimum = 1 if site.size_px >= 1500 and density >= 0.5 else 0
        for _ in range(max(minimum, int(rng.poisson(mean * share)))):
            best = max((maker(rng, site, placed) for _ in range(STRIP_TRIES)), key=_merit)
            if best.pieces:
                placed.append(best)
                for piece in best.pieces:
                    site.take(piece)
    return placed


def _merit(strip: PlacedSketch) -> float:
    """Prefer long strips in one piece."""
    areas = [piece.area for piece in strip.pieces]
    return sum(areas) - 0.5 * sum(areas[1:]) - 0.1 * max(areas, default=0.0) * max(0, len(areas) - 1)


def _runway(rng: np.random.Generator, site: Site, _: list[PlacedSketch]) -> PlacedSketch:
    sketch = _anywhere(rng, strips.runway(rng)[0], site.size_px)
    ok = site.fits(_with_gap(sketch.outline), site.dry)
    seen = _clipped(sketch, site.frame)
    return seen if ok and sum(piece.area for piece in seen.pieces) > 6000 else PlacedSketch(sketch, ())


def _anywhere(rng: np.random.Generator, sketch: Sketch, size_px: int) -> Sketch:
    x, y = rng.uniform(0.2 * size_px, 0.8 * size_px, 2)
    return placed_sketch(sketch, float(rng.uniform(0, math.pi)), float(x), float(y))


def _river(rng: np.random.Generator, site: Site, placed: list[PlacedSketch]) -> PlacedSketch:
    sketch = strips.river(rng, site.size_px)[0]
    if any(shapely.dwithin(sketch.outline, other.pieces, RIVER_GAP_PX).any() for other in placed):
        return PlacedSketch(sketch, ())
    return _cut(sketch, site, [], shore_px=0.0)


def _road(rng: np.random.Generator, site: Site, placed: list[PlacedSketch]) -> PlacedSketch:
    return _cut(strips.road(rng, site.size_px)[0], site, placed, shore_px=14.0)


def _cut(sketch: Sketch, site: Site, placed: list[PlacedSketch], *, shore_px: float) -> PlacedSketch:
    """End a strip at the shore and before what stands already; slivers go."""
    if not sketch.outline.is_valid:
        return PlacedSketch(sketch, ())
    left: BaseGeometry = sketch.outline
    if site.sea is not None:
        left = left.difference(site.sea.buffer(shore_px))
    for other in placed:
        left = left.difference(shapely.union_all(other.pieces).buffer(GAP_PX + 3))
    kept: list[shapely.Polygon] = []
    for piece in polygons(left.buffer(-3).buffer(3).intersection(site.frame), STRIP_PX2):
        if all(piece.distance(other) > GAP_PX for other in kept):
            kept.append(piece)
    return PlacedSketch(sketch, tuple(kept))
