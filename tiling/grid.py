"""The grid of one scene: windows, tiles and chunks, as integer arithmetic on working pixels."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


ALL = b""
"""The packed mask that selects all tiles of a rectangle."""


def packed(wanted: NDArray[np.bool_]) -> bytes:
    """Pack a mask: one bit a tile, row by row, highest bit first, padded to bytes; empty if all are selected.

    Args:
        wanted: (rows, columns), true where the tile is selected.
    """
    return ALL if wanted.all() else np.packbits(wanted).tobytes()


def unpacked(mask: bytes, rows: int, columns: int) -> NDArray[np.bool_]:
    """The mask (rows, columns) from its packed form.

    Raises:
        ValueError: the packed mask has another number of bits.
    """
    if mask == ALL:
        return np.ones((rows, columns), dtype=bool)
    if len(mask) != -(-rows * columns // 8):
        raise ValueError(f"a mask of {len(mask)} bytes is not that of {rows} by {columns} tiles")
    bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), count=rows * columns)
    return bits.astype(bool).reshape(rows, columns)


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """One square the model sees."""

    tile_id: str
    """`<scene_id>/r<row>-c<column>`, row and column of the tile in its grid, from 0."""
    window: Window
    """Always tile_px by tile_px working pixels; reaches past the scene only if the scene is smaller."""
    core: Window
    """The part of the scene for which this tile is responsible, working pixels; cores partition the grid."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """All or some tiles of a rectangle of tiles; they are read and committed together."""

    row: int
    """Row of the chunk in the grid, from 0."""
    col: int
    """Column of the chunk in the grid, from 0."""
    window: Window
    """Hull of its tiles' windows, clipped to the working grid, working pixels."""
    tiles: tuple[Tile, ...]
    """Its tiles, row by row."""


@dataclass(frozen=True, slots=True)
class Axis:
    """Tiles along one side of a scene."""

    length: int
    """Side of the scene, working pixels."""
    tile_px: int
    """Side of a tile, working pixels."""
    overlap_px: int
    """Minimum overlap of neighbouring tiles, working pixels."""

    @property
    def count(self) -> int:
        """Number of tiles along the side."""
        over = self.length - self.tile_px
        return 1 if over <= 0 else 1 + -(-over // (self.tile_px - self.overlap_px))

    def start(self, index: int) -> int:
        """First pixel of a tile; the last tile is shifted back to end at the scene's edge."""
        last = max(self.length - self.tile_px, 0)
        return min(index * (self.tile_px - self.overlap_px), last)

    def cut(self, index: int) -> int:
        """First pixel of a tile's core: the middle of its overlap with the tile before it."""
        if index <= 0:
            return 0
        if index >= self.count:
            return self.length
        return (self.start(index - 1) + self.start(index) + self.tile_px) // 2


@dataclass(frozen=True, slots=True)
class Grid:
    """How a scene is divided into tiles, and how tiles are grouped into chunks."""

    scene_id: str
    """Id of the scene, with which the tile ids begin."""
    width: int
    """Columns of the working grid."""
    height: int
    """Rows of the working grid."""
    tile_px: int
    """Side of a tile, working pixels."""
    overlap_px: int
    """Minimum overlap of neighbouring tiles, working pixels; at most half a tile."""
    chunk_px: int
    """Maximum side of a chunk's window, working pixels (a memory budget); one tile is always allowed."""

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.tile_px, self.chunk_px) < 1:
            raise GridError(
                f"width {self.width}, height {self.height}, tile {self.tile_px} and chunk {self.chunk_px} "
                "must be 1 pixel or more"
            )
        if not 0 <= 2 * self.overlap_px <= self.tile_px:
            raise GridError(
                f"overlap {self.overlap_px} px must lie between 0 and half the tile ({self.tile_px} px): "
                f"give at most {self.tile_px // 2}"
            )

    @property
    def columns(self) -> Axis:
        """Tiles from left to right."""
        return Axis(self.width, self.tile_px, self.overlap_px)

    @property
    def rows(self) -> Axis:
        """Tiles from top to bottom."""
        return Axis(self.height, self.tile_px, self.overlap_px)

    @property
    def chunk_tiles(self) -> int:
        """Tiles along one side of a whole chunk."""
        return 1 + max(0, self.chunk_px - self.tile_px) // (self.tile_px - self.overlap_px)

    @property
    def n_tiles(self) -> int:
        """Number of tiles, computed without listing them."""
        return self.columns.count * self.rows.count

    @property
    def n_chunks(self) -> int:
        """Number of chunks, computed without listing them."""
        return self.chunk_rows * self.chunk_columns

    @property
    def chunk_rows(self) -> int:
        """Rows of chunks."""
        return -(-self.rows.count // self.chunk_tiles)

    @property
    def chunk_columns(self) -> int:
        """Columns of chunks."""
        return -(-self.columns.count // self.chunk_tiles)

    def tile(self, row: int, col: int) -> Tile:
        """The tile at a row and column of the grid."""
        x, y = self.columns.start(col), self.rows.start(row)
        return Tile(
            tile_id=f"{self.scene_id}/r{row:04d}-c{col:04d}",
            window=Window(x, y, x + self.tile_px, y + self.tile_px),
            core=Window(
                self.columns.cut(col), self.rows.cut(row), self.columns.cut(col + 1), self.rows.cut(row + 1)
            ),
        )

    def find(self, tile_id: str) -> Tile | None:
        """The tile with an id, None where the grid has none."""
        row, separator, col = tile_id.rpartition("/")[2].removeprefix("r").partition("-c")
        if not (separator and row.isdecimal() and col.isdecimal()):
            return None
        if int(row) >= self.rows.count or int(col) >= self.columns.count:
            return None
        tile = self.tile(int(row), int(col))
        return tile if tile.tile_id == tile_id else None

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        for row in range(self.rows.count):
            for col in range(self.columns.count):
                yield self.tile(row, col)

    def chunks(self) -> Iterator[Chunk]:
        """All chunks, row by row; their tiles partition the grid's tiles."""
        for row in range(self.chunk_rows):
            for col in range(self.chunk_columns):
                yield self.chunk(row, col)

    def chunk(self, row: int, col: int, *, mask: bytes = ALL) -> Chunk:
        """The chunk at a row and column of chunks, without listing the others.

        Args:
            row: Row of the chunk.
            col: Column of the chunk.
            mask: Packed mask of the selected tiles; the window is the hull of these.

        Raises:
            GridError: There is no such chunk.
        """
        rows, columns = self.chunk_span(row, col)
        wanted = unpacked(mask, len(rows), len(columns))
        tiles = tuple(self.tile(rows[r], columns[c]) for r, c in np.argwhere(wanted).tolist())
        return Chunk(row=row, col=col, window=self.hull(rows, columns, wanted), tiles=tiles)

    def chunk_span(self, row: int, col: int) -> tuple[range, range]:
        """Rows and columns of tiles, in the grid, that make up a chunk.

        Raises:
            GridError: There is no such chunk.
        """
        if not (0 <= row < self.chunk_rows and 0 <= col < self.chunk_columns):
            raise GridError(
                f"chunk {row},{col} is not among the {self.chunk_rows} rows and {self.chunk_columns} columns"
            )
        step = self.chunk_tiles
        return (
            range(row * step, min((row + 1) * step, self.rows.count)),
            range(col * step, min((col + 1) * step, self.columns.count)),
        )

    def hull(self, rows: range, columns: range, wanted: NDArray[np.bool_]) -> Window:
        """Hull of the windows of tiles, clipped to the working grid, working pixels.

        Args:
            rows: Rows of tiles.
            columns: Columns of tiles.
            wanted: (rows, columns), true where the tile counts; at least one is true.
        """
        down, across = np.flatnonzero(wanted.any(axis=1)), np.flatnonzero(wanted.any(axis=0))
        x1 = self.columns.start(columns[int(across[-1])]) + self.tile_px
        y1 = self.rows.start(rows[int(down[-1])]) + self.tile_px
        return Window(
            self.columns.start(columns[int(across[0])]),
            self.rows.start(rows[int(down[0])]),
            min(x1, self.width),
            min(y1, self.height),
        )
