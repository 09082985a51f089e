"""The two abilities the pipeline needs: to reason and to segment."""

from collections.abc import Sequence
from typing import Protocol

from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.query import Query


class Reasoner(Protocol):
    """Answers questions about images, and knows how its own words are read."""

    @property
    def digest(self) -> str:
        """Digest of the weights and of the prompt version."""
        ...

    @property
    def tile_px(self) -> int:
        """Native tile size, pixels."""
        ...

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        """Answer every query about every view: one list per view, one completion per query in it."""
        ...

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        """Read a completion about a tile of that size; never raises on bad text."""
        ...


class Segmenter(Protocol):
    """Turns the boxes of answers into masks."""

    @property
    def digest(self) -> str:
        """Digest of the weights."""
        ...

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        """Masks for each answer, in order; the image is encoded once, and only if some answer has a box."""
        ...
