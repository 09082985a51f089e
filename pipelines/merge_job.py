"""From the committed ledger to objects and texts: the second job. Knows no model and reads no pixels."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.cells import frozen_zoom
from pipelines.changed import Changed, at_stake, replaced_by
from pipelines.dataset import Origin, object_files, write_texts
from pipelines.errors import IncompleteError
from pipelines.ledger import committed, ledger_name
from pipelines.merge_step import MergeParts, MergeStep, one_by_one, scene_rows
from pipelines.plan import Plan
from pipelines.staging import StagedMerge, StagedQuestion, set_down, total
from pipelines.storage import Store
from pipelines.tasks import pending_chunks
from reasoner.query import Query, Task


def merge_job(
    store: Store, plan: Plan, *, only: Changed | None = None, merge_parts: MergeParts = one_by_one
) -> None:
    """Write objects and texts of every question; doing it again gives the same bytes.

    Args:
        store: the output folder.
        plan: the frozen plan.
        only: what changed since the folder's objects were merged. Then only the changed scenes and those
            their objects hang together with are merged, and only cells with an object of these are
            written; every file ends with the bytes that a merge of everything gives at the same zoom.
            None merges everything. A question without objects so far is merged whole in either case.
        merge_parts: what drives the merge of scenes and questions.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    with staged_merge(store, plan, only=only, merge_parts=merge_parts) as staged:
        staged.write()
    for query in plan.queries:
        if query.task is not Task.LOCATE:
            collect_texts(store, plan, query, into=store)


@contextmanager
def staged_merge(
    store: Store, plan: Plan, *, only: Changed | None = None, merge_parts: MergeParts = one_by_one
) -> Iterator[StagedMerge]:
    """Work out the objects of every question, for a block that compares them with those before, or writes.

    Args:
        store: the output folder.
        plan: the frozen plan.
        only: what changed since the folder's objects were merged, None for everything.
        merge_parts: what drives the merge of scenes and questions.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    _check_complete(store, plan)
    queries = [query for query in plan.queries if query.task is Task.LOCATE]
    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        staging = _Staging(MergeStep(store, plan), merge_parts, Path(folder))
        questions = tuple(staging.question(query, only) for query in queries)
        yield StagedMerge(store, _zoom(store, questions), questions)


@dataclass(frozen=True, slots=True)
class _Staging:
    """Merges questions into files of a temporary folder."""

    step: MergeStep
    merge_parts: MergeParts
    folder: Path

    def question(self, query: Query, only: Changed | None) -> StagedQuestion:
        plan = self.step.plan
        if only is None or not object_files(self.step.store, query.id):
            scenes, replaced = list(range(len(plan.scenes))), None
        else:
            scenes = at_stake(plan, only)
            replaced = replaced_by(plan, scenes, only)
        tables = self.merge_parts(self.step, [(scene, query) for scene in scenes])
        parts = tuple(
            set_down(table, self.folder / f"{query.id}-{scene}.parquet")
            for scene, table in zip(scenes, tables, strict=True)
        )
        return StagedQuestion(query.id, parts, replaced)


def _zoom(store: Store, questions: tuple[StagedQuestion, ...]) -> int:
    """The cells' zoom, chosen by the fullest cells of any question."""
    if not questions:
        return 0
    most: Counter[str] = Counter()
    for question in questions:
        most |= total(question.parts)
    return frozen_zoom(store, most)


def _check_complete(store: Store, plan: Plan) -> None:
    pending = pending_chunks(plan, committed(store))
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
    rows = [row for scene in range(len(plan.scenes)) for row in scene_rows(store, plan, scene, query)]
    write_texts(into, rows, Origin(query, plan.run_id))
