"""A merge worked out and not yet written: what every cell held before and will hold. Knows no fragment."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from pipelines.cells import EMPTY_CELL, cell_bounds
from pipelines.dataset import (
    cell_rows,
    empty_part,
    item_name,
    object_cells,
    object_files,
    object_name,
    part_cells,
    read_cell,
    split_rows,
    write_cell,
    write_empty,
)
from pipelines.storage import Store

_MARGIN = 1e-6
"""Degrees that a cell is widened by when ground is looked for in it."""


@dataclass(frozen=True, slots=True)
class Part:
    """Objects of one question, set down in a local file until their cells are known."""

    path: Path
    """The local file."""
    cells: Counter[str]
    """Objects per deepest cell."""


def set_down(table: pa.Table, path: Path) -> Part:
    """Put a table of objects aside."""
    pq.write_table(table, path)
    return Part(path, Counter(part_cells(table)))


@dataclass(frozen=True, slots=True)
class Replaced:
    """Which rows so far are replaced, where it is not all of them."""

    scene_ids: frozenset[str]
    """Every row that one of these scenes has a share in."""
    ground: tuple[shapely.Geometry, ...]
    """Where such rows may lie, longitude and latitude."""
    outlines: frozenset[bytes] = frozenset()
    """WKB of rows that are said again, whoever has a share in them."""


@dataclass(frozen=True, slots=True)
class StagedQuestion:
    """One question's new objects, and whose rows they stand for."""

    query_id: str
    """The question."""
    parts: tuple[Part, ...]
    """All new rows."""
    replaced: Replaced | None
    """The rows so far that they stand for, None where they stand for all."""


@dataclass(frozen=True, slots=True)
class StagedMerge:
    """The new objects of an output folder, before any of its files is touched.

    It lives as long as the block that made it: its rows lie in temporary files.
    """

    store: Store
    """The output folder."""
    zoom: int
    """Zoom of its cells."""
    questions: tuple[StagedQuestion, ...]
    """One per question that locates."""

    def cells(self, question: StagedQuestion) -> list[str]:
        """Cells of a question that will be written or deleted, sorted; all others stay as they are."""
        new = {key[: self.zoom] for part in question.parts for key in part.cells}
        return sorted(new | set(self._old_cells(question)))

    def before(self, question: StagedQuestion, cell: str) -> pa.Table:
        """Rows that the cell's file holds now, none where there is no file."""
        if not self.store.exists(object_name(question.query_id, cell)):
            return empty_part()
        return read_cell(self.store, question.query_id, cell)

    def after(self, question: StagedQuestion, cell: str) -> pa.Table:
        """Rows that the cell's file will hold, in no order; none where it will be deleted."""
        touched = [part for part in question.parts if any(key.startswith(cell) for key in part.cells)]
        new = [cell_rows(pq.read_table(part.path), cell) for part in touched]
        return pa.concat_tables([self.split(question, cell)[0], *new])

    def write(self) -> None:
        """Write and delete the cells' files, each atomically; doing it again gives the same bytes.

        Raises:
            OSError: the storage refuses.
        """
        for question in self.questions:
            self._write(question)

    def _write(self, question: StagedQuestion) -> None:
        cells = self.cells(question)
        gone = set()
        for cell in cells:
            rows = self.after(question, cell)
            if len(rows):
                write_cell(self.store, question.query_id, cell, rows)
            else:
                gone.add(object_name(question.query_id, cell))
        empty = object_name(question.query_id, EMPTY_CELL)
        if set(object_files(self.store, question.query_id)) - gone - {empty}:
            gone.add(empty)
        else:
            write_empty(self.store, question.query_id)
        self.store.remove(sorted(gone | {item_name(name) for name in gone}))

    def split(self, question: StagedQuestion, cell: str) -> tuple[pa.Table, pa.Table]:
        """Rows that the cell's file holds now: those that stay, and those that new rows stand for."""
        before, replaced = self.before(question, cell), question.replaced
        if replaced is None:
            return empty_part(), before
        return split_rows(before, replaced.scene_ids, replaced.outlines)

    def _old_cells(self, question: StagedQuestion) -> list[str]:
        """Cells that hold a row to be replaced; only files over the replaced rows' ground are opened."""
        cells = [cell for cell in object_cells(self.store, question.query_id) if cell != EMPTY_CELL]
        if question.replaced is None:
            return cells
        tree = shapely.STRtree(question.replaced.ground)
        near = [cell for cell in cells if len(tree.query(_area(cell), predicate="intersects"))]
        return [cell for cell in near if len(self.split(question, cell)[1])]


def total(parts: Sequence[Part]) -> Counter[str]:
    """Objects per deepest cell of several parts."""
    found: Counter[str] = Counter()
    for part in parts:
        found.update(part.cells)
    return found


def _area(cell: str) -> shapely.Polygon:
    west, south, east, north = cell_bounds(cell)
    return shapely.box(west - _MARGIN, south - _MARGIN, east + _MARGIN, north + _MARGIN)
