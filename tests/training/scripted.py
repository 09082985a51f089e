"""Models that answer by script, and examples drawn for them; doubles of the two protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.query import Query, Task
from training.data.examples import ArrayImage, ArrayShapes, Example

Script = Mapping[tuple[int, str], str]
"""The answer to a question about an image, which is known by its first red value."""


@dataclass(slots=True)
class ScriptedReasoner:
    """Says what stands in its script, and remembers the sizes of its calls."""

    script: Script
    calls: list[tuple[int, int]] = field(default_factory=list)

    digest: str = "script"
    tile_px: int = 32

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        self.calls.append((len(views), len(queries)))
        return [[Completion(self._answer(view, query), 5) for query in queries] for view in views]

    def parse(self, completion: Completion, query: Query, *, width: int, height: int) -> Answer:
        return NullReasoner().parse(completion, query, width=width, height=height)

    def _answer(self, view: TileView, query: Query) -> str:
        return self.script[int(view.pixels[0, 0, 0]), query.text]


@dataclass(slots=True)
class CountingSegmenter:
    """Takes every box for its mask, and remembers how many answers came with each image."""

    images: list[int] = field(default_factory=list)
    digest: str = "boxes"

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        self.images.append(len(answers))
        return NullSegmenter().segment(view, answers)


def picture(number: int, *, height: int = 30, width: int = 40) -> ArrayImage:
    return ArrayImage(np.full((height, width, 3), number, dtype=np.uint8))


def example(
    shown: ArrayImage,
    question: str,
    boxes: Sequence[Sequence[float]] = (),
    *,
    task: Task = Task.LOCATE,
    text: str = "",
    class_name: str = "",
) -> Example:
    """One example; its masks are its boxes filled."""
    true = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    size = (shown.array.shape[0], shown.array.shape[1])
    return Example(
        id=f"{shown.array[0, 0, 0]}/{question}",
        source="drawn",
        place="here",
        query=Query(question, task),
        size=size,
        boxes=true,
        picture=shown,
        shapes=ArrayShapes(filled(true, size)) if task is Task.LOCATE else None,
        text=text,
        class_name=class_name,
    )


def filled(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.bool_]:
    masks = np.zeros((len(boxes), *size), dtype=np.bool_)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.astype(int), strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


def says(boxes: Sequence[Sequence[float]], thinking: str = "it is there") -> str:
    return f"<think>{thinking}</think><answer>{[list(box) for box in boxes]}</answer>"
