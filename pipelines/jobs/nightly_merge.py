"""The merge of a nightly update: merges what may have changed, keeps ids, and stages the new files.

It reads the published files and writes to the stage only. A file that would stay the same is not staged.
"""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely

from pipelines.engine import Executor
from pipelines.jobs.stable_ids import TrackedOutlines, TrackedPairs, kept_ids, match_objects
from pipelines.merge import (
    CellTask,
    MergeResult,
    QuestionResult,
    SpilledRows,
    collect_texts,
    open_merge,
    read_spilled,
    write_table,
)
from pipelines.plan import Difference, Plan
from pipelines.tables import (
    EMPTY_CELL,
    TEXTS,
    Change,
    Side,
    empty_part,
    item_name,
    object_cells,
    object_files,
    object_name,
    side,
    write_cell,
    write_empty,
)
from reasoner.query import Query, Task
from tiling.storage import Store

_COMPARED = ["id", "label", "geometry", "area_m2", "score", "scene_ids", "datetime"]


@dataclass(frozen=True, slots=True)
class UpdatedCells:
    """One question's published cells, and the changes that the new merge makes to them."""

    merged: MergeResult
    """The new merge, not written."""
    question: QuestionResult
    """The question's part of the new merge."""
    query: Query
    """The question."""
    stage: Store
    """Where to write."""

    def keep_ids(self) -> list[Change]:
        """Give new objects the ids of the published objects they continue, and return the changes."""
        step = self.merged.step
        split = [step.split(item) for item in self.merged.tasks(self.question)]
        others = {name for stays, _ in split for name in stays.column("id").to_pylist()}
        before = _compared([goes for _, goes in split])
        now = _compared([read_spilled(step.spill, part.name) for part in self.question.rows])
        pairs = match_objects(_outlines(before), _outlines(now))
        ids = kept_ids(_outlines(before), _outlines(now), pairs, others=others)
        _set_ids(step.spill, self.question.rows, ids)
        return self._changes(before, now, pairs, ids)

    def staged(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Write every cell that differs from the published one.

        Returns:
            Names of the staged files, and of the published files to delete.
        """
        tasks = self.merged.tasks(self.question)
        touched = [item.cell for item in tasks]
        written = {item.cell for item in tasks if self._stage_cell(item)}
        old = set(object_cells(self.merged.step.store, self.query.id))
        left = (old - set(touched) - {EMPTY_CELL}) | written
        if not left:
            write_empty(self.stage, self.query.id)
            left = written = {EMPTY_CELL}
        gone = [self._name(cell) for cell in sorted(old - left)]
        return tuple(self._differing(written)), tuple(gone)

    def _differing(self, cells: Set[str]) -> Iterator[str]:
        """Names of the staged files of these cells, with their items, that differ from the files in place."""
        for name in (self._name(cell) for cell in sorted(cells)):
            described = item_name(name) if self.stage.exists(item_name(name)) else None
            yield from (file for file in (name, described) if file and self._is_new(file))

    def _is_new(self, name: str) -> bool:
        return differs(self.merged.step.store, self.stage, name)

    def _stage_cell(self, item: CellTask) -> bool:
        """Write a cell's rows to the stage; False if the cell has no rows any more."""
        rows = self.merged.step.after(item)
        if len(rows):
            write_cell(self.stage, self.query.id, item.cell, rows)
        return bool(len(rows))

    def _name(self, cell: str) -> str:
        return object_name(self.query.id, cell)

    def _changes(
        self, before: pa.Table, now: pa.Table, pairs: TrackedPairs, ids: Sequence[str]
    ) -> list[Change]:
        old, new = _sides(before), _sides(now)
        was = [old[pairs[at]] if at in pairs else None for at in range(len(new))]
        found = [self._change(*item) for item in zip(ids, was, new, strict=True)]
        lost = sorted(set(range(len(old))) - set(pairs.values()))
        names = before.column("id").to_pylist()
        found += [self._change(names[at], old[at], None) for at in lost]
        return [item for item in found if item.kind is not None]

    def _change(self, name: str, before: Side | None, after: Side | None) -> Change:
        return Change(name, self.query.id, self.query.text, before, after)


def differs(store: Store, stage: Store, name: str) -> bool:
    """Whether a staged file differs from the file in place, or there is no file in place."""
    try:
        return store.read(name) != stage.read(name)
    except FileNotFoundError:
        return True


def _compared(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables([table.select(_COMPARED) for table in (empty_part(), *tables)])


def _outlines(table: pa.Table) -> TrackedOutlines:
    shapes = shapely.from_wkb(np.array(table.column("geometry").to_pylist(), dtype=object))
    return TrackedOutlines(table.column("id").to_pylist(), shapes)


def _sides(table: pa.Table) -> list[Side]:
    return [side(record) for record in table.to_pylist()]


def _set_ids(spill: Store, parts: Sequence[SpilledRows], ids: Sequence[str]) -> None:
    first = 0
    for part in parts:
        table = read_spilled(spill, part.name)
        own = pa.array(ids[first : first + len(table)], pa.string())
        write_table(spill, part.name, table.set_column(table.column_names.index("id"), "id", own))
        first += len(table)


@dataclass(frozen=True, slots=True)
class Staged:
    """The result of one update's merge."""

    writes: tuple[str, ...]
    """Names of the staged files."""
    removes: tuple[str, ...]
    """Names of the published files to delete."""
    changes: tuple[Change, ...]
    """Changes of the objects of questions that were asked before and are asked now."""


@dataclass(frozen=True, slots=True)
class UpdateMerge:
    """Stages the result of an update whose ledger is complete."""

    store: Store
    """The output folder."""
    stage: Store
    """Where to write."""
    plan: Plan
    """The new plan."""
    what: Difference
    """What differs from the published one."""

    def __call__(self, executor: Executor) -> Staged:
        """Merge every new question completely, and the other questions where changed scenes affect them.

        Raises:
            IncompleteError: a ledger file is missing.
            OSError: the storage refuses.
        """
        with open_merge(self.store, self.plan, executor, only=self.what.changed) as result:
            results = list(self._objects(result))
        return Staged(
            writes=(*(name for each in results for name in each.writes), *self._texts()),
            removes=(
                *(name for each in results for name in each.removes),
                *orphans(self.store, self.plan),
            ),
            changes=tuple(change for each in results for change in each.changes),
        )

    def _objects(self, merged: MergeResult) -> Iterator[Staged]:
        queries = {query.id: query for query in self.plan.queries}
        for question in merged.questions:
            query = queries[question.query_id]
            cells = UpdatedCells(merged, question, query, self.stage)
            changes = () if query in self.what.new_queries else tuple(cells.keep_ids())
            yield Staged(*cells.staged(), changes)

    def _texts(self) -> Iterator[str]:
        for query in self.plan.queries:
            if query.task is not Task.LOCATE and self._concerns(query):
                collect_texts(self.store, self.plan, query, into=self.stage)
                name = f"{TEXTS}/query={query.id}/texts.parquet"
                if differs(self.store, self.stage, name):
                    yield name

    def _concerns(self, query: Query) -> bool:
        return bool(self.what.changed.scene_ids) or query in self.what.new_queries


def orphans(store: Store, plan: Plan) -> list[str]:
    """Files of objects and texts of questions that the plan does not ask."""
    asked = {f"query={query.id}" for query in plan.queries}
    names = (*object_files(store), *store.names(TEXTS))
    return [name for name in names if name.split("/")[1] not in asked]
