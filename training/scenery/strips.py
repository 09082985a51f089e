"""Random looks of the long classes: runways, rivers and roads, which may cross a whole scene."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from training.scenery.drawing import Ring, Sketch, Stroke
from training.scenery.shapes import WHITE, rectangle, tint


def runway(rng: np.random.Generator) -> list[Sketch]:
    """Make a dark strip about the origin with edge lines, dashes and threshold bars."""
    x, y = float(rng.uniform(500, 1800)) / 2, float(rng.uniform(28, 44)) / 2
    edge = y - 2
    strokes = [Stroke(rectangle(-x + 3, at - 0.6, x - 3, at + 0.6), WHITE) for at in (-edge, edge)]
    strokes += [Stroke(rectangle(at, -0.9, at + 24, 0.9), WHITE) for at in np.arange(-x + 62, x - 84, 44)]
    bars = np.linspace(-y + 5, y - 5, max(4, int(y / 2.2)))
    for start in (-x + 8, x - 40):
        strokes += [Stroke(rectangle(start, bar - 1.0, start + 32, bar + 1.0), WHITE) for bar in bars]
    for start in (-x + 110, x - 140):
        strokes += [
            Stroke(rectangle(start, at - 2.2, start + 30, at + 2.2), WHITE) for at in (-y * 0.45, y * 0.45)
        ]
    asphalt = tint(rng, (72, 72, 78), 5)
    return [Sketch("runway", shapely.box(-x, -y, x, y), asphalt, tuple(strokes), grain=0.05)]


def river(rng: np.random.Generator, size_px: int) -> list[Sketch]:
    """Make greenish-brown water that meanders across a scene of the given side, in scene pixels."""
    course = _course(rng, size_px, bend=float(rng.uniform(0.03, 0.06)), wave_px=float(rng.uniform(380, 620)))
    mean = float(rng.uniform(22, 36))
    sway = np.sin(np.arange(len(course)) * float(rng.uniform(0.08, 0.16)) + rng.uniform(0, 6.3))
    outline = _band(course, np.clip(mean * (1 + 0.12 * sway), 18, 40))
    margin = _band(course, np.full(len(course), mean * 1.12 + 6))
    bank = Stroke(_exterior(margin), tint(rng, (134, 124, 88), 6))
    return [Sketch("river", outline, tint(rng, (98, 108, 66), 5), under=(bank,), grain=0.025)]


def road(rng: np.random.Generator, size_px: int) -> list[Sketch]:
    """Make a light-grey road with a centre line, straight or gently curved, in scene pixels."""
    bend = float(rng.uniform(0.01, 0.05)) if rng.random() < 0.6 else 0.0
    course = _course(rng, size_px, bend=bend, wave_px=float(size_px * rng.uniform(0.8, 1.6)))
    outline = _band(course, np.full(len(course), float(rng.uniform(9, 13))))
    centre = Stroke(_exterior(_band(course, np.full(len(course), 1.3))), (238, 230, 176))
    return [Sketch("road", outline, tint(rng, (186, 184, 178), 6), (centre,), grain=0.025)]


def _course(rng: np.random.Generator, size_px: int, *, bend: float, wave_px: float) -> Ring:
    """Make a line of points about 12 px apart that enters and leaves a square scene.

    Args:
        rng: Source of randomness.
        size_px: Side of the scene.
        bend: Height of the waves as a share of the side, at most 64 px a wave's quarter.
        wave_px: Length of one wave.
    """
    along = np.arange(-0.9 * size_px, 0.9 * size_px + 12, 12.0)
    tall = min(bend * size_px, wave_px * 0.16)
    across = np.zeros(len(along))
    for k in (1, 2):
        phase = 2 * math.pi * along * k / wave_px * float(rng.uniform(0.85, 1.15))
        across += tall / k * np.sin(phase + rng.uniform(0, 6.3))
    turn = float(rng.uniform(0, math.pi))
    side = float(rng.uniform(-0.32, 0.32)) * size_px
    line = np.column_stack([along, across + side])
    spin = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    return np.asarray(line @ spin + size_px / 2)


def _band(course: Ring, widths: NDArray[np.float64]) -> shapely.Polygon:
    """Widen a course to a polygon: half of each width on either side."""
    ahead = np.gradient(course, axis=0)
    normal = np.column_stack([-ahead[:, 1], ahead[:, 0]]) / np.hypot(ahead[:, 0], ahead[:, 1])[:, None]
    half = normal * (widths / 2)[:, None]
    return shapely.Polygon(np.concatenate([course + half, (course - half)[::-1]]))


def _exterior(polygon: shapely.Polygon) -> Ring:
    return shapely.get_coordinates(polygon.exterior)
