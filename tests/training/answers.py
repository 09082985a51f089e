"""Boxes, answers and completions that the tests of rewards share."""

import numpy as np
from hypothesis import strategies as st

from reasoner.answer import Answer, Completion
from reasoner.dialects import WrittenBox, write_boxes
from reasoner.profiles import Profile
from reasoner.query import Query
from tests.reasoner.scales import in_model_units

SIDE = 128
"""Width and height of the tile in question, pixels."""


def _box(corner: tuple[int, int, int, int]) -> tuple[float, float, float, float]:
    x, y, width, height = corner
    return float(x), float(y), float(min(x + width, SIDE)), float(min(y + height, SIDE))


CORNERS = st.tuples(st.integers(0, 100), st.integers(0, 100), st.integers(4, 60), st.integers(4, 60)).map(
    _box
)
"""One box of whole pixels within the tile."""

BOXES = st.lists(CORNERS, max_size=4, unique=True).map(
    lambda boxes: np.array(boxes, dtype=np.float64).reshape(-1, 4)
)
"""Up to four distinct boxes, (n, 4)."""


def spoken(profile: Profile, boxes: np.ndarray, *, thinking: str = "") -> str:
    """Boxes in tile pixels as a model of that profile writes them, in its own units."""
    scale = profile.scale(width=SIDE, height=SIDE)
    found = [WrittenBox(in_model_units(scale, box)) for box in boxes]
    return write_boxes(found, profile.dialect, thinking=thinking)


def read(profile: Profile, text: str, query: Query) -> Answer:
    """The completion as the pipeline reads it."""
    return profile.parse(Completion(text, n_tokens=1), query, width=SIDE, height=SIDE)
