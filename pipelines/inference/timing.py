"""Timing the three steps on a sample of a plan's chunks. Writes only to a folder it deletes again."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from pipelines import RequestError
from pipelines.inference.steps import CommitStep, InferStep, ReadStep
from pipelines.inference.tasks import ChunkAnswers, Pending, pending_chunks
from pipelines.plan import Calibration, ModelRecipe, Plan
from pipelines.tables import Status, ledger_name
from reasoner.loading import device_name
from tiling.storage import Store

_NO_MODEL = (Status.NODATA, Status.FAILED)
"""Rows that no model was asked for."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """One chunk's times, seconds, and what they were for."""

    read: float
    infer: float
    commit: float
    answers: int
    read_bytes: int
    ledger_bytes: int


def calibrate(plan: Plan, *, read: ReadStep, recipe: ModelRecipe, answers: int) -> Calibration:
    """Time chunks spread over the plan until enough answers are timed; the first chunk warms up.

    Args:
        plan: a plan over sample scenes.
        read: the plan's read step.
        recipe: the plan's models.
        answers: tiles times questions to time at least, as far as the scenes have them.

    Raises:
        RequestError: no tile of the sample has data, so that no model was asked.
        ModelError: a model cannot be loaded.
    """
    infer = InferStep(recipe)
    timed: list[_Timed] = []
    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        commit = CommitStep(Store(folder))
        sample = _spread(pending_chunks(plan, ()))
        infer(read(sample[0].task()))
        for pending in sample:
            timed.append(_time_chunk(plan, pending, read, infer, commit))
            if sum(item.answers for item in timed) >= answers:
                break
    return _calibration(plan, [item for item in timed if item.answers])


def _time_chunk(plan: Plan, pending: Pending, read: ReadStep, infer: InferStep, commit: CommitStep) -> _Timed:
    began = time.perf_counter()
    image = read(pending.task())
    seen = time.perf_counter()
    rows = infer(image)
    answered = time.perf_counter()
    commit(rows)
    ended = time.perf_counter()
    names = [ledger_name(query_id, pending.ref.chunk_id) for query_id in rows.rows]
    return _Timed(
        read=seen - began,
        infer=answered - seen,
        commit=ended - answered,
        answers=_asked(rows),
        read_bytes=plan.chunk_bytes(pending.ref),
        ledger_bytes=sum(len(commit.store.read(name)) for name in names),
    )


def _asked(rows: ChunkAnswers) -> int:
    return sum(row.status not in _NO_MODEL for found in rows.rows.values() for row in found)


def _spread(pending: Sequence[Pending]) -> list[Pending]:
    """Full chunks before the remainders at edges, and among like ones no order of place or scene."""
    return sorted(pending, key=lambda item: (-item.ref.n_tiles, item.ref.chunk_id))


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
