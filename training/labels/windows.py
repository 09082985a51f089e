"""Square windows of an image, scaled and turned: pixels, points and painted numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from tiling import Transform
from tiling.geo import moved
from tiling.raster import burn

TURNS = 8
"""Symmetries of the square: four quarter turns, plain or mirrored."""
NEAR = 1e-6
"""Windows that leave their image by no more lie within it, pixels."""


@dataclass(frozen=True, slots=True)
class Square:
    """A square window of an image and how it becomes a tile."""

    x0: float
    """Left edge, image pixels; may lie outside of the image."""
    y0: float
    """Top edge, image pixels; may lie outside of the image."""
    side: float
    """Width and height, image pixels, above 0."""
    tile_px: int
    """Width and height of the tile, tile pixels."""
    turn: int = 0
    """0 to 7: quarter turns against the clock, from 4 on after mirroring left and right."""

    def __post_init__(self) -> None:
        if not (self.side > 0 and self.tile_px > 0 and 0 <= self.turn < TURNS):
            raise ValueError(f"side and tile_px must be above 0 and turn within 0 to {TURNS - 1}: {self}")

    @property
    def matrix(self) -> Transform:
        """The way from image pixels to pixels of the turned tile."""
        scale = self.tile_px / self.side
        points = np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
        points = (points - (self.x0, self.y0)) * scale
        origin, across, down = _turned_points(points, self.tile_px, self.turn)
        (a, d), (b, e), (c, f) = across - origin, down - origin, origin
        return (float(a), float(b), float(c), float(d), float(e), float(f))


def _turned_points(points: NDArray[np.float64], tile_px: int, turn: int) -> NDArray[np.float64]:
    x, y = points[:, 0], points[:, 1]
    if turn & 4:
        x = tile_px - x
    for _ in range(turn & 3):
        x, y = y, tile_px - x
    return np.column_stack((x, y))


def cut_pixels(pixels: NDArray[np.uint8], square: Square) -> NDArray[np.uint8]:
    """The tile of a window, antialiased where it shrinks; zero where the window leaves the image.

    Args:
        pixels: (height, width, 3) uint8.
        square: Where to cut.

    Returns:
        (tile_px, tile_px, 3) uint8.
    """
    part, left, top = _surroundings(pixels, square)
    ends = (part.shape[1], part.shape[0])
    x0, y0 = max(square.x0 - left, 0.0), max(square.y0 - top, 0.0)
    box = (x0, y0, min(x0 + square.side, ends[0]), min(y0 + square.side, ends[1]))
    size = (square.tile_px, square.tile_px)
    tile = np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BILINEAR, box=box))
    return np.ascontiguousarray(turned_square(tile, square.turn))


def _surroundings(pixels: NDArray[np.uint8], square: Square) -> tuple[NDArray[np.uint8], int, int]:
    """The pixels a window needs, and their left and top edge in the image."""
    # A margin lets the filter see the neighbours of the window, as it would within the whole image.
    margin = int(np.ceil(max(1.0, square.side / square.tile_px))) + 1
    height, width = pixels.shape[:2]
    x0, y0 = int(np.floor(square.x0)) - margin, int(np.floor(square.y0)) - margin
    x1, y1 = (int(np.ceil(v + square.side)) + margin for v in (square.x0, square.y0))
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    part = pixels[top : max(bottom, top), left : max(right, left)]
    if _inside(square, width, height):
        return np.ascontiguousarray(part), left, top
    whole = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
    if part.size:
        whole[top - y0 : bottom - y0, left - x0 : right - x0] = part
    return whole, x0, y0


def _inside(square: Square, width: int, height: int) -> bool:
    x1, y1 = square.x0 + square.side, square.y0 + square.side
    return min(square.x0, square.y0) >= 0 and x1 <= width + NEAR and y1 <= height + NEAR


def turned_square(array: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """An array (side, side, …) under one of the eight symmetries of the square."""
    return np.rot90(array[:, ::-1] if turn & 4 else array, turn & 3)


def moved_boxes(boxes: NDArray[np.float64], matrix: Transform) -> NDArray[np.float64]:
    """Boxes (n, 4) x0, y0, x1, y1 after an affine map without slant."""
    first, second = moved(boxes[:, :2], matrix), moved(boxes[:, 2:], matrix)
    return np.column_stack((np.minimum(first, second), np.maximum(first, second)))


def ellipse(box: Sequence[float]) -> shapely.Polygon:
    """The ellipse inscribed in a box, as a polygon of 64 corners."""
    x0, y0, x1, y1 = box
    angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    across, down = np.cos(angle) * (x1 - x0), np.sin(angle) * (y1 - y0)
    return shapely.Polygon(np.column_stack(((x0 + x1 + across) / 2, (y0 + y1 + down) / 2)))


def painted(polygons: Sequence[shapely.Polygon], *, side: int) -> NDArray[np.int32]:
    """Numbers (side, side) int32 from 1 in the order given, 0 for ground; the smaller lie on top."""
    order = sorted(range(len(polygons)), key=lambda i: -float(polygons[i].area))
    labels = burn([polygons[i] for i in order], height=side, width=side)
    numbers = np.array([0, *(i + 1 for i in order)], np.int32)
    return numbers[labels]
