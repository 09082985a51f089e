"""Segments the answers about one image and scores them."""

import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Parse
from reasoner.protocols import Segmenter
from reasoner.query import Task
from training.data import Example, Problem
from training.evaluation.metrics import (
    Scores,
    answer_scores,
    contour_scores,
    instance_scores,
    pixel_scores,
    region_scores,
    reward_scores,
    text_scores,
)
from training.evaluation.predict import UNREADABLE, Prediction, read_view
from training.evaluation.protocols import ScoringRules


@dataclass(frozen=True, slots=True)
class PackedMask:
    """A mask that takes little memory."""

    size: tuple[int, int]
    """(height, width), pixels."""
    packed: bytes
    """The pixels as bits, row by row, compressed."""

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Self:
        """Pack a mask (height, width), True inside."""
        return cls((mask.shape[0], mask.shape[1]), zlib.compress(np.packbits(mask).tobytes(), 1))

    def mask(self) -> NDArray[np.bool_]:
        """(height, width), True inside."""
        bits = np.frombuffer(zlib.decompress(self.packed), dtype=np.uint8)
        count = self.size[0] * self.size[1]
        return np.unpackbits(bits, count=count).astype(np.bool_).reshape(self.size)


@dataclass(frozen=True, slots=True)
class ExampleRecord:
    """What two evaluations need to be compared example by example."""

    key: str
    """Source and name of the example."""
    image: int
    """Number of its image in this evaluation; examples of one image are resampled together."""
    scores: Scores
    """Numerator and denominator of every figure."""


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """One example, what was answered, and how good that is."""

    example: Example
    """The question and the truth."""
    answer: Answer
    """The answer, parsed; malformed ones are among them."""
    mask: PackedMask | None
    """Union of the found masks; None where nothing was segmented."""
    seconds: float
    """Time of both models, in a call for several examples the equal share."""
    record: ExampleRecord
    """The scores."""


def score_image(
    predictions: Sequence[Prediction], segmenter: Segmenter | None, rules: ScoringRules, *, image: int
) -> list[ExampleResult | Problem]:
    """Score the answers about one image, in order; an example whose files cannot be read is a problem.

    Args:
        predictions: answers about the same image.
        segmenter: makes masks of their boxes, the image encoded once; None for boxes alone.
        rules: decisions of the protocol.
        image: number of the image.
    """
    began = time.perf_counter()
    masks = _masks(predictions, segmenter)
    if isinstance(masks, Problem):
        return [masks] * len(predictions)
    seconds = (time.perf_counter() - began) / len(predictions)
    return [
        _scored(one, found, rules, image=image, seconds=one.seconds + seconds)
        for one, found in zip(predictions, masks, strict=True)
    ]


def key_of(example: Example) -> str:
    """Name by which an example is found again in another evaluation."""
    return f"{example.source}/{example.id}"


def true_masks(example: Example) -> NDArray[np.bool_] | Problem | None:
    """The true masks (n, height, width), or why they cannot be read; None for a source without."""
    if example.shapes is None:
        return None
    try:
        masks = example.shapes.masks()
    except UNREADABLE as error:
        return Problem(example.source, f"{example.id}: {error}", "mask cannot be read")
    if masks.shape[1:] != tuple(example.size):
        sizes = f"{example.id}: {masks.shape[1:]}, not {example.size}"
        return Problem(example.source, sizes, "mask has another size than the image")
    return masks


def union_of(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(height, width) union of masks (n, height, width)."""
    return np.asarray(masks.any(axis=0), dtype=np.bool_)


def _masks(
    predictions: Sequence[Prediction], segmenter: Segmenter | None
) -> Sequence[NDArray[np.bool_] | None] | Problem:
    """Found masks (n, height, width) of each answer; None for answers in words and without a segmenter."""
    located = [number for number, one in enumerate(predictions) if one.example.query.task is Task.LOCATE]
    masks: list[NDArray[np.bool_] | None] = [None] * len(predictions)
    if segmenter is None or not located:
        return masks
    view = read_view(predictions[0].example)
    if isinstance(view, Problem):
        return view
    made = segmenter.segment(view, [predictions[number].answer for number in located])
    for number, one in zip(located, made, strict=True):
        shape = (len(one.probabilities), *predictions[number].example.size)
        masks[number] = (one.probabilities > 0.5).reshape(shape)
    return masks


def _scored(
    prediction: Prediction,
    found: NDArray[np.bool_] | None,
    rules: ScoringRules,
    *,
    image: int,
    seconds: float,
) -> ExampleResult | Problem:
    example, answer = prediction.example, prediction.answer
    truth = true_masks(example) if found is not None else None
    if isinstance(truth, Problem):
        return truth
    scores = _boxes_or_words(example, answer, rules)
    if found is not None and truth is not None:
        scores |= _pixels(found, truth, rules, readable=answer.parse is not Parse.MALFORMED)
        if prediction.oracle_boxes and len(found) == len(truth):
            scores |= instance_scores(found, truth)
    mask = None if found is None else PackedMask.of(union_of(found))
    return ExampleResult(example, answer, mask, seconds, ExampleRecord(key_of(example), image, scores))


def _pixels(
    found: NDArray[np.bool_], true: NDArray[np.bool_], rules: ScoringRules, *, readable: bool
) -> Scores:
    unions = union_of(found), union_of(true)
    return pixel_scores(*unions, rules, readable=readable) | contour_scores(*unions, rules, readable=readable)


def _boxes_or_words(example: Example, answer: Answer, rules: ScoringRules) -> Scores:
    readable = answer.parse is not Parse.MALFORMED
    if example.query.task is not Task.LOCATE:
        return text_scores(answer.text, example.text, readable=readable)
    counts = answer_scores(len(answer.boxes), len(example.boxes), readable=readable)
    paid = reward_scores(answer.boxes, example.boxes, readable=readable)
    return counts | paid | region_scores(answer.boxes, example.boxes, rules, readable=readable)
