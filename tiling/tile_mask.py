"""Which tiles of a rectangle of tiles are meant, as a few bytes. Knows no tile's place."""

import numpy as np
from numpy.typing import NDArray

ALL = b""
"""The mask of a rectangle whose tiles are all meant."""


def packed(wanted: NDArray[np.bool_]) -> bytes:
    """One bit a tile, row by row, the highest bit first, filled up to whole bytes; empty where all are meant.

    Args:
        wanted: (rows, columns), true where the tile is meant.
    """
    return ALL if wanted.all() else np.packbits(wanted).tobytes()


def unpacked(mask: bytes, rows: int, columns: int) -> NDArray[np.bool_]:
    """The (rows, columns) of a packed mask.

    Raises:
        ValueError: the mask has not the bits of so many tiles.
    """
    if mask == ALL:
        return np.ones((rows, columns), dtype=bool)
    if len(mask) != -(-rows * columns // 8):
        raise ValueError(f"a mask of {len(mask)} bytes is not that of {rows} by {columns} tiles")
    bits = np.unpackbits(np.frombuffer(mask, dtype=np.uint8), count=rows * columns)
    return bits.astype(bool).reshape(rows, columns)
