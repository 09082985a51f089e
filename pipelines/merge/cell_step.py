"""The last step of the merge, from spilled rows to the files of cells, and the merge's result as a whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import shapely

from pipelines.engine import Executor
from pipelines.merge.rows import SpilledRows
from pipelines.merge.spill import read_spilled
from pipelines.tables import (
    EMPTY_CELL,
    cell_bounds,
    cell_rows,
    empty_part,
    item_name,
    object_cells,
    object_files,
    object_name,
    read_cell,
    split_rows,
    write_cell,
    write_empty,
)
from tiling.storage import Store

_MARGIN = 1e-6
"""Degrees by which a cell is widened when it is tested for intersecting changed ground."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which published rows are replaced, if not all of them are."""

    scene_ids: frozenset[str]
    """Rows in which one of these scenes has a share are replaced."""
    ground: tuple[shapely.Geometry, ...]
    """The ground on which such rows may lie, longitude and latitude."""
    outlines: frozenset[bytes] = frozenset()
    """WKB outlines of further rows that are replaced, whatever their scenes."""


@dataclass(frozen=True, slots=True)
class QuestionResult:
    """One question's new objects, and which published rows they replace."""

    query_id: str
    """The question."""
    rows: tuple[SpilledRows, ...]
    """All new rows."""
    replaced: Replaced | None
    """The published rows that they replace, None for all."""


@dataclass(frozen=True, slots=True)
class CellTask:
    """One cell of one question."""

    query_id: str
    """The question."""
    cell: str
    """The cell."""
    names: tuple[str, ...]
    """Spill files that hold new rows of it."""
    replaced: Replaced | None
    """The published rows that they replace, None for all."""


@dataclass(frozen=True, slots=True)
class CellStep:
    """Computes and writes the files of cells; a plain picklable callable."""

    doing: ClassVar[str] = "writing cells"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It makes no reference cycles, so it runs with the garbage collector paused."""
    store: Store
    """The output folder."""
    spill: Store
    """The folder of spilled rows."""

    def __call__(self, item: CellTask) -> bool:
        """Write a cell's file and item, each atomically; without rows nothing is written and False returned.

        Raises:
            OSError: the storage refuses.
        """
        rows = self.after(item)
        if len(rows):
            write_cell(self.store, item.query_id, item.cell, rows)
        return bool(len(rows))

    def after(self, item: CellTask) -> pa.Table:
        """The rows that the cell's file will hold, unordered; no rows if it will be deleted."""
        stays = empty_part() if item.replaced is None else self.split(item)[0]
        new = [cell_rows(read_spilled(self.spill, name), item.cell) for name in item.names]
        return pa.concat_tables([stays, *new])

    def before(self, item: CellTask) -> pa.Table:
        """The rows that the cell's file holds now; no rows if there is no file."""
        if not self.store.exists(object_name(item.query_id, item.cell)):
            return empty_part()
        return read_cell(self.store, item.query_id, item.cell)

    def split(self, item: CellTask) -> tuple[pa.Table, pa.Table]:
        """The rows that the cell's file holds now, in two parts: those that stay, and those replaced."""
        if item.replaced is None:
            return empty_part(), self.before(item)
        return split_rows(self.before(item), item.replaced.scene_ids, item.replaced.outlines)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The new objects of an output folder, before any of its files is touched.

    It can be used only within the block that made it, since its spilled rows are deleted then.
    """

    step: CellStep
    """Computes and writes the files of cells."""
    zoom: int
    """Zoom of the cells."""
    questions: tuple[QuestionResult, ...]
    """The results of the questions that locate objects."""
    executor: Executor
    """Runs the step."""

    def tasks(self, question: QuestionResult) -> list[CellTask]:
        """The cells of a question that will be written or deleted, sorted; other cells stay unchanged."""
        names: dict[str, list[str]] = {}
        for part in question.rows:
            for cell in {key[: self.zoom] for key in part.cells}:
                names.setdefault(cell, []).append(part.name)
        cells = sorted(names.keys() | set(self._old_cells(question)))
        return [self._task(question, cell, tuple(names.get(cell, ()))) for cell in cells]

    def write(self) -> None:
        """Write and delete the cells' files, each atomically; doing it again gives the same bytes.

        Raises:
            OSError: the storage refuses.
        """
        for question in self.questions:
            self._write(question)

    def _write(self, question: QuestionResult) -> None:
        store, tasks = self.step.store, self.tasks(question)
        written = list(self.executor.map(self.step, tasks))
        gone = {
            object_name(item.query_id, item.cell)
            for item, is_there in zip(tasks, written, strict=True)
            if not is_there
        }
        empty = object_name(question.query_id, EMPTY_CELL)
        if set(object_files(store, question.query_id)) - gone - {empty}:
            gone.add(empty)
        else:
            write_empty(store, question.query_id)
        store.remove(sorted(gone | {item_name(name) for name in gone}))

    def _old_cells(self, question: QuestionResult) -> list[str]:
        """Cells with a row that is replaced; only files of cells that meet the changed ground are opened."""
        cells = [cell for cell in object_cells(self.step.store, question.query_id) if cell != EMPTY_CELL]
        if question.replaced is None:
            return cells
        tree = shapely.STRtree(question.replaced.ground)
        near = [cell for cell in cells if len(tree.query(_area(cell), predicate="intersects"))]
        return [cell for cell in near if len(self.step.split(self._task(question, cell, ()))[1])]

    def _task(self, question: QuestionResult, cell: str, names: tuple[str, ...]) -> CellTask:
        return CellTask(question.query_id, cell, names, question.replaced)


def total(parts: Sequence[SpilledRows]) -> Counter[str]:
    """Bytes of well-known binary per deepest cell of several parts."""
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part.cells)
    return found


def _area(cell: str) -> shapely.Polygon:
    west, south, east, north = cell_bounds(cell)
    return shapely.box(west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN)
