"""Painting of polygons and textures on a float canvas, true to a fraction of a pixel.

Coordinates: x right, y down, (0.0, 0.0) the corner of pixel (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from shapely import affinity

Floats = NDArray[np.float32]
Ring = NDArray[np.float64]
Colour = tuple[float, float, float]
PixelWindow = tuple[int, int, int, int]

SUBROWS = 4
"""Scan lines per pixel row of the outline's coverage; along a scan line the coverage is exact."""
SUPERSAMPLE = 4
"""Side of the sub-pixel grid on which the details inside an outline are drawn."""
BLOCK_PX = 256
"""Long objects are painted in blocks of this side, so that memory follows their area, not their bounds."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """One filled detail of a sketch."""

    ring: Ring
    """Shape (n, 2), x then y in pixels; closed by itself."""
    colour: Colour
    """Red, green, blue in 0..255."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """How one object looks: an outline, its base colour and the details clipped to it."""

    class_name: str
    """Name of the class, as in the catalogue."""
    outline: shapely.Polygon
    """What the truth records, in pixels; may have holes."""
    base: Colour
    """Colour of the whole outline before any detail."""
    strokes: tuple[Stroke, ...] = ()
    """Details in painting order; nothing of them shows outside the outline."""
    under: tuple[Stroke, ...] = ()
    """Surroundings painted on the ground before any object (a central island, a lagoon)."""
    height: float = 0.0
    """Length of the shadow in pixels; 0 casts none."""
    grain: float = 0.03
    """Relative strength of the fine texture."""


def turned(points: Ring, angle: float, x: float, y: float) -> Ring:
    """Turn points about the origin by radians from x towards y, then shift them; shape (n, 2)."""
    c, s = math.cos(angle), math.sin(angle)
    moved: Ring = points @ np.array([[c, s], [-s, c]]) + (x, y)
    return moved


def placed_sketch(sketch: Sketch, angle: float, x: float, y: float) -> Sketch:
    """Turn a sketch about its origin by radians from x towards y and move the origin to a point."""

    def moved(strokes: tuple[Stroke, ...]) -> tuple[Stroke, ...]:
        return tuple(Stroke(turned(stroke.ring, angle, x, y), stroke.colour) for stroke in strokes)

    outline = shapely.transform(sketch.outline, lambda points: turned(points, angle, x, y))
    return replace(sketch, outline=outline, strokes=moved(sketch.strokes), under=moved(sketch.under))


def window_of(bounds: Sequence[float], shape: tuple[int, int]) -> PixelWindow | None:
    """Give the pixels a bounding box touches, or None where it lies off the canvas.

    Args:
        bounds: x0, y0, x1, y1 in pixels.
        shape: Height and width of the canvas.

    Returns:
        x0, y0, x1, y1, half-open.
    """
    x0, y0 = max(0, math.floor(bounds[0])), max(0, math.floor(bounds[1]))
    x1, y1 = min(shape[1], math.ceil(bounds[2])), min(shape[0], math.ceil(bounds[3]))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def coverage(polygon: shapely.Polygon, window: PixelWindow) -> Floats:
    """Measure the part of each pixel that a polygon covers.

    Signed crossings of every edge with every scan line are summed along the rows; holes count negative.

    Returns:
        float32 in 0..1, shape (height, width) of the window.
    """
    rings = [(polygon.exterior, 1.0), *((hole, -1.0) for hole in polygon.interiors)]
    return _summed([shapely.get_coordinates(ring) for ring, _ in rings], [sign for _, sign in rings], window)


def _summed(rings: list[Ring], signs: list[float], window: PixelWindow) -> Floats:
    """Sum the crossings of closed rings; those of sign -1 are holes."""
    x0, y0, x1, y1 = window
    total = np.zeros((y1 - y0) * (x1 - x0 + 2), dtype=np.float64)
    for ring, sign in zip(rings, signs, strict=True):
        points = ring - (x0, y0)
        x, y = points[:-1].T
        clockwise = np.dot(x, points[1:, 1]) - np.dot(y, points[1:, 0]) < 0
        _add_crossings(total, points, -sign if clockwise else sign, (y1 - y0, x1 - x0))
    rows = np.cumsum(total.reshape(y1 - y0, x1 - x0 + 2), axis=1)[:, :-2]
    return np.minimum(np.maximum(rows * (1 / SUBROWS), 0.0), 1.0).astype(np.float32)


def _add_crossings(total: NDArray[np.float64], points: Ring, sign: float, shape: tuple[int, int]) -> None:
    """Add a closed ring's crossings to rows that are two cells wider than the window."""
    height, width = shape
    cut = np.minimum(np.maximum(np.ceil(points[:, 1] * SUBROWS - 0.5), 0), height * SUBROWS).astype(np.int64)
    first, last = np.minimum(cut[:-1], cut[1:]), np.maximum(cut[:-1], cut[1:])
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    line = np.arange(len(edge)) - (np.cumsum(count) - last)[edge]
    step = np.diff(points, axis=0)
    slope = step[:, 0] / np.where(count > 0, step[:, 1], 1.0)
    x = (points[:-1, 0] - points[:-1, 1] * slope)[edge] + (line + 0.5) * (1 / SUBROWS) * slope[edge]
    x = np.minimum(np.maximum(x, 0.0), float(width))
    column = x.astype(np.int64)
    cell = line // SUBROWS * (width + 2) + column
    weight = np.where(step[:, 1] > 0, -sign, sign)[edge]
    right = weight * (x - column)
    np.add.at(total, cell, weight - right)
    np.add.at(total, cell + 1, right)


def blocks(window: PixelWindow) -> Iterator[PixelWindow]:
    """Cut a window into blocks of at most `BLOCK_PX` pixels a side."""
    x0, y0, x1, y1 = window
    for y in range(y0, y1, BLOCK_PX):
        for x in range(x0, x1, BLOCK_PX):
            yield x, y, min(x + BLOCK_PX, x1), min(y + BLOCK_PX, y1)


def daub(canvas: Floats, stroke: Stroke, opacity: float = 1.0) -> None:
    """Paint one polygon in one colour.

    Args:
        canvas: float32 (height, width, 3), changed in place.
        stroke: Ring and colour, scene pixels.
        opacity: 0..1.
    """
    window = window_of((*stroke.ring.min(axis=0), *stroke.ring.max(axis=0)), canvas.shape[:2])
    ring = np.concatenate([stroke.ring, stroke.ring[:1]])
    colour = np.asarray(stroke.colour, dtype=np.float32)
    for block in [] if window is None else blocks(window):
        cover = _summed([ring], [1.0], block)
        if cover.any():
            _mix(canvas, block, cover[..., None] * opacity, colour)


def paint(canvas: Floats, sketch: Sketch, pieces: Sequence[shapely.Polygon], grain: Floats) -> None:
    """Paint a sketch's base and details inside the pieces of its outline that are kept.

    Args:
        canvas: float32 (height, width, 3), changed in place.
        sketch: In scene pixels.
        pieces: What is left of the outline after clipping.
        grain: float32 (height, width), fine texture of mean 0 and deviation 1.
    """
    for piece in pieces:
        window = window_of(piece.bounds, canvas.shape[:2])
        for block in [] if window is None else blocks(window):
            _paint_block(canvas, sketch, piece, block, grain)


def _paint_block(
    canvas: Floats, sketch: Sketch, piece: shapely.Polygon, block: PixelWindow, grain: Floats
) -> None:
    x0, y0, x1, y1 = block
    cover = coverage(piece, block)
    if not cover.any():
        return
    inside = _details(sketch, block) * (1 + sketch.grain * grain[y0:y1, x0:x1, None])
    _mix(canvas, block, cover[..., None], inside)


def _details(sketch: Sketch, block: PixelWindow) -> Floats:
    """Draw base and details on a finer grid and average them down to pixels."""
    x0, y0, x1, y1 = block
    size = ((x1 - x0) * SUPERSAMPLE, (y1 - y0) * SUPERSAMPLE)
    image = Image.new("RGB", size, _fill(sketch.base))
    draw = ImageDraw.Draw(image)
    for stroke in sketch.strokes:
        low, high = stroke.ring.min(axis=0), stroke.ring.max(axis=0)
        if low[0] < x1 and low[1] < y1 and high[0] > x0 and high[1] > y0:
            corners = np.rint((stroke.ring - (x0, y0)) * SUPERSAMPLE - 0.5)
            draw.polygon(corners.ravel().tolist(), fill=_fill(stroke.colour))
    return np.asarray(image.reduce(SUPERSAMPLE), dtype=np.float32)


def _fill(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(min(255.0, max(0.0, part))) for part in colour)
    return red, green, blue


def _mix(canvas: Floats, window: PixelWindow, cover: Floats, colour: Floats) -> None:
    x0, y0, x1, y1 = window
    under = canvas[y0:y1, x0:x1]
    under += (colour - under) * cover


def shade(canvas: Floats, sketch: Sketch, sun: tuple[float, float], depth: float) -> None:
    """Darken the ground on which an object's shadow falls.

    Args:
        canvas: float32 (height, width, 3), changed in place; the object itself is painted later, over it.
        sketch: In scene pixels; `height` is the shadow's length.
        sun: Unit vector in which shadows fall, x then y.
        depth: Share of the light that is lost, 0..1.
    """
    steps = np.linspace(0.0, sketch.height, max(2, math.ceil(sketch.height) + 1))
    moved = [affinity.translate(sketch.outline, sun[0] * step, sun[1] * step) for step in steps]
    union = shapely.union_all(moved)
    soft = 2.0
    for part in shapely.get_parts(union):
        window = window_of(part.buffer(soft).bounds, canvas.shape[:2])
        if window is not None:
            x0, y0, x1, y1 = window
            cover = ndimage.gaussian_filter(coverage(part, window), 0.7)
            canvas[y0:y1, x0:x1] *= 1 - depth * cover[..., None]


def smooth_noise(rng: np.random.Generator, size_px: int, cell_px: float) -> Floats:
    """Draw a smooth random field of mean about 0 and deviation about 1.

    Args:
        rng: Source of randomness.
        size_px: Side of the square field.
        cell_px: Distance over which it changes.

    Returns:
        float32 (size_px, size_px).
    """
    cells = max(4, math.ceil(size_px / cell_px) + 1)
    unit = Image.fromarray(np.eye(cells, dtype=np.float32))
    stretch = np.asarray(unit.resize((size_px, cells), Image.Resampling.BICUBIC), dtype=np.float32)
    field = stretch.T @ rng.standard_normal((cells, cells), dtype=np.float32) @ stretch
    return np.asarray((field - field.mean()) / max(float(field.std()), 1e-6), dtype=np.float32)
