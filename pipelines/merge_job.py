"""From the committed ledger to objects and texts: the second job. Knows no model and reads no pixels."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.cells import frozen_zoom
from pipelines.dataset import (
    Origin,
    cell_rows,
    object_files,
    object_part,
    part_cells,
    write_cell,
    write_empty,
    write_texts,
)
from pipelines.errors import IncompleteError
from pipelines.ledger import AnswerRow, Status, committed, ledger_name, read_rows
from pipelines.plan import Plan
from pipelines.storage import Store
from pipelines.tasks import pending_chunks
from reasoner.query import Query, Task
from tiling.merging import merge
from tiling.scene_object import scene_objects


@dataclass(frozen=True, slots=True)
class ScenePart:
    """One scene's and question's objects, set down in a local file until their cells are known."""

    query_id: str
    """The question."""
    scene: int
    """Index of the scene in the plan."""
    path: Path
    """The local file."""
    cells: Mapping[str, int]
    """Objects per deepest cell."""


@dataclass(frozen=True, slots=True)
class MergeStep:
    """Joins the fragments of one scene and question into objects; a plain picklable callable."""

    store: Store
    """The output folder."""
    plan: Plan
    """The frozen plan."""

    def __call__(self, scene: int, query: Query) -> pa.Table:
        """Objects of a scene (index in the plan) and a question.

        Raises:
            FileNotFoundError: a ledger file is missing.
        """
        planned = self.plan.scenes[scene]
        rows = list(scene_rows(self.store, self.plan, scene, query))
        fragments = [fragment for row in rows for fragment in row.fragments]
        silent = [row.window for row in rows if row.status in (Status.FAILED, Status.MALFORMED)]
        merged = merge(fragments, transform=planned.work.transform, unanswered=silent)
        objects = scene_objects(merged, planned.scene, planned.work, query_id=query.id)
        thinking = {row.tile_id: row.thinking for row in rows}
        thoughts = [thinking[item.representative.tile_id] for item in merged]
        return object_part(objects, thoughts, Origin(query, self.plan.run_id))


MergeItem = tuple[int, Query]
"""One scene (index in the plan) and one question."""
MergeParts = Callable[[MergeStep, Sequence[MergeItem]], Iterator[pa.Table]]
"""Does the step on every item, and gives the tables in the order of the items."""


def one_by_one(step: MergeStep, items: Sequence[MergeItem]) -> Iterator[pa.Table]:
    """Merge in this process, one item after another."""
    return (step(scene, query) for scene, query in items)


def merge_job(store: Store, plan: Plan, *, merge_parts: MergeParts = one_by_one) -> dict[str, int]:
    """Write objects and texts of every question; doing it again gives the same bytes.

    Args:
        store: the output folder.
        plan: the frozen plan.
        merge_parts: what drives the merge of scenes and questions.

    Returns:
        Rows written per question id: objects, or texts for caption and VQA.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    check_complete(store, plan)
    counts = _merge_objects(store, plan, merge_parts)
    for query in plan.queries:
        if query.task is not Task.LOCATE:
            counts[query.id] = collect_texts(store, plan, query, into=store)
    return counts


def scene_rows(store: Store, plan: Plan, scene: int, query: Query) -> Iterator[AnswerRow]:
    """Ledger rows of one scene (index in the plan) and question, chunk by chunk.

    Raises:
        FileNotFoundError: a ledger file is missing.
    """
    transform = plan.scenes[scene].work.transform
    for ref in plan.chunks_of(scene):
        yield from read_rows(store, ledger_name(query.id, ref.chunk_id), transform=transform)


def check_complete(store: Store, plan: Plan) -> None:
    """Go on only if every planned ledger file is there.

    Raises:
        IncompleteError: one is missing.
    """
    pending = pending_chunks(plan, committed(store))
    missing = [ledger_name(name, item.ref.chunk_id) for item in pending for name in sorted(item.open_ids)]
    if missing:
        raise IncompleteError(store.root, tuple(missing))


def set_down_parts(
    step: MergeStep, items: Sequence[MergeItem], folder: Path, *, merge_parts: MergeParts
) -> list[ScenePart]:
    """Merge scenes and questions, each into a local file of its own.

    Args:
        step: merges one of them.
        items: the scenes and questions.
        folder: where to.
        merge_parts: what drives the merge.

    Raises:
        FileNotFoundError: a ledger file is missing.
    """
    tables = merge_parts(step, items)
    return [
        _set_down(table, folder, query_id=query.id, scene=scene)
        for (scene, query), table in zip(items, tables, strict=True)
    ]


def _merge_objects(store: Store, plan: Plan, merge_parts: MergeParts) -> dict[str, int]:
    queries = [query for query in plan.queries if query.task is Task.LOCATE]
    with TemporaryDirectory(prefix="remotereasoner-") as folder:
        items = [(scene, query) for query in queries for scene in range(len(plan.scenes))]
        parts = set_down_parts(MergeStep(store, plan), items, Path(folder), merge_parts=merge_parts)
        zoom = frozen_zoom(store, total_cells(parts)) if queries else 0
        return {query.id: _write_query(store, query.id, parts, zoom=zoom) for query in queries}


def _set_down(table: pa.Table, folder: Path, *, query_id: str, scene: int) -> ScenePart:
    path = folder / f"{query_id}-{scene}.parquet"
    pq.write_table(table, path)
    return ScenePart(query_id, scene, path, Counter(part_cells(table)))


def total_cells(parts: Sequence[ScenePart]) -> Counter[str]:
    """Objects per deepest cell: of each the most that one question has there."""
    total: Counter[str] = Counter()
    for query_id in {part.query_id for part in parts}:
        own: Counter[str] = Counter()
        for part in parts:
            own.update(part.cells if part.query_id == query_id else {})
        total |= own
    return total


def _write_query(store: Store, query_id: str, parts: list[ScenePart], *, zoom: int) -> int:
    """Write a question's cells and delete those it no longer has; the number of its objects."""
    own = [part for part in parts if part.query_id == query_id]
    cells = sorted({key[:zoom] for part in own for key in part.cells})
    written = [_write_cell(store, query_id, cell, own) for cell in cells] or [write_empty(store, query_id)]
    store.remove(sorted(set(object_files(store, query_id)) - set(written)))
    return sum(sum(part.cells.values()) for part in own)


def _write_cell(store: Store, query_id: str, cell: str, parts: list[ScenePart]) -> str:
    return write_cell(store, query_id, cell, pa.concat_tables(rows_in_cell(parts, cell)))


def rows_in_cell(parts: Sequence[ScenePart], cell: str) -> list[pa.Table]:
    """The rows of parts that lie in a cell, a table per part that has any."""
    touched = [part for part in parts if any(key.startswith(cell) for key in part.cells)]
    return [cell_rows(pq.read_table(part.path), cell) for part in touched]


def collect_texts(store: Store, plan: Plan, query: Query, *, into: Store) -> int:
    """Write a caption's or VQA's texts; how many.

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
    return len(rows)
