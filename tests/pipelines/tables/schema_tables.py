"""The tables of docs/schema.md, made from the columns and their types."""

from collections.abc import Mapping

import pyarrow as pa

from pipelines.tables.schema import Column

HEADER = ("column", "type", "unit, CRS", "meaning")


def table(columns: Mapping[str, Column], schema: pa.Schema) -> str:
    """A table in Markdown, in the order of the schema."""
    rows = [(f"`{f.name}`", str(f.type), columns[f.name].unit, columns[f.name].meaning) for f in schema]
    lines = [f"| {' | '.join(row)} |" for row in (HEADER, ("---",) * len(HEADER), *rows)]
    return "\n".join(lines)
