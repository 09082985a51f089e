"""From a completion to an Answer in tile pixels; never raises on bad text and never guesses.

Called by every reasoner's `parse`; reads the dialect and scales coordinates to the tile.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from reasoner.answer import Answer, Completion, Parse
from reasoner.coordinates import CoordinateScale
from reasoner.dialects import Dialect, WrittenBox, read_boxes, read_text, split_sections
from reasoner.errors import AnswerError
from reasoner.query import Query, Task

SLACK_PX = 1e-6
"""Overshoot of the tile's edge that is rounding, not a problem; tile pixels."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a model's answers are read."""

    dialect: Dialect
    """The written form."""
    centre_points: bool = False
    """Add each box's centre as a positive point where the model gives none."""
    keep_duplicates: bool = False
    """Equal boxes stay, for answers that are known to be exact."""


@dataclass(slots=True)
class _Placed:
    found: list[WrittenBox] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_answer(completion: Completion, query: Query, *, rules: Rules, scale: CoordinateScale) -> Answer:
    """Read a completion about a tile.

    Boxes that are not finite, inverted, duplicate or outside the tile are dropped, boxes that reach past
    it are clipped; each is named in `problem`. If nothing is left of a list that was not empty, the answer
    is malformed, not empty.
    """
    if completion.truncated:
        return _malformed(completion, query, f"cut off at the limit of {completion.n_tokens} tokens")
    try:
        if query.task is Task.LOCATE:
            return _located(completion, query, rules=rules, scale=scale)
        return _worded(completion, query)
    except AnswerError as error:
        return _malformed(completion, query, str(error))


def _located(completion: Completion, query: Query, *, rules: Rules, scale: CoordinateScale) -> Answer:
    sections, found = read_boxes(completion.text, rules.dialect)
    placed = _place(found, scale=scale, keep_duplicates=rules.keep_duplicates)
    if found and not placed.found:
        raise AnswerError("no usable box: " + "; ".join(placed.problems))
    kept = [_with_centre(one) for one in placed.found] if rules.centre_points else placed.found
    return Answer(
        query=query,
        parse=Parse.OK if kept else Parse.EMPTY,
        text="",
        thinking=sections.thinking,
        boxes=np.array([one.box for one in kept], dtype=np.float64).reshape(-1, 4),
        points=tuple(np.array(one.points, dtype=np.float64).reshape(-1, 2) for one in kept),
        labels=tuple(one.label for one in kept),
        problem="; ".join(placed.problems),
        n_tokens=completion.n_tokens,
    )


def _worded(completion: Completion, query: Query) -> Answer:
    sections, words = read_text(completion.text)
    return _boxless(
        query, Parse.OK, text=words, thinking=sections.thinking, problem="", n_tokens=completion.n_tokens
    )


def _malformed(completion: Completion, query: Query, problem: str) -> Answer:
    try:
        thinking = split_sections(completion.text).thinking
    except AnswerError:
        thinking = ""
    return _boxless(
        query,
        Parse.MALFORMED,
        text=completion.text,
        thinking=thinking,
        problem=problem,
        n_tokens=completion.n_tokens,
    )


def _boxless(query: Query, parse: Parse, *, text: str, thinking: str, problem: str, n_tokens: int) -> Answer:
    return Answer(
        query=query,
        parse=parse,
        text=text,
        thinking=thinking,
        boxes=np.empty((0, 4), dtype=np.float64),
        points=(),
        labels=(),
        problem=problem,
        n_tokens=n_tokens,
    )


def _place(found: Sequence[WrittenBox], *, scale: CoordinateScale, keep_duplicates: bool) -> _Placed:
    placed, seen = _Placed(), set()
    for number, one in enumerate(found, start=1):
        name = f"box {number} [{', '.join(f'{v:g}' for v in one.box)}]"
        problem = _fault(one.box, scale)
        if not problem and one.box in seen and not keep_duplicates:
            problem = "is written twice"
        if problem:
            placed.problems.append(f"{name} {problem}: dropped")
            continue
        seen.add(one.box)
        placed.found.append(_on_tile(one, name, scale=scale, problems=placed.problems))
    return placed


def _fault(box: tuple[float, float, float, float], scale: CoordinateScale) -> str:
    if not all(math.isfinite(value) for value in box):
        return "is not finite"
    x0, y0, x1, y1 = box
    if x1 <= x0 or y1 <= y0:
        return "is inverted or has no area"
    if not _has_area(_clipped(_scaled(box, scale), scale)):
        return "lies outside the tile"
    return ""


def _on_tile(one: WrittenBox, name: str, *, scale: CoordinateScale, problems: list[str]) -> WrittenBox:
    box = _scaled(one.box, scale)
    clipped = _clipped(box, scale)
    if max(abs(a - b) for a, b in zip(box, clipped, strict=True)) > SLACK_PX:
        problems.append(f"{name} reaches past the tile: clipped")
    points = [scale.to_tile(*point) for point in one.points]
    inside = tuple(point for point in points if _inside(point, scale))
    if len(inside) < len(points):
        problems.append(f"{len(points) - len(inside)} points of {name} lie outside the tile: dropped")
    return WrittenBox(clipped, inside, one.label)


def _scaled(
    box: tuple[float, float, float, float], scale: CoordinateScale
) -> tuple[float, float, float, float]:
    return *scale.to_tile(box[0], box[1]), *scale.to_tile(box[2], box[3])


def _clipped(
    box: tuple[float, float, float, float], scale: CoordinateScale
) -> tuple[float, float, float, float]:
    width, height = float(scale.tile_width), float(scale.tile_height)
    x0, y0, x1, y1 = box
    return (
        min(max(x0, 0.0), width),
        min(max(y0, 0.0), height),
        min(max(x1, 0.0), width),
        min(max(y1, 0.0), height),
    )


def _has_area(box: tuple[float, float, float, float]) -> bool:
    return box[2] > box[0] and box[3] > box[1]


def _inside(point: tuple[float, float], scale: CoordinateScale) -> bool:
    # Comparisons with NaN are false, so a point that is not finite is outside.
    return 0 <= point[0] <= scale.tile_width and 0 <= point[1] <= scale.tile_height


def _with_centre(one: WrittenBox) -> WrittenBox:
    x0, y0, x1, y1 = one.box
    return one if one.points else WrittenBox(one.box, (((x0 + x1) / 2, (y0 + y1) / 2),), one.label)
