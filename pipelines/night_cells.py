"""One question's objects on a night, cell by cell: rows that stay, rows that go, rows that come. Knows no ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from pipelines.cells import EMPTY_CELL, cell_bounds
from pipelines.changes import Change, Side, side
from pipelines.dataset import (
    PART_SCHEMA,
    cell_of,
    filed_rows,
    object_files,
    object_name,
    write_cell,
    write_empty,
)
from pipelines.keeping import Outlines, Pairs, kept_ids, same_things
from pipelines.merge_job import ScenePart, rows_in_cell
from pipelines.storage import Store
from reasoner.query import Query

MARGIN_DEGREES = 0.1
"""How far outside its scene's outline an object may lie: tiles reach past the edge of a small scene."""
_TOP = 85.0
"""Latitudes beyond are filed as this one."""
_COMPARED = ["id", "label", "geometry", "area_m2", "score", "scene_ids", "datetime"]

Published = Mapping[str, pa.Table]
"""Published rows by cell."""


@dataclass(frozen=True, slots=True)
class NightCells:
    """One question's published cells and how tonight's merge changes them."""

    store: Store
    """The output folder."""
    stage: Store
    """Where to write."""
    query: Query
    """The question."""
    zoom: int
    """Zoom of the cells."""
    affected: frozenset[str]
    """Scenes that were merged anew, or are gone: their published rows are replaced."""

    def published(self, outlines: Sequence[shapely.Geometry], parts: Sequence[ScenePart]) -> Published:
        """Rows of every cell that the affected scenes touch, or their new objects lie in.

        Args:
            outlines: where the affected scenes lie and lay, longitude and latitude.
            parts: the new objects.
        """
        places = shapely.STRtree([_held(outline) for outline in outlines])
        new = self._cells(parts)
        return {
            cell: filed_rows(pq.read_table(BytesIO(self.store.read(name))), cell)
            for cell, name in self._files().items()
            if cell in new or len(places.query(shapely.box(*cell_bounds(cell)), predicate="intersects"))
        }

    def keep_ids(self, parts: Sequence[ScenePart], published: Published) -> list[Change]:
        """Give new objects the ids of the published ones they are the same as; what changed."""
        goes = [self._split(table)[1] for table in published.values()]
        stays = [self._split(table)[0] for table in published.values()]
        before = _compared(goes)
        now = _compared([pq.read_table(part.path) for part in parts])
        pairs = same_things(_outlines(before), _outlines(now))
        others = {name for table in stays for name in table.column("id").to_pylist()}
        ids = kept_ids(_outlines(before), _outlines(now), pairs, others=others)
        _set_ids(parts, ids)
        return self._changes(before, now, pairs, ids)

    def staged(
        self, parts: Sequence[ScenePart], published: Published
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Write every cell that differs from the published one.

        Returns:
            Names of the staged files, and of the published files that go.
        """
        old = {cell for cell, table in published.items() if len(self._split(table)[1])}
        touched = sorted(old | self._cells(parts))
        written = {cell for cell in touched if self._stage_cell(cell, parts, published)}
        files = self._files()
        left = (files.keys() - set(touched) - {EMPTY_CELL}) | written
        if not left:
            write_empty(self.stage, self.query.id)
            left = written = {EMPTY_CELL}
        names = [object_name(self.query.id, cell) for cell in sorted(written)]
        return (
            tuple(name for name in names if differs(self.store, self.stage, name)),
            tuple(files[cell] for cell in sorted(files.keys() - left)),
        )

    def _stage_cell(self, cell: str, parts: Sequence[ScenePart], published: Published) -> bool:
        """Write a cell's rows into the stage; False where it has none any more."""
        stays = [self._split(published[cell])[0]] if cell in published else []
        rows = [table for table in (*stays, *rows_in_cell(parts, cell)) if len(table)]
        if rows:
            write_cell(self.stage, self.query.id, cell, pa.concat_tables(rows))
        return bool(rows)

    def _split(self, table: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Rows that stay, and rows of affected scenes."""
        hit = [not self.affected.isdisjoint(scenes) for scenes in table.column("scene_ids").to_pylist()]
        mask = np.array(hit, dtype=bool)
        return table.filter(pa.array(~mask)), table.filter(pa.array(mask))

    def _files(self) -> dict[str, str]:
        """Published files by cell."""
        return {cell_of(name): name for name in object_files(self.store, self.query.id)}

    def _cells(self, parts: Sequence[ScenePart]) -> set[str]:
        return {key[: self.zoom] for part in parts for key in part.cells}

    def _changes(self, before: pa.Table, now: pa.Table, pairs: Pairs, ids: Sequence[str]) -> list[Change]:
        old, new = _sides(before), _sides(now)
        found = [
            self._change(ids[at], old[pairs[at]] if at in pairs else None, each)
            for at, each in enumerate(new)
        ]
        lost = sorted(set(range(len(old))) - set(pairs.values()))
        names = before.column("id").to_pylist()
        found += [self._change(names[at], old[at], None) for at in lost]
        return [item for item in found if item.kind is not None]

    def _change(self, name: str, before: Side | None, after: Side | None) -> Change:
        return Change(name, self.query.id, self.query.text, before, after)


def differs(store: Store, stage: Store, name: str) -> bool:
    """Whether a staged file is another than the one in place, or that one is not there."""
    try:
        return store.read(name) != stage.read(name)
    except FileNotFoundError:
        return True


def _held(outline: shapely.Geometry) -> shapely.Geometry:
    """An outline with its margin, inside the latitudes that cells reach to."""
    grown = shapely.buffer(outline, MARGIN_DEGREES)
    return shapely.transform(grown, lambda xy: np.column_stack([xy[:, 0], np.clip(xy[:, 1], -_TOP, _TOP)]))


def _compared(tables: Sequence[pa.Table]) -> pa.Table:
    empty = PART_SCHEMA.empty_table().select(_COMPARED)
    return pa.concat_tables([empty, *(table.select(_COMPARED) for table in tables)])


def _outlines(table: pa.Table) -> Outlines:
    shapes = shapely.from_wkb(np.array(table.column("geometry").to_pylist(), dtype=object))
    return Outlines(table.column("id").to_pylist(), shapes)


def _sides(table: pa.Table) -> list[Side]:
    return [side(record) for record in table.to_pylist()]


def _set_ids(parts: Sequence[ScenePart], ids: Sequence[str]) -> None:
    first = 0
    for part in parts:
        table = pq.read_table(part.path)
        own = pa.array(ids[first : first + len(table)], pa.string())
        pq.write_table(table.set_column(table.column_names.index("id"), "id", own), part.path)
        first += len(table)
