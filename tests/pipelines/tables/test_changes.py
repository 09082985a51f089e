"""The change table reads back as it was written, is valid GeoParquet, and updates of one date add up."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.tables.changes import (
    Change,
    ChangeKind,
    Side,
    changes_name,
    combine_changes,
    dates_in,
    read_changes,
    write_changes,
)
from tiling.storage.store import Store

DATE = "2026-11-24"
TIME = datetime(2026, 11, 24, 10, 30, tzinfo=UTC)


def a_side(x: float, label: str = "") -> Side:
    return Side(label, shapely.box(x, 0, x + 1, 1), 2.5, 0.75, ("scene-1", "scene-2"), TIME)


def change(name: str, before: float | None, after: float | None) -> Change:
    sides = (None if x is None else a_side(x) for x in (before, after))
    return Change(name, "ships-1", "where are ships?", *sides)


ROWS = [change("a", None, 1.0), change("b", 2.0, None), change("c", 3.0, 3.5)]


def test_rows_read_back_as_they_were_written_whatever_their_order(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    name = write_changes(store, DATE, ROWS)
    assert name == changes_name(DATE) == f"changes/date={DATE}/changes.parquet"
    first = store.read(name)
    assert sorted(read_changes(store, DATE), key=lambda row: row.id) == ROWS
    write_changes(store, DATE, ROWS[::-1])
    assert store.read(name) == first


def test_the_table_is_valid_geoparquet_with_and_without_rows(tmp_path: Path) -> None:
    for rows in (ROWS, []):
        path = tmp_path / write_changes(Store(str(tmp_path)), DATE, rows)
        done = subprocess.run(
            [str(Path(sys.executable).with_name("geoparquet-validator")), "check", "--json", str(path)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        table = gpd.read_parquet(path)
        assert list(table.columns[:2]) == ["change", "id"]
        assert len(table) == len(rows)
        assert all(table[name].crs == "OGC:CRS84" for name in ("geometry", "before", "after"))


def test_a_row_says_what_happened_how_much_and_where(tmp_path: Path) -> None:
    path = tmp_path / write_changes(Store(str(tmp_path)), DATE, ROWS)
    rows = {row["id"]: row for row in pq.read_table(path).to_pylist()}
    assert {name: row["change"] for name, row in rows.items()} == {
        "a": "appeared",
        "b": "disappeared",
        "c": "changed",
    }
    assert {name: row["iou"] for name, row in rows.items()} == {"a": None, "b": None, "c": 0.5 / 1.5}
    assert rows["c"]["bbox"] == {"xmin": 3.5, "ymin": 0.0, "xmax": 4.5, "ymax": 1.0}
    assert rows["c"]["before_bbox"]["xmin"] == 3.0
    assert (rows["a"]["before_bbox"], rows["b"]["after_bbox"]) == (None, None)
    assert rows["b"]["geometry"] == rows["b"]["before"]
    assert rows["c"]["geometry"] == rows["c"]["after"]
    assert (rows["a"]["score_before"], rows["a"]["score_after"]) == (None, 0.75)


def test_an_outline_or_a_label_is_a_change_and_a_score_is_none() -> None:
    was = a_side(0.0)
    better = Side(was.label, was.geometry, was.area_m2, 0.99, ("scene-9",), None)
    assert Change("a", "q", "?", was, better).kind is None
    assert Change("a", "q", "?", was, a_side(0.0, "pier")).kind is ChangeKind.CHANGED
    assert Change("a", "q", "?", was, a_side(0.001)).kind is ChangeKind.CHANGED


WORLD = st.dictionaries(st.sampled_from("abcd"), st.sampled_from([0.0, 0.25, 0.5]))
"""Where objects of these ids are."""


def between(old: dict[str, float], new: dict[str, float]) -> list[Change]:
    rows = [change(name, old.get(name), new.get(name)) for name in sorted(old.keys() | new.keys())]
    return [row for row in rows if row.kind is not None]


@given(WORLD, WORLD, WORLD)
def test_two_updates_of_one_date_list_what_one_would(
    first: dict[str, float], then: dict[str, float], last: dict[str, float]
) -> None:
    added = combine_changes(between(first, then), between(then, last))
    assert sorted(added, key=lambda row: row.id) == between(first, last)


def test_dates_are_read_from_names_of_change_tables_alone() -> None:
    names = ["objects/query=a/cell=0/objects.parquet", changes_name("2026-11-25"), changes_name("2026-11-24")]
    assert dates_in(names) == ["2026-11-24", "2026-11-25"]
