"""What of a result goes into an exported file, and how: the options of `export`, without its libraries."""

from dataclasses import dataclass
from enum import StrEnum


class Shape(StrEnum):
    """Which geometry of an object."""

    GEOMETRY = "geometry"
    """The outline, a multipolygon."""
    REGION = "region"
    """The box, a multipolygon."""
    CONTOUR = "contour"
    """The rings, a multiline."""


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What of a result goes into the file, and how."""

    query: str | None = None
    """Text or slug of the only question; None for all."""
    where: str | None = None
    """SQL condition on the columns of `objects`."""
    format: str | None = None
    """A file ending from the list of formats; None for that of the file."""
    geometry: Shape = Shape.GEOMETRY
    """The geometry where there is room for one."""
    simplify_m: float | None = None
    """How far outlines may move to lose corners, metres; None keeps every corner."""
    unfinished: bool = False
    """Read what is there of a run that is not published."""
