"""Random looks of the compact classes: one maker per class, drawn about the origin."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import numpy as np
import shapely

from training.scenery.drawing import Colour, Ring, Sketch, Stroke

PointXY = tuple[float, float]
Maker = Callable[[np.random.Generator], list[Sketch]]

ROOFS: tuple[Colour, ...] = (
    (150, 74, 58), (168, 92, 66), (186, 106, 76), (128, 62, 52),
    (142, 140, 138), (112, 112, 116), (166, 150, 136),
)  # fmt: skip
COURTS: tuple[tuple[Colour, Colour], ...] = (
    ((52, 122, 78), (64, 92, 156)),
    ((46, 112, 70), (74, 146, 92)),
    ((52, 118, 84), (186, 98, 64)),
    ((172, 92, 62), (190, 108, 74)),
    ((58, 92, 150), (74, 116, 176)),
)
CARS: tuple[Colour, ...] = (
    (235, 235, 235), (205, 208, 212), (40, 42, 46), (178, 34, 38),
    (42, 74, 160), (120, 124, 130), (212, 178, 52),
)  # fmt: skip
HULLS: tuple[Colour, ...] = ((120, 44, 40), (70, 74, 82), (150, 152, 156), (64, 84, 70), (200, 202, 204))
CARGO: tuple[Colour, ...] = ((190, 60, 44), (46, 96, 160), (214, 150, 50), (70, 130, 84), (170, 172, 174))
WHITE: Colour = (240, 240, 236)


def tint(rng: np.random.Generator, colour: Colour, spread: float = 8.0) -> Colour:
    """Vary a colour: its lightness by `spread`, its channels by a third of that."""
    red, green, blue = np.asarray(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    return float(red), float(green), float(blue)


def dimmed(colour: Colour, factor: float) -> Colour:
    """Multiply a colour's brightness."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Ring:
    """Give the corners of an upright rectangle, shape (4, 2)."""
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)


def disc(x: float, y: float, radius: float, corners: int = 40) -> Ring:
    """Give the corners of a regular polygon whose area is the circle's, shape (corners, 2)."""
    turn = np.arange(corners) * (2 * math.pi / corners)
    grown = radius * math.sqrt(2 * math.pi / corners / math.sin(2 * math.pi / corners))
    return np.column_stack([x + grown * np.cos(turn), y + grown * np.sin(turn)])


def building(rng: np.random.Generator) -> list[Sketch]:
    """Make a house with a ridge and two-tone halves; two in five are L-shaped."""
    roof = tint(rng, ROOFS[rng.integers(len(ROOFS))])
    long, short = sorted(rng.uniform(20, 56, 2), reverse=True)
    dark = dimmed(roof, float(rng.uniform(0.68, 0.8)))
    light = dimmed(roof, 1.3)
    x, y = long / 2, short / 2
    outline = shapely.box(-x, -y, x, y)
    strokes = [Stroke(rectangle(-x, 0, x, y), dark), Stroke(rectangle(-x, -0.6, x, 0.6), light)]
    if rng.random() < 0.4 and short > 24:
        arm_x, arm_y = long * rng.uniform(0.4, 0.55), short * rng.uniform(0.45, 0.6)
        outline = outline.difference(shapely.box(-x + arm_x, -y + arm_y, x, y))
        mid_x, mid_y = -x + arm_x / 2, -y + arm_y / 2
        strokes = [
            Stroke(rectangle(-x, mid_y, x, -y + arm_y), dark),
            Stroke(rectangle(-x, mid_y - 0.6, x, mid_y + 0.6), light),
            Stroke(np.array([(mid_x, mid_y), (-x + arm_x, -y + arm_y), (-x + arm_x, y), (mid_x, y)]), dark),
            Stroke(np.array([(-x, -y), (mid_x, mid_y), (mid_x, y), (-x, y)]), roof),
            Stroke(rectangle(mid_x - 0.6, mid_y, mid_x + 0.6, y), light),
        ]
    return [Sketch("building", outline, roof, tuple(strokes), height=float(rng.uniform(5, 9)))]


def tank(rng: np.random.Generator) -> list[Sketch]:
    """Make a white drum with an inner ring and a small hatch."""
    radius = float(rng.uniform(8, 20))
    top = tint(rng, (232, 232, 226), 6)
    inner = radius * float(rng.uniform(0.62, 0.8))
    hatch = radius * 0.45
    strokes = (
        Stroke(disc(0, 0, inner + 1.2), dimmed(top, 0.66)),
        Stroke(disc(0, 0, inner), dimmed(top, 0.93)),
        Stroke(disc(hatch, 0, max(1.2, radius * 0.1), 12), dimmed(top, 0.5)),
    )
    outline = shapely.Polygon(disc(0, 0, radius, 64))
    return [Sketch("tank", outline, top, strokes, height=float(rng.uniform(5, 9)))]


def aircraft(rng: np.random.Generator) -> list[Sketch]:
    """Make a parked airliner seen from above, nose towards +x."""
    span = float(rng.uniform(36, 70))
    length, half = span * float(rng.uniform(0.95, 1.1)), span / 2
    body = max(2.4, span * 0.055)
    nose, tail = length * 0.5, -length * 0.5
    sweep = span * float(rng.uniform(0.16, 0.28))
    parts = [shapely.LineString([(tail + body, 0), (nose - body, 0)]).buffer(body)]
    for side in (-1, 1):
        parts.append(_blade((span * 0.14, side * body * 0.4), half * side, sweep, (span * 0.19, span * 0.06)))
        rudder = half * 0.38 * side
        parts.append(_blade((tail + span * 0.14, 0.0), rudder, sweep * 0.4, (span * 0.1, span * 0.045)))
    paint = tint(rng, (238, 240, 243), 4)
    stripe = tint(rng, CARGO[rng.integers(len(CARGO))])
    strokes = (
        Stroke(rectangle(tail, -0.8, nose * 0.7, 0.8), dimmed(paint, 0.82)),
        Stroke(rectangle(tail, -1.2, tail + span * 0.16, 1.2), stripe),
        Stroke(rectangle(nose - body * 0.9, -1.0, nose - body * 0.4, 1.0), (60, 66, 80)),
    )
    outline = shapely.Polygon(shapely.get_coordinates(shapely.union_all(parts)))
    return [Sketch("aircraft", outline, paint, strokes, height=4.0)]


def _blade(root: PointXY, tip_y: float, sweep: float, chords: tuple[float, float]) -> shapely.Polygon:
    """Make a swept wing from its leading root point to its tip; chords at the root and at the tip."""
    x, y = root
    at_root, at_tip = chords
    return shapely.Polygon([(x, y), (x - sweep, tip_y), (x - sweep - at_tip, tip_y), (x - at_root, y)])


def ship(rng: np.random.Generator) -> list[Sketch]:
    """Make a freighter with its bow towards +x, cargo amidships and a white bridge aft."""
    long = float(rng.uniform(30, 90))
    x, y = long / 2, long / float(rng.uniform(4.6, 5.6)) / 2
    hull = shapely.Polygon(
        [(-x, -y * 0.8), (-x * 0.85, -y), (x * 0.55, -y), (x * 0.85, -y * 0.5), (x, 0),
         (x * 0.85, y * 0.5), (x * 0.55, y), (-x * 0.85, y), (-x, y * 0.8)]
    )  # fmt: skip
    deck = shapely.transform(hull, lambda points: points * (0.93, 0.74))
    strokes = [Stroke(shapely.get_coordinates(deck), tint(rng, (172, 160, 148), 12))]
    cells = max(2, int(long // 12))
    edges = np.linspace(-x * 0.5, x * 0.6, cells + 1)
    for start, stop in itertools.pairwise(edges.tolist()):
        cargo = tint(rng, CARGO[rng.integers(len(CARGO))])
        strokes.append(Stroke(rectangle(start + 0.7, -y * 0.6, stop - 0.7, y * 0.6), cargo))
    strokes.append(Stroke(rectangle(-x * 0.84, -y * 0.7, -x * 0.6, y * 0.7), WHITE))
    return [Sketch("ship", hull, tint(rng, HULLS[rng.integers(len(HULLS))]), tuple(strokes), height=2.5)]


def tennis_court(rng: np.random.Generator) -> list[Sketch]:
    """Make a court with its painted lines and net."""
    x, y = float(rng.uniform(46, 64)) / 2, float(rng.uniform(24, 34)) / 2
    outer, inner = COURTS[rng.integers(len(COURTS))]
    a, b = x * 0.76, y * 0.66
    lines = [(-a, -b, a, -b), (-a, b, a, b), (-a, -b, -a, b), (a, -b, a, b), (-a, -b * 0.74, a, -b * 0.74),
             (-a, b * 0.74, a, b * 0.74), (-a * 0.5, -b * 0.74, -a * 0.5, b * 0.74),
             (a * 0.5, -b * 0.74, a * 0.5, b * 0.74), (-a * 0.5, 0, a * 0.5, 0)]  # fmt: skip
    strokes = [Stroke(rectangle(-a, -b, a, b), tint(rng, inner))]
    strokes += [Stroke(rectangle(p - 0.45, q - 0.45, r + 0.45, s + 0.45), WHITE) for p, q, r, s in lines]
    strokes.append(Stroke(rectangle(-0.4, -b - 1.5, 0.4, b + 1.5), (50, 54, 58)))
    return [Sketch("tennis_court", shapely.box(-x, -y, x, y), tint(rng, outer), tuple(strokes), grain=0.02)]


def pool(rng: np.random.Generator) -> list[Sketch]:
    """Make a swimming pool: bright water in a pale rim with rounded corners."""
    x, y = float(rng.uniform(12, 28)) / 2, float(rng.uniform(9, 16)) / 2
    x, y = max(x, y), min(x, y)
    round_px = y * float(rng.uniform(0.35, 0.95))
    outline = shapely.box(-x + round_px, -y + round_px, x - round_px, y - round_px).buffer(round_px)
    water = tint(rng, (64, 200, 224), 8)
    strokes = (
        Stroke(shapely.get_coordinates(outline.buffer(-1.5)), water),
        Stroke(shapely.get_coordinates(outline.buffer(-min(y * 0.6, 4))), dimmed(water, 0.9)),
    )
    return [Sketch("pool", outline, tint(rng, (228, 222, 210), 6), strokes, grain=0.015)]


def greenhouse(rng: np.random.Generator) -> list[Sketch]:
    """Make a row of two to six parallel glasshouses, each an object of its own."""
    houses = int(rng.integers(2, 7))
    x, wide, gap = float(rng.uniform(36, 64)) / 2, float(rng.uniform(13, 18)), float(rng.uniform(2.4, 4.0))
    glass = tint(rng, (206, 218, 216), 7)
    top = -(houses * wide + (houses - 1) * gap) / 2
    ribs = np.arange(-x + 2, x - 1, float(rng.uniform(3.6, 4.6)))
    group = []
    for number in range(houses):
        y0 = top + number * (wide + gap)
        y1, middle = y0 + wide, y0 + wide / 2
        strokes = [Stroke(rectangle(-x, middle, x, y1), dimmed(glass, 0.9))]
        strokes += [Stroke(rectangle(rib - 0.4, y0, rib + 0.4, y1), dimmed(glass, 0.78)) for rib in ribs]
        strokes.append(Stroke(rectangle(-x, middle - 0.5, x, middle + 0.5), (244, 248, 248)))
        group.append(Sketch("greenhouse", shapely.box(-x, y0, x, y1), glass, tuple(strokes), height=2.0))
    return group


def car_park(rng: np.random.Generator) -> list[Sketch]:
    """Make an asphalt lot with painted bays, three in four of them taken."""
    x, y = float(rng.uniform(48, 84)) / 2, float(rng.uniform(36, 70)) / 2
    strokes: list[Stroke] = []
    rows = max(2, int((2 * y - 3) // 16))
    pitch = (2 * y - 3) / rows
    for row in range(rows):
        near = -y + 1.5 + row * pitch + (0 if row % 2 == 0 else pitch - 10)
        strokes += _bays(rng, (-x + 2, x - 2), near)
    asphalt = tint(rng, (94, 95, 98), 7)
    return [Sketch("car_park", shapely.box(-x, -y, x, y), asphalt, tuple(strokes))]


def _bays(rng: np.random.Generator, span: tuple[float, float], y: float) -> list[Stroke]:
    """Make one row of bays 10 px deep between two x, with cars of 4 by 8 px."""
    edges = np.arange(span[0], span[1] - 6.0, 6.0)
    strokes = [Stroke(rectangle(edge - 0.4, y, edge + 0.4, y + 10), (215, 215, 210)) for edge in edges]
    for edge in edges[rng.random(len(edges)) < 0.75]:
        paint = tint(rng, CARS[rng.integers(len(CARS))])
        strokes.append(Stroke(rectangle(edge + 1.1, y + 1, edge + 4.9, y + 9), paint))
        strokes.append(Stroke(rectangle(edge + 1.6, y + 3, edge + 4.4, y + 4.4), dimmed(paint, 0.45)))
    return strokes


def orchard(rng: np.random.Generator) -> list[Sketch]:
    """Make a block of bare soil with crowns on a regular grid."""
    x, y = float(rng.uniform(48, 84)) / 2, float(rng.uniform(48, 84)) / 2
    pitch = float(rng.uniform(8.5, 12))
    leaf = tint(rng, (42, 76, 36), 6)
    strokes: list[Stroke] = []
    for row in np.linspace(-y + pitch / 2, y - pitch / 2, round(2 * y / pitch)):
        for column in np.linspace(-x + pitch / 2, x - pitch / 2, round(2 * x / pitch)):
            radius = pitch * float(rng.uniform(0.3, 0.4))
            at_x, at_y = column + rng.normal(0, 0.3), row + rng.normal(0, 0.3)
            strokes.append(Stroke(disc(at_x, at_y, radius, 10), tint(rng, leaf, 5)))
            strokes.append(Stroke(disc(at_x - 0.6, at_y - 0.6, radius * 0.45, 8), dimmed(leaf, 1.35)))
    soil = tint(rng, (140, 104, 72), 8)
    return [Sketch("orchard", shapely.box(-x, -y, x, y), soil, tuple(strokes), grain=0.06)]


def ring_road(rng: np.random.Generator) -> list[Sketch]:
    """Make a roundabout: dark asphalt between white edge lines about a green island."""
    outer = float(rng.uniform(20, 44))
    inner = outer - float(rng.uniform(8, 12))
    asphalt = tint(rng, (66, 68, 74), 5)
    edge = (226, 226, 222)
    strokes = (Stroke(disc(0, 0, outer - 1.4, 72), asphalt), Stroke(disc(0, 0, inner + 1.4, 72), edge))
    island = (
        Stroke(disc(0, 0, inner + 1, 72), tint(rng, (86, 132, 62), 8)),
        Stroke(disc(0, 0, inner * 0.4, 24), tint(rng, (52, 92, 44), 8)),
    )
    outline = shapely.Polygon(disc(0, 0, outer, 72), [disc(0, 0, inner, 72)])
    return [Sketch("ring_road", outline, edge, strokes, under=island)]


def atoll(rng: np.random.Generator) -> list[Sketch]:
    """Make an irregular ring of coral sand about a turquoise lagoon, with shoals around it."""
    mean, corners = float(rng.uniform(22, 46)), 72
    turn = np.arange(corners) * (2 * math.pi / corners)
    wave = np.zeros(corners)
    for k in (2, 3, 5):
        wave += float(rng.uniform(0.02, 0.07)) * np.cos(k * turn + rng.uniform(0, 6.3))
    width = float(rng.uniform(9, 13)) * (1 + 0.18 * np.cos(3 * turn + rng.uniform(0, 6.3)))
    outside = np.clip(mean * (1 + wave), 20, 50)
    inside = outside - np.clip(width, 8, 14)
    around = np.column_stack([np.cos(turn), np.sin(turn)])
    outer, inner = around * outside[:, None], around * inside[:, None]
    water = tint(rng, (72, 190, 182), 8)
    shoal = Stroke(around * (outside + 3)[:, None], (62, 132, 150))
    lagoon = Stroke(around * (inside + 2)[:, None], water)
    crest = (outer + inner) / 2
    palms = tuple(
        Stroke(disc(crest[at, 0], crest[at, 1], float(rng.uniform(1.8, 3.2)), 10), (70, 112, 58))
        for at in rng.integers(0, corners, int(mean / 2))
    )
    sand = tint(rng, (228, 210, 168), 7)
    return [Sketch("atoll", shapely.Polygon(outer, [inner]), sand, palms, under=(shoal, lagoon), grain=0.05)]
