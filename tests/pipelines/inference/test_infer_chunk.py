"""One bad tile costs itself and nothing else, and tiles without data never reach a model."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from pipelines.inference.infer_chunk import ChunkModels, answer_chunk
from pipelines.inference.tasks import ChunkRead, ChunkTask
from pipelines.tables.ledger import AnswerRow, Status
from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.query import Query, Task
from tiling.geo.geobox import work_grid
from tiling.grid import Grid
from tiling.raster.chunks import ChunkImage
from tiling.scene import Band, Scene

WHERE, WHAT = Query("where?"), Query("what?", Task.VQA)
SCENE = Scene(
    "s.tif",
    "s",
    "i",
    64,
    32,
    (1.0, 0.0, 5e5, 0.0, -1.0, 5e6),
    "EPSG:32631",
    "uint8",
    (Band("s.tif", 1),),
    None,
    None,
)
BOX = "<answer>[[4,4,12,12]]</answer>"


class Scripted(NullReasoner):
    """Says the same everywhere, and fails on the tiles it is told to; notes what it was shown."""

    def __init__(self, text: str, *, fails_on: str = "never") -> None:
        super().__init__()
        self.text, self.fails_on, self.seen = text, fails_on, []  # type: ignore[var-annotated]

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        self.seen += [view.key for view in views]
        if any(self.fails_on in view.key for view in views):
            raise RuntimeError("out of memory")
        return [[Completion(self.text, 3) for _ in queries] for _ in views]


class Failing(NullSegmenter):
    """Never segments; counts how often it was asked."""

    calls = 0

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        self.calls += 1
        raise RuntimeError("no mask today")


@pytest.fixture
def read() -> ChunkRead:
    """Two tiles of 32 pixels side by side, all valid."""
    work = work_grid(SCENE, gsd_m=None)
    (chunk,) = Grid("s", 64, 32, 32, 0, 4096).chunks()
    image = ChunkImage(chunk, np.full((3, 32, 64), 9, np.uint8), np.ones((32, 64), bool), {})
    queries = (WHERE, WHAT)
    task = ChunkTask("c", SCENE, work, chunk, queries, frozenset(query.id for query in queries))
    return ChunkRead(task, image, "")


def statuses(rows: Sequence[AnswerRow]) -> list[str]:
    return [row.status for row in rows]


def test_a_tile_that_makes_the_reasoner_fail_fails_alone(read: ChunkRead) -> None:
    models = ChunkModels(Scripted(BOX, fails_on="s@32,"), NullSegmenter())
    rows = answer_chunk(read, models).rows[WHERE.id]
    assert statuses(rows) == [Status.OK, Status.FAILED]
    assert rows[1].problem == "RuntimeError: out of memory"
    assert len(rows[0].fragments) == 1


def test_a_failing_segmenter_costs_only_the_answers_with_boxes(read: ChunkRead) -> None:
    answers = answer_chunk(read, ChunkModels(Scripted(BOX), Failing()))
    assert statuses(answers.rows[WHERE.id]) == [Status.FAILED, Status.FAILED]
    assert statuses(answers.rows[WHAT.id]) == [Status.OK, Status.OK]
    assert answers.rows[WHERE.id][0].boxes == ((4.0, 4.0, 12.0, 12.0),)


def test_no_box_means_no_segmentation(read: ChunkRead) -> None:
    segmenter = Failing()
    rows = answer_chunk(read, ChunkModels(Scripted("<answer>[]</answer>"), segmenter)).rows[WHERE.id]
    assert statuses(rows) == [Status.EMPTY, Status.EMPTY]
    assert segmenter.calls == 0


def test_bad_text_is_malformed_with_its_text_and_reason(read: ChunkRead) -> None:
    row = answer_chunk(read, ChunkModels(Scripted("the box is over there"), NullSegmenter())).rows[WHERE.id][
        0
    ]
    assert row.status == Status.MALFORMED
    assert row.text == "the box is over there"
    assert row.problem


def test_tiles_without_data_are_never_shown(read: ChunkRead) -> None:
    assert read.image is not None
    valid = read.image.valid.copy()
    valid[:, 32:] = False
    reasoner = Scripted(BOX)
    answers = answer_chunk(
        replace(read, image=replace(read.image, valid=valid)), ChunkModels(reasoner, NullSegmenter())
    )
    assert statuses(answers.rows[WHERE.id]) == [Status.OK, Status.NODATA]
    assert reasoner.seen == ["s@0,0,32,32"]


def test_unread_tiles_and_chunks_fail_with_the_reason(read: ChunkRead) -> None:
    assert read.image is not None
    models = ChunkModels(Scripted(BOX), NullSegmenter())
    bad = replace(read, image=replace(read.image, failed={"s/r0000-c0000": "bad block"}))
    rows = answer_chunk(bad, models).rows[WHERE.id]
    assert [(row.status, row.problem) for row in rows] == [(Status.FAILED, "bad block"), (Status.OK, "")]
    rows = answer_chunk(ChunkRead(read.task, None, "gone"), models).rows[WHAT.id]
    assert [(row.status, row.problem) for row in rows] == [(Status.FAILED, "gone")] * 2


def test_all_questions_share_one_look_and_only_open_ones_are_returned(read: ChunkRead) -> None:
    reasoner = Scripted(BOX)
    task = replace(read.task, open_ids=frozenset({WHAT.id}))
    answers = answer_chunk(replace(read, task=task), ChunkModels(reasoner, NullSegmenter()))
    assert reasoner.seen == ["s@0,0,32,32", "s@32,0,64,32"]
    assert set(answers.rows) == {WHAT.id}
