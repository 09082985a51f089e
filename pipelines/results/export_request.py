"""The options of `export`, in a file of their own so that commands need not import the export's libraries."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """Which of an object's geometries is exported."""

    GEOMETRY = "geometry"
    """The outline, a multipolygon."""
    REGION = "region"
    """The box, a multipolygon."""
    CONTOUR = "contour"
    """The rings, a multiline."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What an exported file contains, and how it is written."""

    query: str | None = None
    """Text or slug of the only question; None for all."""
    where: str | None = None
    """SQL condition on the columns of `objects`."""
    format: str | None = None
    """A file ending from the list of formats; None takes the ending of the file's name."""
    geometry: Shape = Shape.GEOMETRY
    """The geometry to write in formats that hold one per object."""
    simplify_m: float | None = None
    """How far outlines may move when they are simplified, metres; None keeps every corner."""
    unfinished: bool = False
    """Read what exists of a run that is not published."""
