"""The change table of a nightly update: which objects appeared, disappeared and changed.

A row is an object as it was before and after the update. An object has changed if its outline or its label
is different; `iou` says how much the outlines overlap, so that a reader may set a threshold. A different
score or scene alone is not a change.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from io import BytesIO
from typing import Any

import pyarrow.parquet as pq
import shapely

from pipelines.tables.geoparquet import WORLD, geoparquet_bytes, hilbert_order
from pipelines.tables.schema import CHANGE_COLUMNS, SIDE_COLUMNS, schema_of
from tiling.geo import iou
from tiling.storage import Store

CHANGES = "changes"
_SIDES = ("before", "after")
CHANGE_SCHEMA = schema_of(CHANGE_COLUMNS)
CHANGE_COVERINGS = {"geometry": "bbox", "before": "before_bbox", "after": "after_bbox"}
"""Geometry columns, the primary one first, and the columns of their covering boxes."""


class ChangeKind(StrEnum):
    """What happened to an object."""

    APPEARED = "appeared"
    """It exists now and did not exist before."""
    DISAPPEARED = "disappeared"
    """It existed before and does not exist now."""
    CHANGED = "changed"
    """It existed before and exists now, with another outline or label."""


@dataclass(frozen=True, slots=True)
class Side:
    """An object as it was published at one time."""

    label: str
    """What the reasoner called it."""
    geometry: shapely.Geometry
    """Its outline, longitude and latitude."""
    area_m2: float
    """Its area, square metres."""
    score: float
    """The segmenter's estimate, 0 to 1."""
    scene_ids: tuple[str, ...]
    """The scenes it was seen in."""
    datetime: datetime | None
    """When it was seen, None where unknown."""


@dataclass(frozen=True, slots=True)
class Change:
    """One object before and after an update."""

    id: str
    """Its id."""
    query_id: str
    """The question it answers."""
    query: str
    """That question's text."""
    before: Side | None
    """The object before the update, None if it did not exist."""
    after: Side | None
    """The object after the update, None if it does not exist any more."""

    @property
    def kind(self) -> ChangeKind | None:
        """What happened to the object, None if nothing did."""
        if self.before is None or self.after is None:
            return ChangeKind.APPEARED if self.after else ChangeKind.DISAPPEARED if self.before else None
        same = self.before.label == self.after.label and self.before.geometry == self.after.geometry
        return None if same else ChangeKind.CHANGED


def changes_name(date: str) -> str:
    """Name of the change table of an update."""
    return f"{CHANGES}/date={date}/changes.parquet"


def dates_in(names: Iterable[str]) -> list[str]:
    """Dates of the change tables among file names, sorted."""
    parts = [name.split("/") for name in names]
    return sorted(part[1].removeprefix("date=") for part in parts if part[0] == CHANGES and len(part) == 3)


def combine_changes(earlier: Sequence[Change], later: Sequence[Change]) -> list[Change]:
    """The changes of two updates in turn as one; objects that end as they began are left out."""
    known = {(item.query_id, item.id): item for item in earlier}
    for item in later:
        first = known.get((item.query_id, item.id), item)
        known[item.query_id, item.id] = Change(item.id, item.query_id, item.query, first.before, item.after)
    return [item for item in known.values() if item.kind is not None]


def write_changes(store: Store, date: str, changes: Sequence[Change]) -> str:
    """Write an update's table; the file's name."""
    records = [_record(item) for item in _in_order(changes)]
    plain = [name for name in CHANGE_SCHEMA.names if name not in CHANGE_COVERINGS.values()]
    columns = {name: [record[name] for record in records] for name in plain}
    store.write(changes_name(date), geoparquet_bytes(columns, CHANGE_SCHEMA, CHANGE_COVERINGS))
    return changes_name(date)


def read_changes(store: Store, date: str) -> list[Change]:
    """The rows of an update's table.

    Raises:
        FileNotFoundError: there is no such table.
    """
    rows = pq.read_table(BytesIO(store.read(changes_name(date)))).to_pylist()
    return [
        Change(row["id"], row["query_id"], row["query"], *(_side_of(row, side) for side in _SIDES))
        for row in rows
    ]


def side(record: Mapping[str, Any]) -> Side:
    """One side from a row of objects with WKB geometry."""
    fields = {name: record[name] for name in SIDE_COLUMNS}
    shape = shapely.from_wkb(record["geometry"])
    return Side(**{**fields, "geometry": shape, "scene_ids": tuple(record["scene_ids"])})


def _in_order(changes: Sequence[Change]) -> list[Change]:
    """The changes ordered along a Hilbert curve."""
    places = [side.geometry for item in changes if (side := item.after or item.before)]
    return [changes[at] for at in hilbert_order(places, WORLD, [item.id for item in changes])]


def _side_of(row: Mapping[str, Any], which: str) -> Side | None:
    if row[which] is None:
        return None
    return side({"geometry": row[which], **{name: row[f"{name}_{which}"] for name in SIDE_COLUMNS}})


def _record(item: Change) -> dict[str, object]:
    sides = {"before": item.before, "after": item.after}
    here = item.after or item.before
    assert here is not None
    shapes = {name: each.geometry for name, each in sides.items() if each is not None}
    record: dict[str, object] = {
        **{name: getattr(item, name) for name in ("id", "query_id", "query")},
        "change": str(item.kind),
        "label": here.label,
        "geometry": here.geometry,
        **{name: shapes.get(name) for name in sides},
        "iou": iou(*shapes.values()) if len(shapes) == 2 else None,
    }
    for name, each in sides.items():
        record |= {f"{column}_{name}": getattr(each, column, None) for column in SIDE_COLUMNS}
    return record
