"""One scene of the practice world: lay out, paint, and take it with an imperfect camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from training import PracticeError
from training.scenery import drawing, ground
from training.scenery.drawing import Floats
from training.scenery.layout import PlacedSketch, lay_out

MIN_PX = 64


@dataclass(frozen=True, slots=True)
class PracticeObject:
    """One true object of a scene."""

    class_name: str
    """Name of the class, as in the catalogue."""
    polygon: shapely.Polygon
    """Scene pixels, x right and y down; (0, 0) is the top-left corner of pixel (0, 0); may have holes."""


@dataclass(frozen=True, slots=True)
class PracticeScene:
    """A painted scene and everything that is true of it."""

    pixels: NDArray[np.uint8]
    """Shape (3, height, width), red, green, blue; 0 where not valid, 1..255 elsewhere."""
    valid: NDArray[np.bool_]
    """Shape (height, width); True where the camera saw the ground."""
    objects: tuple[PracticeObject, ...]
    """All labelled objects, clipped to the valid part."""


def draw_scene(
    size_px: int, *, seed: int, empty: bool = False, nodata_collar: bool = False, density: float = 1.0
) -> PracticeScene:
    """Draw one square scene; the same arguments give the same scene.

    Args:
        size_px: Side in pixels of 0.5 m, at least 64.
        seed: Not negative.
        empty: Ground and clutter only.
        nodata_collar: Leave a tilted frame without data about the scene.
        density: Objects per 75 by 75 pixels.

    Raises:
        PracticeError: If the size, the seed or the density is out of range.
    """
    _check(size_px, seed, density)
    rng = np.random.default_rng(seed)
    frame = _frame(rng, size_px) if nodata_collar else shapely.box(0, 0, size_px, size_px)
    sea = ground.coastline(rng, size_px) if rng.random() < 0.5 else None
    placed = [] if empty else lay_out(rng, frame, sea, size_px=size_px, density=density)
    canvas = _painted(rng, placed, sea, size_px)
    valid = drawing.coverage(frame, (0, 0, size_px, size_px)) > 0.5
    objects = tuple(PracticeObject(each.sketch.class_name, piece) for each in placed for piece in each.pieces)
    return PracticeScene(_exposed(rng, canvas, valid), valid, objects)


def _check(size_px: int, seed: int, density: float) -> None:
    if size_px < MIN_PX:
        raise PracticeError(f"size_px is {size_px}: ask for at least {MIN_PX} pixels a side")
    if seed < 0:
        raise PracticeError(f"seed is {seed}: give a whole number from 0 up")
    if not 0 <= density <= 4:
        raise PracticeError(f"density is {density}: give a number from 0 to 4 (1 is the usual)")


def _frame(rng: np.random.Generator, size_px: int) -> shapely.Polygon:
    """Make the tilted quadrilateral that holds data."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64)
    inward = np.sign(0.5 - corners) * rng.uniform(0.01, 0.12, (4, 2))
    return shapely.Polygon((corners + inward) * size_px)


def _painted(
    rng: np.random.Generator, placed: list[PlacedSketch], sea: shapely.Polygon | None, size_px: int
) -> Floats:
    """Paint ground, clutter, shadows and objects, in that order."""
    grain = rng.standard_normal((size_px, size_px), dtype=np.float32)
    bearing = float(rng.uniform(0, 2 * math.pi))
    sun = (math.cos(bearing), math.sin(bearing))
    canvas = ground.paint_ground(rng, size_px, sea, grain)
    ground.scatter(canvas, rng, sea, sun)
    _erect(canvas, placed, sun, grain)
    return canvas


def _erect(canvas: Floats, placed: list[PlacedSketch], sun: tuple[float, float], grain: Floats) -> None:
    """Paint what surrounds the objects, then all shadows, then the objects."""
    visible = [each for each in placed if each.pieces]
    for each in visible:
        for stroke in each.sketch.under:
            drawing.daub(canvas, stroke)
    for each in visible:
        if each.sketch.height > 0:
            drawing.shade(canvas, each.sketch, sun, depth=0.5)
    for each in visible:
        drawing.paint(canvas, each.sketch, each.pieces, grain)


def _exposed(rng: np.random.Generator, canvas: Floats, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give the canvas the camera's blur, tint, contrast and noise of this scene."""
    sigma, noise = float(rng.uniform(0.35, 0.65)), float(rng.uniform(1.5, 4.5))
    contrast, bright = float(rng.uniform(0.85, 1.15)), float(rng.normal(0, 8))
    gains = 1 + rng.normal(0, 0.03, 3)
    pixels = np.empty((3, *valid.shape), dtype=np.uint8)
    for band in range(3):
        seen = ndimage.gaussian_filter(canvas[..., band], sigma, truncate=3.0)
        seen = (seen - 118) * (contrast * gains[band]) + 118 + bright
        seen += noise * rng.standard_normal(valid.shape, dtype=np.float32)
        pixels[band] = np.where(valid, np.clip(np.rint(seen), 1, 255), 0)
    return pixels
