"""Engines that see nothing, to time everything around a model."""

from collections.abc import Sequence

import numpy as np

from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.coordinates import CoordinateScale
from reasoner.dialects import Dialect
from reasoner.parsing import Rules, parse_answer
from reasoner.query import Query, Task


class NullReasoner:
    """Answers every question with no target, and every other task with the word nothing."""

    def __init__(self, *, tile_px: int = 896) -> None:
        self._tile_px = tile_px

    @property
    def digest(self) -> str:
        """The word null."""
        return "null"

    @property
    def tile_px(self) -> int:
        """Native tile size, pixels."""
        return self._tile_px

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        """Answer every query about every view: one list per view, one completion per query in it."""
        return [[_nothing(query) for query in queries] for _ in views]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size in pixels; never raises on bad text."""
        scale = CoordinateScale(width, height, width, height)
        return parse_answer(completion, query, rules=Rules(Dialect.LIST), scale=scale)


class NullSegmenter:
    """Takes every box for its mask, with score 0: no quality is claimed."""

    @property
    def digest(self) -> str:
        """The word null."""
        return "null"

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        """Masks for each answer, in order: 1 on every pixel whose centre lies in the box."""
        height, width = view.pixels.shape[:2]
        return [_filled(answer, width=width, height=height) for answer in answers]


def _nothing(query: Query) -> Completion:
    text = "[]" if query.task is Task.LOCATE else "nothing"
    return Completion(f"<answer>{text}</answer>", n_tokens=0)


def _filled(answer: Answer, *, width: int, height: int) -> Masks:
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    x0, y0, x1, y1 = (answer.boxes[:, side, None] for side in range(4))
    across, down = (x >= x0) & (x < x1), (y >= y0) & (y < y1)
    probabilities = (down[:, :, None] & across[:, None, :]).astype(np.float32)
    return Masks(probabilities, np.zeros(len(answer.boxes), dtype=np.float32))
