"""Integer rectangles on a pixel grid. Knows no files and no CRS."""

from dataclasses import dataclass

from tiling.errors import GridError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open rectangle of pixels: columns x0..x1, rows y0..y1, origin top-left."""

    x0: int
    """First column, pixels."""
    y0: int
    """First row, pixels."""
    x1: int
    """Column after the last, pixels."""
    y1: int
    """Row after the last, pixels."""

    def __post_init__(self) -> None:
        if self.x1 <= self.x0 or self.y1 <= self.y0:
            raise GridError(
                f"window {self.x0},{self.y0},{self.x1},{self.y1} is empty: x1 > x0 and y1 > y0 needed"
            )

    @property
    def width(self) -> int:
        """Columns, pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Rows, pixels."""
        return self.y1 - self.y0
