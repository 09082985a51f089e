"""HTML tables and links for notebooks, with escaped values."""

from collections.abc import Iterable, Sequence
from html import escape

_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"


def table_html(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A plain table.

    Args:
        header: names of the columns.
        rows: texts, which may contain any character.
    """
    head = "".join(f'<th style="{_CELL}">{escape(name)}</th>' for name in header)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def link_html(address: str, text: str) -> str:
    """A link that opens in a new tab."""
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(text)}</a>'
