"""Masks for boxes while a reasoner is trained: what a mask reward compares with the truth.

The segmenter is loaded at its first use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Masks, Parse, TileView
from reasoner.protocols import Segmenter
from reasoner.query import Query

INSIDE = 0.5
"""A pixel belongs to a mask where its probability is above this."""

_ANY_QUERY = Query("what the boxes mean")


class MaskMaker(Protocol):
    """Turns the boxes of completions into the ground they mark."""

    def union_masks(
        self, pixels: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.bool_]]:
        """Return for every image and its boxes the union of the masks.

        Args:
            pixels: (height, width, 3) red, green, blue, each; the same array again where several
                completions are about one image, which is then encoded once.
            boxes: (n, 4) x0, y0, x1, y1, each, pixels of its image; n may be 0.

        Returns:
            (height, width) each, True inside any mask.
        """
        ...


@dataclass(frozen=True, slots=True)
class SegmenterMasks:
    """A segmenter in this process as a maker of masks."""

    segmenter: Segmenter
    """What makes the masks."""
    centre_points: bool = False
    """The segmenter is given each box's centre beside the box, as some profiles do at inference."""

    def union_masks(
        self, pixels: Sequence[NDArray[np.uint8]], boxes: Sequence[NDArray[np.float64]]
    ) -> list[NDArray[np.bool_]]:
        """Return for every image and its boxes the union of the masks; one encoding per distinct array.

        Raises:
            ValueError: there are not as many images as sets of boxes.
        """
        if len(pixels) != len(boxes):
            raise ValueError(f"{len(pixels)} images do not go with {len(boxes)} sets of boxes")
        unions: dict[int, NDArray[np.bool_]] = {}
        for numbers in _same_image(pixels):
            view = TileView(pixels[numbers[0]], key=str(numbers[0]))
            answers = [_answer(boxes[number], centre_points=self.centre_points) for number in numbers]
            made = self.segmenter.segment(view, answers)
            unions |= {number: _union(masks) for number, masks in zip(numbers, made, strict=True)}
        return [unions[number] for number in range(len(pixels))]


def _same_image(pixels: Sequence[NDArray[np.uint8]]) -> list[list[int]]:
    """Positions of each distinct array, in order of first appearance; equal copies count as distinct."""
    groups: dict[int, list[int]] = {}
    for number, image in enumerate(pixels):
        groups.setdefault(id(image), []).append(number)
    return list(groups.values())


def _union(masks: Masks) -> NDArray[np.bool_]:
    union: NDArray[np.bool_] = np.any(masks.probabilities > INSIDE, axis=0)
    return union


def _answer(boxes: NDArray[np.float64], *, centre_points: bool) -> Answer:
    placed = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    centres = (placed[:, None, :2] + placed[:, None, 2:]) / 2
    return Answer(
        query=_ANY_QUERY,
        parse=Parse.OK if len(placed) else Parse.EMPTY,
        text="",
        thinking="",
        boxes=placed,
        points=tuple(centres if centre_points else centres[:, :0]),
        labels=("",) * len(placed),
        problem="",
        n_tokens=0,
    )
