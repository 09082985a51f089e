"""The land and the sea on which objects stand, and the clutter nobody asks about."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from training.scenery.drawing import Colour, Floats, Stroke, coverage, daub, smooth_noise
from training.scenery.shapes import dimmed, disc, rectangle, tint

FIELDS: tuple[Colour, ...] = (
    (104, 126, 72), (116, 132, 82), (92, 114, 66), (152, 128, 96), (138, 112, 84), (176, 160, 112),
    (162, 150, 104), (128, 132, 88), (166, 162, 154),
)  # fmt: skip
"""Grass, grass, meadow, soil, soil, dry field, stubble, scrub, concrete."""
SEA: Colour = (26, 52, 92)


def coastline(rng: np.random.Generator, size_px: int) -> shapely.Polygon:
    """Make a sea with a wavy coast that covers 25 to 60 % of a square scene, in scene pixels."""
    share = float(rng.uniform(0.25, 0.6))
    along = np.arange(-0.25 * size_px, 1.25 * size_px, 8.0)
    shore = np.full(len(along), share * size_px)
    for k in (1, 2, 4, 7):
        tall = float(rng.uniform(0.3, 1.0)) * size_px * 0.04 / k
        shore += tall * np.sin(along / size_px * 6.3 * k + rng.uniform(0, 6.3))
    far = -0.5 * size_px
    ring = np.concatenate([np.column_stack([along, shore]), [(along[-1], far), (along[0], far)]])
    return _spun(shapely.Polygon(ring), rng, size_px)


def _spun(sea: shapely.Polygon, rng: np.random.Generator, size_px: int) -> shapely.Polygon:
    """Turn the sea to one of four sides and tilt it a little about the scene's middle."""
    turn = float(rng.integers(4)) * math.pi / 2 + float(rng.uniform(-0.12, 0.12))
    spin = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    middle = size_px / 2
    return shapely.transform(sea, lambda points: (points - middle) @ spin + middle)


def paint_ground(
    rng: np.random.Generator, size_px: int, sea: shapely.Polygon | None, grain: Floats
) -> Floats:
    """Paint parcels, natural patches and the sea.

    Args:
        rng: Source of randomness.
        size_px: Side of the scene.
        sea: In scene pixels, or None inland.
        grain: float32 (size_px, size_px), fine texture.

    Returns:
        float32 (size_px, size_px, 3), colours 0..255.
    """
    canvas = _parcels(rng, size_px)
    wild = np.clip(smooth_noise(rng, size_px, 260) * 3 - 1.2, 0, 1)[..., None]
    canvas += (np.asarray(tint(rng, FIELDS[rng.integers(4)]), dtype=np.float32) - canvas) * wild
    tone = 1 + 0.06 * smooth_noise(rng, size_px, 90) + 0.045 * smooth_noise(rng, size_px, 9) + 0.035 * grain
    canvas *= tone[..., None]
    if sea is not None:
        _flood(canvas, rng, sea, grain)
    return canvas


def _parcels(rng: np.random.Generator, size_px: int) -> Floats:
    """Lay out fields as a turned brick pattern with wavy edges, some of them ploughed in rows."""
    turn = float(rng.uniform(0, math.pi))
    x = np.arange(size_px, dtype=np.float32)
    y = x[:, None]
    u = x * math.cos(turn) + y * math.sin(turn) + 14 * smooth_noise(rng, size_px, 200)
    v = y * math.cos(turn) - x * math.sin(turn) + 14 * smooth_noise(rng, size_px, 200)
    wide, deep = float(rng.uniform(180, 320)), float(rng.uniform(110, 220))
    row = np.floor(v / deep).astype(np.int32)
    column = np.floor(u / wide + row * np.float32(0.37)).astype(np.int32)
    number = (row * 61 + column * 37) % 97
    palette = np.array([tint(rng, FIELDS[rng.integers(len(FIELDS))], 6) for _ in range(97)], dtype=np.float32)
    ploughed = np.where(rng.random(97) < 0.3, 0.05, 0.0).astype(np.float32)
    rows = np.sin(v * (2 * math.pi / float(rng.uniform(5, 8)))) * ploughed[number] + 1
    canvas: Floats = palette[number]
    canvas *= rows[..., None]
    return canvas


def _flood(canvas: Floats, rng: np.random.Generator, sea: shapely.Polygon, grain: Floats) -> None:
    """Paint the sea with its swell, and a pale beach along it."""
    size = canvas.shape[0]
    window = (0, 0, size, size)
    beach = coverage(sea.buffer(float(rng.uniform(4, 9))), window)[..., None]
    canvas += (np.asarray(tint(rng, (196, 180, 140), 6), dtype=np.float32) - canvas) * beach * 0.9
    swell = 1 + 0.07 * smooth_noise(rng, size, 150) + 0.05 * smooth_noise(rng, size, 6) + 0.03 * grain
    water = np.asarray(tint(rng, SEA, 5), dtype=np.float32) * swell[..., None]
    canvas += (water - canvas) * coverage(sea, window)[..., None]


def scatter(
    canvas: Floats, rng: np.random.Generator, sea: shapely.Polygon | None, sun: tuple[float, float]
) -> None:
    """Paint trees, bushes, rocks, dirt, hedges and haystacks on dry ground, and foam on the sea.

    Args:
        canvas: float32 (size, size, 3), changed in place.
        rng: Source of randomness.
        sea: In scene pixels, or None inland.
        sun: Unit vector in which shadows fall.
    """
    size = canvas.shape[0]
    places = rng.uniform(0, size, (int(rng.poisson(size * size / 48**2)), 2))
    afloat = np.zeros(len(places), dtype=np.bool_)
    if sea is not None:
        shapely.prepare(sea)
        afloat = shapely.contains_xy(sea, places)
    for place, water in zip(places, afloat, strict=True):
        for stroke, opacity in _foam(rng) if water else _clutter(rng, sun):
            daub(canvas, Stroke(stroke.ring + place, stroke.colour), opacity)


def _clutter(rng: np.random.Generator, sun: tuple[float, float]) -> list[tuple[Stroke, float]]:
    draw = float(rng.random())
    if draw < 0.55:
        return _tree(rng, sun)
    if draw < 0.7:
        return [(Stroke(_blob(rng, rng.uniform(1.5, 4)), tint(rng, (150, 146, 138), 14)), 0.95)]
    if draw < 0.85:
        return [(Stroke(_blob(rng, rng.uniform(6, 18)), tint(rng, (150, 122, 90), 8)), 0.6)]
    if draw < 0.94:
        return [(Stroke(_hedge(rng), tint(rng, (58, 86, 46), 6)), 0.9)]
    return [(Stroke(disc(0, 0, float(rng.uniform(2, 3.6)), 12), tint(rng, (206, 180, 106), 8)), 1.0)]


def _tree(rng: np.random.Generator, sun: tuple[float, float]) -> list[tuple[Stroke, float]]:
    radius, leaf = float(rng.uniform(2.5, 7)), tint(rng, (56, 88, 44), 8)
    crown = _blob(rng, radius)
    return [
        (Stroke(crown + np.multiply(sun, radius * 0.7), (24, 30, 22)), 0.45),
        (Stroke(crown, leaf), 1.0),
        (Stroke(crown * 0.5 - np.multiply(sun, radius * 0.25), dimmed(leaf, 1.25)), 0.8),
    ]


def _blob(rng: np.random.Generator, radius: float) -> NDArray[np.float64]:
    ring = disc(0, 0, radius, 11)
    return ring * rng.uniform(0.8, 1.15, (11, 1))


def _hedge(rng: np.random.Generator) -> NDArray[np.float64]:
    half, turn = float(rng.uniform(12, 40)), float(rng.uniform(0, math.pi))
    spin = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(rectangle(-half, -1.3, half, 1.3) @ spin)


def _foam(rng: np.random.Generator) -> list[tuple[Stroke, float]]:
    long = float(rng.uniform(1.5, 5))
    return [(Stroke(rectangle(-long, -0.4, long, 0.4), (190, 204, 214)), 0.35)]
