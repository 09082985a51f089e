"""Asks a reasoner the questions of examples in as few calls as the protocol allows."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from reasoner.answer import Answer, Parse, TileView
from reasoner.protocols import Reasoner
from reasoner.query import Task
from training.data import Example, Problem

UNREADABLE = (OSError, ValueError, SyntaxError)
"""What decoders raise on a broken file; Pillow calls a broken PNG a syntax error."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """An example and the answer to it."""

    example: Example
    """The question and the truth."""
    answer: Answer
    """The answer, parsed; malformed ones are among them."""
    seconds: float
    """Time of the reasoner, in a call for several examples the equal share."""
    oracle_boxes: bool = False
    """The boxes are the true ones: no model was asked."""


def predict(
    examples: Sequence[Example], reasoner: Reasoner, *, batch: int, advance: Callable[[int], None]
) -> tuple[dict[int, Prediction], list[Problem]]:
    """Ask every question about its image.

    Args:
        examples: what to ask; what is true is not read.
        reasoner: answers.
        batch: most examples in one call.
        advance: called after every call with the number of examples in it.

    Returns:
        Answers by the number of the example, and the examples whose image cannot be read.
    """
    predictions: dict[int, Prediction] = {}
    problems: list[Problem] = []
    for members in _calls(examples, batch):
        seen = {index: read_view(examples[index]) for index in members}
        problems += [view for view in seen.values() if isinstance(view, Problem)]
        views = {index: view for index, view in seen.items() if isinstance(view, TileView)}
        if views:
            predictions |= _answers(examples, views, reasoner)
        advance(len(members))
    return predictions, problems


def oracle_predictions(examples: Sequence[Example]) -> dict[int, Prediction]:
    """Take the true boxes of every `locate` example for its answer, by the number of the example."""
    return {
        index: Prediction(example, _truth(example), 0.0, oracle_boxes=True)
        for index, example in enumerate(examples)
        if example.query.task is Task.LOCATE
    }


def grouped(numbers: Iterable[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Numbers with the same key together, groups and members in the order met."""
    groups: dict[Hashable, list[int]] = {}
    for index in numbers:
        groups.setdefault(key(index), []).append(index)
    return list(groups.values())


def picture_key(example: Example) -> Hashable:
    """What tells images apart: the picture's own value, or its identity where it holds an array."""
    picture: object = example.picture
    try:
        hash(picture)
    except TypeError:
        return id(picture)
    return picture


def read_view(example: Example) -> TileView | Problem:
    """The image as the models see it, or why it cannot be shown."""
    try:
        pixels = example.picture.pixels()
    except UNREADABLE as error:
        return Problem(example.source, f"{example.id}: {error}", "image cannot be read")
    if pixels.shape[:2] != tuple(example.size):
        sizes = f"{example.id}: {pixels.shape[:2]}, not {example.size}"
        return Problem(example.source, sizes, "image has another size than said")
    return TileView(pixels, example.id)


def _truth(example: Example) -> Answer:
    count = len(example.boxes)
    return Answer(
        query=example.query,
        parse=Parse.OK if count else Parse.EMPTY,
        text="",
        thinking="",
        boxes=example.boxes,
        points=(np.empty((0, 2), dtype=np.float64),) * count,
        labels=("",) * count,
        problem="",
        n_tokens=0,
    )


def _calls(examples: Sequence[Example], batch: int) -> list[list[int]]:
    """Numbers of the examples that go into one call: of one question or of one image, whichever is fewer.

    A call answers every question about every image in it, so examples that share neither cannot share one.
    """
    numbers = range(len(examples))
    by_query = grouped(numbers, lambda index: examples[index].query)
    by_picture = grouped(numbers, lambda index: picture_key(examples[index]))
    fewest = min(by_query, by_picture, key=len)
    return [members[start : start + batch] for members in fewest for start in range(0, len(members), batch)]


def _answers(
    examples: Sequence[Example], views: Mapping[int, TileView], reasoner: Reasoner
) -> dict[int, Prediction]:
    """Ask in one call: of one image everything, of several images their one question."""
    began = time.perf_counter()
    members = list(views)
    queries = [examples[index].query for index in members]
    if len({picture_key(examples[index]) for index in members}) == 1:
        completions = reasoner.generate([views[members[0]]], queries)[0]
    else:
        completions = [one[0] for one in reasoner.generate(list(views.values()), queries[:1])]
    seconds = (time.perf_counter() - began) / len(members)
    predictions = {}
    for index, completion in zip(members, completions, strict=True):
        example = examples[index]
        height, width = example.size
        answer = reasoner.parse(completion, example.query, width=width, height=height)
        predictions[index] = Prediction(example, answer, seconds)
    return predictions
