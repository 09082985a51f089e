"""The tables of docs/schema.md, made from the columns."""

from collections.abc import Sequence

from pipelines.tables.schema import Column

HEADER = ("column", "type", "unit, CRS", "meaning")


def table(columns: Sequence[Column]) -> str:
    """A table in Markdown, in the order of the columns."""
    rows = [(f"`{each.name}`", str(each.type), each.unit, each.meaning) for each in columns]
    lines = [f"| {' | '.join(row)} |" for row in (HEADER, ("---",) * len(HEADER), *rows)]
    return "\n".join(lines)
