"""The map of a result as a value that a notebook shows and that can be saved."""

from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path

from pipelines.results import in_place


@dataclass(frozen=True, slots=True, repr=False)
class MapView:
    """Imagery and objects on one page that needs no network."""

    page: str
    """The page, HTML."""
    height_px: int = 520
    """Height of the map in a notebook."""

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the page as one file that any browser opens.

        Raises:
            RequestError: there is no such folder, or it cannot be written.
        """
        final = Path(path)
        with in_place(final) as unfinished:
            unfinished.write_text(self.page, encoding="utf-8")
        return final

    def _repr_html_(self) -> str:
        """The page in a sandboxed frame, whose scripts reach neither the notebook nor a network."""
        return (
            f'<iframe srcdoc="{escape(self.page)}" sandbox="allow-scripts" title="Map of the objects found" '
            f'style="width:100%;height:{self.height_px}px;border:0;border-radius:6px"></iframe>'
        )

    def __repr__(self) -> str:
        return f"map, {len(self.page) / 1e6:.1f} MB; .save('map.html') writes it, a notebook shows it"
