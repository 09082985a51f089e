"""docs/schema.md says of every column of every table its type, unit and meaning, and of no other."""

import re
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.results import sql_functions
from pipelines.results.export import FORMATS
from pipelines.tables import changes, ledger
from pipelines.tables.objects import GEOMETRIES, OBJECT_SCHEMA
from pipelines.tables.schema import (
    ANSWER_COLUMNS,
    CHANGE_COLUMNS,
    LONLAT,
    OBJECT_COLUMNS,
    TEXT_COLUMNS,
    Column,
)
from pipelines.tables.texts import TEXT_SCHEMA
from tests.pipelines.tables.schema_tables import table

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
    columns: Mapping[str, Column]
    schema: pa.Schema
    columns, schema = TABLES[name]
    assert list(columns) == schema.names
    assert table(columns, schema) in section(name)
    assert len(re.findall(r"^\| `", section(name), re.MULTILINE)) == len(schema)


def test_every_geometry_names_its_crs() -> None:
    assert {OBJECT_COLUMNS[name].unit for name in GEOMETRIES} == {LONLAT}
    assert LONLAT == TEXT_COLUMNS["geometry"].unit == ANSWER_COLUMNS["geometry"].unit


def test_every_spatial_function_and_format_is_named() -> None:
    page = PAGE.read_text("utf-8")
    functions = (*sql_functions.PREDICATES, *sql_functions.MEASURES, *sql_functions.MAKERS)
    assert [
        name for name in (*functions, "in_box", "ST_MakeEnvelope", "ST_Point") if f"`{name}" not in page
    ] == []
    assert [ending for ending in FORMATS if f"`.{ending}`" not in page] == []
