"""The merge: from the committed ledger to objects and texts; the second half of a run, after all chunks."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines import IncompleteError
from pipelines.engine import Executor, SerialExecutor
from pipelines.inference import open_chunks
from pipelines.merge.cell_step import CellStep, MergeResult, QuestionResult, total
from pipelines.merge.question import QuestionMerge
from pipelines.merge.rows import FinaliseObjects
from pipelines.merge.scene import PlanCoverage, SceneMerger
from pipelines.merge.spill import spill_folder
from pipelines.plan import Changed, Plan, ownership_of
from pipelines.tables import (
    LEDGER,
    AnswerRow,
    Origin,
    committed,
    frozen_zoom,
    ledger_name,
    read_rows,
    write_texts,
)
from reasoner.query import Query, Task
from tiling.storage import Store

SERIAL = SerialExecutor()
"""Runs the merge in this process."""


def merge_job(store: Store, plan: Plan, executor: Executor = SERIAL, *, only: Changed | None = None) -> None:
    """Write objects and texts of every question; doing it again gives the same bytes.

    Args:
        store: the output folder.
        plan: the frozen plan.
        executor: runs the steps.
        only: what changed since the folder's objects were merged; None merges everything. Given a change,
            only the changed scenes and the scenes their objects are connected with are merged, and only
            cells with an object of these are written; every file then has the same bytes that a merge of
            everything would give at the same zoom. A question without objects so far is always merged
            completely.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    with open_merge(store, plan, executor, only=only) as result:
        result.write()
    for query in plan.queries:
        if query.task is not Task.LOCATE:
            collect_texts(store, plan, query, into=store)


@contextmanager
def open_merge(
    store: Store, plan: Plan, executor: Executor = SERIAL, *, only: Changed | None = None
) -> Iterator[MergeResult]:
    """Merge every question, and give the result to a block that writes it or compares it with what there is.

    Args:
        store: the output folder.
        plan: the frozen plan.
        executor: runs the steps.
        only: what changed since the folder's objects were merged, None for everything.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    _check_complete(store, plan)
    queries = [query for query in plan.queries if query.task is Task.LOCATE]
    sizes = store.sizes(LEDGER)
    with spill_folder(store, shared=plan.config.address is not None) as spill:
        coverage = PlanCoverage(plan, ownership_of(plan.scenes, plan.config.scene_overlap))
        merger = SceneMerger(coverage, FinaliseObjects(store, spill, plan.run_id, plan.aoi), executor)
        # One question at a time, so that the memory of one is freed before the next is merged.
        questions = tuple(QuestionMerge(merger, query, sizes=sizes).result(only) for query in queries)
        yield MergeResult(CellStep(store, spill), _zoom(store, questions), questions, executor)


def _zoom(store: Store, questions: tuple[QuestionResult, ...]) -> int:
    """The zoom of the cells, chosen so that the largest cells of any question are not too large."""
    if not questions:
        return 0
    most: Counter[str] = Counter()
    for question in questions:
        most |= total(question.rows)
    return frozen_zoom(store, most)


def _check_complete(store: Store, plan: Plan) -> None:
    pending = open_chunks(plan, committed(store))
    missing = [ledger_name(name, item.ref.chunk_id) for item in pending for name in sorted(item.open_ids)]
    if missing:
        raise IncompleteError(store.root, tuple(missing))


def collect_texts(store: Store, plan: Plan, query: Query, *, into: Store) -> None:
    """Write a caption's or VQA's texts.

    Args:
        store: the output folder.
        plan: the frozen plan.
        query: the question.
        into: where to write, under the name that the texts have in the output folder.

    Raises:
        FileNotFoundError: a ledger file is missing.
    """
    rows = [row for scene in range(len(plan.scenes)) for row in _scene_rows(store, plan, scene, query)]
    write_texts(into, rows, Origin(query, plan.run_id))


def _scene_rows(store: Store, plan: Plan, scene: int, query: Query) -> Iterator[AnswerRow]:
    """Ledger rows of one scene (index in the plan) and question, chunk by chunk."""
    for ref in plan.chunks_of(scene):
        yield from read_rows(store, ledger_name(query.id, ref.chunk_id))
