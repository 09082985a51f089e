"""The image a model sees, what it wrote about it, and the answer parsed from that."""

from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from reasoner.query import Query


@dataclass(frozen=True, slots=True)
class TileView:
    """One tile's pixels as the models see them."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), red, green, blue."""
    key: Hashable
    """Names the tile, in whatever form the caller chooses; only the oracle engines read it."""


class Parse(StrEnum):
    """How reading a completion ended."""

    OK = "ok"
    """It gives an answer: boxes, or text for caption and VQA."""
    EMPTY = "empty"
    """It is well formed and says that there is no target."""
    MALFORMED = "malformed"
    """It cannot be read; the reason is in `problem`, the text is kept."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model wrote."""

    text: str
    """Raw text without the prompt, special tokens of the vision part removed."""
    n_tokens: int
    """Tokens generated."""
    truncated: bool = False
    """The model was cut off at the token limit."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion, parsed; boxes are half-open x0, y0, x1, y1 in pixels of the tile image."""

    query: Query
    """The question answered."""
    parse: Parse
    """How reading it ended."""
    text: str
    """Caption or VQA answer; for malformed answers the raw completion; else empty."""
    thinking: str
    """What stood in the thinking part, empty where there was none."""
    boxes: NDArray[np.float64]
    """(n, 4) x0, y0, x1, y1, pixels of the tile image, clipped to it, float64."""
    points: tuple[NDArray[np.float64], ...]
    """Per box its positive points (k, 2) x, y in tile pixels; k may be 0."""
    labels: tuple[str, ...]
    """Per box what the reasoner called it, empty strings where it named nothing."""
    problem: str
    """What was wrong, empty where nothing was; also set beside OK when single boxes were dropped."""
    n_tokens: int
    """Tokens generated."""


@dataclass(frozen=True, slots=True)
class Masks:
    """The segmenter's masks for the boxes of one answer, in their order."""

    probabilities: NDArray[np.float32]
    """(n, height, width), 0 to 1, on the tile's pixels; inside is above 0.5."""
    scores: NDArray[np.float32]
    """(n,) estimated quality of each mask, 0 to 1."""
