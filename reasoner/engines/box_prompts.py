"""The boxes and points of several answers as one padded batch for a segmenter, and its masks dealt back.

Both segmenters of this room decode through it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Masks

Decoded = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Probabilities (n, height, width) and scores (n,)."""


@dataclass(frozen=True, slots=True)
class BoxPrompts:
    """What a mask decoder is asked, one row per box."""

    boxes: NDArray[np.float64]
    """(n, 4) x0, y0, x1, y1, tile pixels."""
    points: NDArray[np.float64]
    """(n, k, 2) x, y, tile pixels; rows with fewer points are padded with zeros; k may be 0."""
    labels: NDArray[np.int64]
    """(n, k) 1 for a positive point, the padding label elsewhere."""

    def chunks(self, size: int) -> list["BoxPrompts"]:
        """Cut into parts of at most `size` rows."""
        starts = range(0, len(self.boxes), size)
        return [
            BoxPrompts(self.boxes[s : s + size], self.points[s : s + size], self.labels[s : s + size])
            for s in starts
        ]


def batch_prompts(answers: Sequence[Answer], *, padding_label: int) -> BoxPrompts:
    """Put the boxes of all answers, in order, into one batch."""
    points = [one for answer in answers for one in answer.points]
    boxes = np.concatenate([answer.boxes.reshape(-1, 4) for answer in answers])
    longest = max((len(one) for one in points), default=0)
    padded = np.zeros((len(boxes), longest, 2), dtype=np.float64)
    labels = np.full((len(boxes), longest), padding_label, dtype=np.int64)
    for row, one in enumerate(points):
        padded[row, : len(one)] = one
        labels[row, : len(one)] = 1
    return BoxPrompts(boxes, padded, labels)


def masks_by_answer(decoded: Sequence[Decoded], answers: Sequence[Answer]) -> list[Masks]:
    """Give every answer the masks of its own boxes."""
    probabilities = np.concatenate([part for part, _ in decoded])
    scores = np.concatenate([part for _, part in decoded])
    ends = np.cumsum([len(answer.boxes) for answer in answers])
    starts = [0, *ends[:-1]]
    return [Masks(probabilities[a:b], scores[a:b]) for a, b in zip(starts, ends, strict=True)]


def segment_all(
    answers: Sequence[Answer],
    *,
    size: tuple[int, int],
    padding_label: int,
    decode: Callable[[list[BoxPrompts]], list[Decoded]],
    chunk: int = 64,
) -> list[Masks]:
    """Decode all boxes of all answers in parts of `chunk`; nothing is called where there is no box.

    Args:
        answers: the answers about one view.
        size: (height, width) of the view.
        padding_label: the decoder's label for a point to ignore.
        decode: encodes the view once and decodes every part.
        chunk: most boxes decoded together, a bound on memory.
    """
    if not any(len(answer.boxes) for answer in answers):
        return [_empty(size) for _ in answers]
    return masks_by_answer(decode(batch_prompts(answers, padding_label=padding_label).chunks(chunk)), answers)


def _empty(size: tuple[int, int]) -> Masks:
    return Masks(np.zeros((0, *size), dtype=np.float32), np.zeros(0, dtype=np.float32))
