"""One chunk: its task, and from its pixels to its ledger rows: ask, parse, segment and outline every tile."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.plan import ChunkRef, Plan, PlannedScene, TileKey
from pipelines.tables import AnswerRow, LedgerKey, Status
from reasoner.answer import Answer, Completion, Masks, Parse, TileView
from reasoner.protocols import Reasoner, Segmenter
from reasoner.query import Query, Task
from tiling import Chunk, Tile
from tiling.geo import WorkingGrid, footprint, to_lonlat
from tiling.merge import Fragment, fragments_of
from tiling.raster import ChunkPixels

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ChunkTask:
    """One chunk with questions that have no ledger file yet: a small value with all that a worker needs.

    All its questions are asked, even those that are committed already: the last bits of a model's results
    depend on the other members of a batch, and a resumed run must give the same bytes. A killed run leaves at
    most one partly committed chunk per worker.
    """

    ref: ChunkRef
    """The chunk."""
    planned: PlannedScene
    """Its scene."""
    queries: tuple[Query, ...]
    """The questions to ask together: all questions of the job except those an earlier update published."""
    open_ids: frozenset[str]
    """Ids of the questions without a ledger file; only their rows are committed."""

    @property
    def chunk(self) -> Chunk:
        """The chunk with its planned tiles; the tiles are listed anew at each call."""
        return self.planned.grid.chunk(self.ref.row, self.ref.col, mask=self.ref.mask)


@dataclass(frozen=True, slots=True)
class ChunkAnswers:
    """One chunk's finished rows."""

    chunk_id: str
    """Id of the chunk."""
    scene_id: str
    """Id of its scene."""
    rows: Mapping[str, Sequence[AnswerRow]]
    """Rows by question id, in the order of the tiles."""


def open_chunks(
    plan: Plan,
    done: Collection[LedgerKey],
    *,
    published: Collection[LedgerKey] = frozenset(),
) -> list[ChunkTask]:
    """The planned chunks that are not committed for every question, in the plan's order.

    Args:
        plan: the frozen plan.
        done: (query id, chunk id) of every committed ledger file.
        published: (query id, chunk id) of the answers that an earlier update published; these are not asked
            again when other questions of the same chunk are open.
    """
    found = []
    for ref in plan.chunks:
        asked = tuple(query for query in plan.queries if (query.id, ref.chunk_id) not in published)
        open_ids = frozenset(query.id for query in asked if (query.id, ref.chunk_id) not in done)
        if open_ids:
            found.append(ChunkTask(ref, plan.scenes[ref.scene], asked, open_ids))
    return found


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one call."""

    reason: str
    """Class and message of the exception."""


def capture_errors(call: Callable[[], T]) -> T | Failure:
    """The result of a call or its failure, so that one failing tile does not affect its neighbours."""
    try:
        return call()
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")


GROUP = 64
"""Tiles in one call of the reasoner; if it fails, these tiles are asked again one by one, not the chunk."""

_STATUS = {Parse.OK: Status.OK, Parse.EMPTY: Status.EMPTY, Parse.MALFORMED: Status.MALFORMED}


@dataclass(frozen=True, slots=True)
class ChunkModels:
    """Both models, loaded."""

    reasoner: Reasoner
    """Answers questions."""
    segmenter: Segmenter
    """Turns boxes into masks."""


@dataclass(frozen=True, slots=True)
class _ViewedTile:
    """A tile with data, as the models see it."""

    tile: Tile
    view: TileView
    valid_fraction: float
    work: WorkingGrid


def answer_chunk(task: ChunkTask, pixels: ChunkPixels, models: ChunkModels) -> ChunkAnswers:
    """Rows of every tile and question of a chunk, in the order of the tiles."""
    shown = [_view_or_result(tile, pixels, task.planned) for tile in pixels.chunk.tiles]
    answered = _answer_tiles([item for item in shown if isinstance(item, _ViewedTile)], task.queries, models)
    return _rows_of(task, pixels.chunk.tiles, shown, answered)


def failed_chunk(task: ChunkTask, reason: str) -> ChunkAnswers:
    """Rows of a chunk that kills its workers: every tile failed, with the reason."""
    tiles = task.chunk.tiles
    return _rows_of(task, tiles, [_Result(Status.FAILED, reason)] * len(tiles), {})


def _rows_of(
    task: ChunkTask,
    tiles: Sequence[Tile],
    shown: Sequence["_ViewedTile | _Result"],
    answered: Mapping[tuple[str, str], "_Result"],
) -> ChunkAnswers:
    """Rows by question; a tile that no model saw has the same result for every question."""
    blank = _blank_rows(task, tiles)
    rows: dict[str, list[AnswerRow]] = {query.id: [] for query in task.queries if query.id in task.open_ids}
    for tile, item in zip(tiles, shown, strict=True):
        for query_id, found in rows.items():
            result = answered[tile.tile_id, query_id] if isinstance(item, _ViewedTile) else item
            found.append(_filled(replace(blank[tile.tile_id], query_id=query_id), result))
    return ChunkAnswers(task.ref.chunk_id, task.planned.scene.scene_id, rows)


@dataclass(frozen=True, slots=True)
class _Result:
    """The outcome of one tile and one question."""

    status: Status
    problem: str = ""
    answer: Answer | None = None
    fragments: tuple[Fragment, ...] = ()
    seconds: float = 0.0


def _view_or_result(tile: Tile, chunk: ChunkPixels, planned: PlannedScene) -> "_ViewedTile | _Result":
    if tile.tile_id in chunk.failed:
        return _Result(Status.FAILED, chunk.failed[tile.tile_id])
    pixels, valid = chunk.tile(tile)
    if not valid.any():
        return _Result(Status.NODATA)
    view = TileView(pixels, TileKey(planned.scene.scene_id, tile.window))
    return _ViewedTile(tile, view, float(valid.mean()), planned.work)


def _answer_tiles(
    shown: Sequence[_ViewedTile], queries: Sequence[Query], models: ChunkModels
) -> dict[tuple[str, str], _Result]:
    results: dict[tuple[str, str], _Result] = {}
    for start in range(0, len(shown), GROUP):
        group = shown[start : start + GROUP]
        began = time.perf_counter()
        found = [
            _tile_results(item, outcome, queries, models)
            for item, outcome in zip(group, _completions(group, queries, models.reasoner), strict=True)
        ]
        each = (time.perf_counter() - began) / (len(group) * len(queries))
        for item, answers in zip(group, found, strict=True):
            for query, result in zip(queries, answers, strict=True):
                results[item.tile.tile_id, query.id] = replace(result, seconds=each)
    return results


def _completions(
    group: Sequence[_ViewedTile], queries: Sequence[Query], reasoner: Reasoner
) -> list[list[Completion] | Failure]:
    """Completions per tile; if the call with the whole group fails, every tile is asked alone."""
    views = [item.view for item in group]
    together = capture_errors(lambda: reasoner.generate(views, queries))
    if not isinstance(together, Failure):
        return list(together)
    return [_alone(view, queries, reasoner) for view in views]


def _alone(view: TileView, queries: Sequence[Query], reasoner: Reasoner) -> list[Completion] | Failure:
    outcome = capture_errors(lambda: reasoner.generate([view], queries))
    return outcome if isinstance(outcome, Failure) else outcome[0]


def _tile_results(
    item: _ViewedTile, outcome: list[Completion] | Failure, queries: Sequence[Query], models: ChunkModels
) -> list[_Result]:
    if isinstance(outcome, Failure):
        return [_Result(Status.FAILED, outcome.reason) for _ in queries]
    height, width = item.view.pixels.shape[:2]
    answers = [
        models.reasoner.parse(completion, query, width=width, height=height)
        for completion, query in zip(outcome, queries, strict=True)
    ]
    return _segmented(item, answers, models.segmenter)


def _segmented(item: _ViewedTile, answers: Sequence[Answer], segmenter: Segmenter) -> list[_Result]:
    """Results of one tile's answers; the segmenter sees the tile only if some answer has a box."""
    boxed = [answer for answer in answers if answer.query.task is Task.LOCATE and len(answer.boxes)]
    masks = capture_errors(lambda: segmenter.segment(item.view, boxed)) if boxed else []
    waiting = iter(masks if not isinstance(masks, Failure) else ())
    results = []
    for answer in answers:
        plain = _Result(_STATUS[answer.parse], answer.problem, answer)
        if not any(answer is other for other in boxed):
            results.append(plain)
        elif isinstance(masks, Failure):
            results.append(replace(plain, status=Status.FAILED, problem=masks.reason))
        else:
            results.append(_outlined(item, plain, answer, next(waiting)))
    return results


def _outlined(item: _ViewedTile, plain: _Result, answer: Answer, masks: Masks) -> _Result:
    found = capture_errors(lambda: _fragments(item, answer, masks))
    if isinstance(found, Failure):
        return replace(plain, status=Status.FAILED, problem=found.reason)
    return replace(plain, fragments=tuple(found))


def _fragments(item: _ViewedTile, answer: Answer, masks: Masks) -> list[Fragment]:
    found: list[Fragment] = []
    for index, box in enumerate(answer.boxes):
        found += fragments_of(
            masks.probabilities[index],
            box=box,
            score=float(masks.scores[index]),
            label=answer.labels[index],
            tile=item.tile,
            work=item.work,
            valid_fraction=item.valid_fraction,
        )
    return found


def _blank_rows(task: ChunkTask, tiles: Sequence[Tile]) -> dict[str, AnswerRow]:
    work = task.planned.work
    lonlat = to_lonlat([footprint(tile.window, work.transform) for tile in tiles], work.crs)
    return {
        tile.tile_id: _blank_row(task, tile, geometry) for tile, geometry in zip(tiles, lonlat, strict=True)
    }


def _blank_row(task: ChunkTask, tile: Tile, geometry: shapely.Polygon) -> AnswerRow:
    return AnswerRow(
        chunk_id=task.ref.chunk_id,
        tile_id=tile.tile_id,
        query_id="",
        scene_uri=task.planned.scene.uri,
        scene_id=task.planned.scene.scene_id,
        window=tile.window,
        geometry=geometry,
        status=Status.FAILED,
        problem="",
        thinking="",
        text="",
        boxes=(),
        fragments=(),
        n_tokens=0,
        seconds=0.0,
    )


def _filled(row: AnswerRow, result: _Result) -> AnswerRow:
    row = replace(row, status=result.status, problem=result.problem, fragments=result.fragments)
    row = replace(row, seconds=result.seconds)
    if result.answer is None:
        return row
    answer = result.answer
    return replace(
        row,
        thinking=answer.thinking,
        text=answer.text,
        boxes=_plain_boxes(answer.boxes),
        n_tokens=answer.n_tokens,
    )


def _plain_boxes(boxes: NDArray[np.float64]) -> tuple[tuple[float, float, float, float], ...]:
    return tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in boxes)
