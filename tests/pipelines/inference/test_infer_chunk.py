"""One bad tile costs itself and nothing else, and tiles without data never reach a model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from pipelines.inference.infer_chunk import ChunkAnswers, ChunkModels, ChunkTask, answer_chunk
from pipelines.plan.oracle_truth import TileKey
from pipelines.plan.plan import ChunkRef, PlannedScene
from pipelines.tables.ledger import AnswerRow, Status
from reasoner.answer import Answer, Completion, Masks, TileView
from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.query import Query, Task
from tiling.geo.geobox import working_grid
from tiling.grid import Grid, Window
from tiling.raster.chunks import ChunkPixels, failed_pixels
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
LEFT, RIGHT = TileKey("s", Window(0, 0, 32, 32)), TileKey("s", Window(32, 0, 64, 32))
BOX = "<answer>[[4,4,12,12]]</answer>"


class Scripted(NullReasoner):
    """Answers the same everywhere, and fails on the given tiles; records what it was shown."""

    def __init__(self, text: str, *, fails_on: TileKey | None = None) -> None:
        super().__init__()
        self.text, self.fails_on, self.seen = text, fails_on, []  # type: ignore[var-annotated]

    def generate(self, views: Sequence[TileView], queries: Sequence[Query]) -> list[list[Completion]]:
        self.seen += [view.key for view in views]
        if any(view.key == self.fails_on for view in views):
            raise RuntimeError("out of memory")
        return [[Completion(self.text, 3) for _ in queries] for _ in views]


class Failing(NullSegmenter):
    """Never segments; counts how often it was asked."""

    calls = 0

    def segment(self, view: TileView, answers: Sequence[Answer]) -> list[Masks]:
        self.calls += 1
        raise RuntimeError("no mask today")


@dataclass(frozen=True)
class Read:
    """A chunk that was read."""

    task: ChunkTask
    pixels: ChunkPixels

    def answered(self, models: ChunkModels) -> ChunkAnswers:
        return answer_chunk(self.task, self.pixels, models)


@pytest.fixture
def read() -> Read:
    """Two tiles of 32 pixels side by side, all valid."""
    grid = Grid("s", 64, 32, 32, 0, 4096)
    (chunk,) = grid.chunks()
    pixels = ChunkPixels(chunk, np.full((3, 32, 64), 9, np.uint8), np.ones((32, 64), bool), {})
    planned = PlannedScene(SCENE, working_grid(SCENE, gsd_m=None), grid)
    ref = ChunkRef("c", 0, chunk.row, chunk.col, len(chunk.tiles), chunk.window)
    queries = (WHERE, WHAT)
    return Read(ChunkTask(ref, planned, queries, frozenset(query.id for query in queries)), pixels)


def statuses(rows: Sequence[AnswerRow]) -> list[str]:
    return [row.status for row in rows]


def test_a_tile_that_makes_the_reasoner_fail_fails_alone(read: Read) -> None:
    models = ChunkModels(Scripted(BOX, fails_on=RIGHT), NullSegmenter())
    rows = read.answered(models).rows[WHERE.id]
    assert statuses(rows) == [Status.OK, Status.FAILED]
    assert rows[1].problem == "RuntimeError: out of memory"
    assert len(rows[0].fragments) == 1


def test_a_failing_segmenter_costs_only_the_answers_with_boxes(read: Read) -> None:
    answers = read.answered(ChunkModels(Scripted(BOX), Failing()))
    assert statuses(answers.rows[WHERE.id]) == [Status.FAILED, Status.FAILED]
    assert statuses(answers.rows[WHAT.id]) == [Status.OK, Status.OK]
    assert answers.rows[WHERE.id][0].boxes == ((4.0, 4.0, 12.0, 12.0),)


def test_no_box_means_no_segmentation(read: Read) -> None:
    segmenter = Failing()
    rows = read.answered(ChunkModels(Scripted("<answer>[]</answer>"), segmenter)).rows[WHERE.id]
    assert statuses(rows) == [Status.EMPTY, Status.EMPTY]
    assert segmenter.calls == 0


def test_bad_text_is_malformed_with_its_text_and_reason(read: Read) -> None:
    row = read.answered(ChunkModels(Scripted("the box is over there"), NullSegmenter())).rows[WHERE.id][0]
    assert row.status == Status.MALFORMED
    assert row.text == "the box is over there"
    assert row.problem


def test_tiles_without_data_are_never_shown(read: Read) -> None:
    valid = read.pixels.valid.copy()
    valid[:, 32:] = False
    reasoner = Scripted(BOX)
    thin = replace(read, pixels=replace(read.pixels, valid=valid))
    answers = thin.answered(ChunkModels(reasoner, NullSegmenter()))
    assert statuses(answers.rows[WHERE.id]) == [Status.OK, Status.NODATA]
    assert reasoner.seen == [LEFT]


def test_tiles_and_chunks_that_cannot_be_read_fail_with_the_reason(read: Read) -> None:
    models = ChunkModels(Scripted(BOX), NullSegmenter())
    bad = replace(read, pixels=replace(read.pixels, failed={"s/r0000-c0000": "bad block"}))
    rows = bad.answered(models).rows[WHERE.id]
    assert [(row.status, row.problem) for row in rows] == [(Status.FAILED, "bad block"), (Status.OK, "")]
    rows = Read(read.task, failed_pixels(read.task.chunk, "gone")).answered(models).rows[WHAT.id]
    assert [(row.status, row.problem) for row in rows] == [(Status.FAILED, "gone")] * 2


def test_all_questions_share_one_read_and_only_open_ones_are_returned(read: Read) -> None:
    reasoner = Scripted(BOX)
    task = replace(read.task, open_ids=frozenset({WHAT.id}))
    answers = replace(read, task=task).answered(ChunkModels(reasoner, NullSegmenter()))
    assert reasoner.seen == [LEFT, RIGHT]
    assert set(answers.rows) == {WHAT.id}
