"""The last step of the merge: from spilled rows to the files of cells, written when that is asked for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import shapely

from pipelines.engine import Executor
from pipelines.merge.spill import read_spilled
from pipelines.merge.tasks import SpilledRows
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
"""Degrees that a cell is widened by when ground is looked for in it."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which published rows are replaced, where it is not all of them."""

    scene_ids: frozenset[str]
    """Every row that one of these scenes has a share in."""
    ground: tuple[shapely.Geometry, ...]
    """Where such rows may lie, longitude and latitude."""
    outlines: frozenset[bytes] = frozenset()
    """WKB of rows that are written again, whoever has a share in them."""


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
    """Works out and writes cells; a plain picklable callable."""

    doing: ClassVar[str] = "writing cells"
    """Shown while it runs."""
    makes_no_cycles: ClassVar[bool] = True
    """It runs sooner without the collector of reference cycles."""
    store: Store
    """The output folder."""
    spill: Store
    """Where new rows are spilled."""

    def __call__(self, item: CellTask) -> bool:
        """Write a cell's file and item, each atomically; False, and nothing written, where it has no rows.

        Raises:
            OSError: the storage refuses.
        """
        rows = self.after(item)
        if len(rows):
            write_cell(self.store, item.query_id, item.cell, rows)
        return bool(len(rows))

    def after(self, item: CellTask) -> pa.Table:
        """Rows that the cell's file will hold, in no order; none where it will be deleted."""
        stays = empty_part() if item.replaced is None else self.split(item)[0]
        new = [cell_rows(read_spilled(self.spill, name), item.cell) for name in item.names]
        return pa.concat_tables([stays, *new])

    def before(self, item: CellTask) -> pa.Table:
        """Rows that the cell's file holds now, none where there is no file."""
        if not self.store.exists(object_name(item.query_id, item.cell)):
            return empty_part()
        return read_cell(self.store, item.query_id, item.cell)

    def split(self, item: CellTask) -> tuple[pa.Table, pa.Table]:
        """Rows that the cell's file holds now: those that stay, and those that new rows replace."""
        if item.replaced is None:
            return empty_part(), self.before(item)
        return split_rows(self.before(item), item.replaced.scene_ids, item.replaced.outlines)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """The new objects of an output folder, before any of its files is touched.

    It lives as long as the block that made it: its rows are spilled for so long.
    """

    step: CellStep
    """Works out and writes cells."""
    zoom: int
    """Zoom of the cells."""
    questions: tuple[QuestionResult, ...]
    """One per question that locates."""
    executor: Executor
    """Runs the step."""

    def tasks(self, question: QuestionResult) -> list[CellTask]:
        """The cells of a question that will be written or deleted, sorted; all others stay as they are."""
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
        """Cells that hold a row to be replaced; only files over the replaced rows' ground are opened."""
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
