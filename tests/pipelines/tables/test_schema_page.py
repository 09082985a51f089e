"""docs/schema.md says of every column of every table its type, unit and meaning, and of no other."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from pipelines.results import sql_functions
from pipelines.results.export import FORMATS
from pipelines.tables import changes, ledger
from pipelines.tables.objects import GEOMETRIES, OBJECT_SCHEMA
from pipelines.tables.schema import (
    ANSWER_COLUMNS,
    CHANGE_COLUMNS,
    FRAGMENT_COLUMNS,
    LONLAT_DEGREES,
    OBJECT_COLUMNS,
    TEXT_COLUMNS,
)
from pipelines.tables.texts import TEXT_SCHEMA
from tests.pipelines.tables.schema_tables import table
from tiling.merge.fragments import Fragment

PAGE = Path(__file__).parents[3] / "docs" / "schema.md"
TABLES = {
    "objects": (OBJECT_COLUMNS, OBJECT_SCHEMA),
    "texts": (TEXT_COLUMNS, TEXT_SCHEMA),
    "answers": (ANSWER_COLUMNS, ledger.LEDGER_SCHEMA),
    "changes": (CHANGE_COLUMNS, changes.CHANGE_SCHEMA),
}


def section(name: str) -> str:
    """The part of the page below a heading."""
    return PAGE.read_text("utf-8").split(f"\n## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", TABLES)
def test_the_table_of_the_page_is_that_of_the_files(name: str) -> None:
    columns, schema = TABLES[name]
    assert [column.name for column in columns] == schema.names
    assert table(columns) in section(name)
    assert len(re.findall(r"^\| `", section(name), re.MULTILINE)) == len(schema)


def test_every_geometry_names_its_crs() -> None:
    units = {column.name: column.unit for column in OBJECT_COLUMNS}
    assert {units[name] for name in GEOMETRIES} == {LONLAT_DEGREES}
    for columns in (TEXT_COLUMNS, ANSWER_COLUMNS):
        assert [column.unit for column in columns if column.name == "geometry"] == [LONLAT_DEGREES]


def test_every_spatial_function_and_format_is_named() -> None:
    page = PAGE.read_text("utf-8")
    functions = (*sql_functions.PREDICATES, *sql_functions.MEASURES, *sql_functions.MAKERS)
    assert [
        name for name in (*functions, "in_box", "ST_MakeEnvelope", "ST_Point") if f"`{name}" not in page
    ] == []
    assert [ending for ending in FORMATS if f"`.{ending}`" not in page] == []


def test_the_ledgers_fragments_have_the_fields_of_fragments() -> None:
    assert {column.name for column in FRAGMENT_COLUMNS} == {field.name for field in fields(Fragment)} - {
        "tile_id"
    }
    (column,) = (column for column in ANSWER_COLUMNS if column.name == "fragments")
    assert all(f"`{each.name}`" in column.meaning for each in FRAGMENT_COLUMNS)
