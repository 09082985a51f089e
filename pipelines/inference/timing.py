"""Times the three steps on a sample of a plan's chunks, for `bench`; writes to a temporary folder only."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from tempfile import TemporaryDirectory

from pipelines import RequestError
from pipelines.inference.infer_chunk import ChunkAnswers, ChunkTask, open_chunks
from pipelines.inference.steps import ChunkStep, CommitStep
from pipelines.plan import Calibration, Plan
from pipelines.tables import Status, ledger_name
from reasoner.loading import device_name
from tiling.storage import Store

_NO_MODEL = (Status.NODATA, Status.FAILED)
"""Statuses of rows for which no model was asked."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """The times of one chunk's steps, seconds, and the amounts of work."""

    read: float
    infer: float
    commit: float
    answers: int
    read_bytes: int
    ledger_bytes: int


def calibrate(plan: Plan, step: ChunkStep, *, answers: int) -> Calibration:
    """Time chunks spread over the plan until enough answers are timed; the first chunk is a warm-up.

    Args:
        plan: a plan over sample scenes.
        step: the plan's step; its reads and models are timed, and commits into a temporary folder.
        answers: tiles times questions to time at least, as far as the scenes have them.

    Raises:
        RequestError: no tile of the sample has data, so no model was asked.
        ModelError: a model cannot be loaded.
    """
    timed: list[_Timed] = []
    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        step = replace(step, commit=CommitStep(Store(folder)))
        sample = _in_sample_order(open_chunks(plan, ()))
        step.infer(sample[0], step.read(sample[0]))
        for task in sample:
            timed.append(_time_chunk(plan, task, step))
            if sum(item.answers for item in timed) >= answers:
                break
    return _calibration(plan, [item for item in timed if item.answers])


def _time_chunk(plan: Plan, task: ChunkTask, step: ChunkStep) -> _Timed:
    began = time.perf_counter()
    pixels = step.read(task)
    seen = time.perf_counter()
    rows = step.infer(task, pixels)
    answered = time.perf_counter()
    step.commit(rows)
    ended = time.perf_counter()
    names = [ledger_name(query_id, task.ref.chunk_id) for query_id in rows.rows]
    return _Timed(
        read=seen - began,
        infer=answered - seen,
        commit=ended - answered,
        answers=_count_model_answers(rows),
        read_bytes=plan.chunk_bytes(task.ref),
        ledger_bytes=sum(len(step.commit.store.read(name)) for name in names),
    )


def _count_model_answers(rows: ChunkAnswers) -> int:
    return sum(row.status not in _NO_MODEL for found in rows.rows.values() for row in found)


def _in_sample_order(tasks: Sequence[ChunkTask]) -> list[ChunkTask]:
    """Chunks in a shuffled order, with full chunks before the smaller ones at the edges of scenes."""
    return sorted(tasks, key=lambda task: (-task.ref.n_tiles, task.ref.chunk_id))


def _calibration(plan: Plan, timed: Sequence[_Timed]) -> Calibration:
    if not timed:
        raise RequestError("scenes", "no tile of these scenes has data to time a model on", "name others")
    n_queries = len(plan.queries)
    return Calibration(
        reasoner=plan.reasoner.digest,
        segmenter=plan.segmenter.digest,
        tile_px=plan.scenes[0].grid.tile_px,
        device=device_name(plan.config.device),
        seconds_per_answer=statistics.median(item.infer / item.answers for item in timed),
        read_seconds_per_gigabyte=statistics.median(item.read / item.read_bytes * 1e9 for item in timed),
        commit_seconds=statistics.median(item.commit / n_queries for item in timed),
        ledger_bytes_per_answer=statistics.median(item.ledger_bytes / item.answers for item in timed),
        answers=sum(item.answers for item in timed),
        chunks=len(timed),
    )
