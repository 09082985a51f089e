"""Run-length encoded masks as COCO writes them: plain counts and the compressed string. Knows no files."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import DatasetError

MAX_PIXELS = 1 << 28
"""Most pixels one mask may claim; 16,384 by 16,384."""
FIRST, LAST = 48, 48 + 63
"""Codes of the characters that carry six bits each, `0` to `o`."""


def decode_rle(counts: Sequence[int] | str | bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (height, width), True inside, from the lengths of its runs.

    Args:
        counts: Lengths of the runs down the columns, outside first; as numbers or as COCO's string.
        size: (height, width), pixels.

    Raises:
        DatasetError: The size is no size, the string is cut short or holds other characters, or the runs
            do not fill the mask exactly.

    Source: the COCO API, `maskApi.c`.
    """
    height, width = _checked(size)
    runs = _unpacked(counts) if isinstance(counts, str | bytes) else _whole(counts)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise DatasetError(
            f"run lengths cover {int(runs.sum())} pixels, {height} × {width} = {height * width} are needed"
        )
    inside = np.arange(len(runs)) % 2 == 1
    return np.ascontiguousarray(np.repeat(inside, runs).reshape(width, height).T)


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2 or not all(isinstance(side, int | np.integer) and side > 0 for side in size):
        raise DatasetError(f"mask size {size!r} is not (height, width) in whole pixels")
    height, width = int(size[0]), int(size[1])
    if height * width > MAX_PIXELS:
        raise DatasetError(f"a mask of {height} × {width} pixels is beyond the {MAX_PIXELS} that are read")
    return height, width


def _whole(counts: Sequence[int]) -> NDArray[np.int64]:
    try:
        runs = np.asarray(counts)
    except ValueError as error:
        raise DatasetError("run lengths are not a flat list of whole numbers") from error
    if runs.ndim != 1 or (runs.size and runs.dtype.kind not in "iu"):
        raise DatasetError("run lengths are not a flat list of whole numbers")
    if runs.size and (int(runs.max()) > MAX_PIXELS or int(runs.min()) < 0):
        raise DatasetError(f"a run length lies outside 0 to {MAX_PIXELS} pixels")
    return runs.astype(np.int64)


def _unpacked(text: str | bytes) -> NDArray[np.int64]:
    """Runs in groups of five bits, lowest first; from the fourth on as difference to the last but one."""
    codes = text.encode("utf-8") if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for code in codes:
        if not FIRST <= code <= LAST:
            raise DatasetError(
                f"character {chr(code)!r} in a compressed mask: only `0` to `o` may stand there"
            )
        bits = code - FIRST
        value |= (bits & 31) << shift
        shift += 5
        if shift > 40:
            raise DatasetError(f"a run length in a compressed mask is longer than {MAX_PIXELS} pixels")
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if not 0 <= runs[-1] <= MAX_PIXELS:
            raise DatasetError(f"a run of {runs[-1]} pixels in a compressed mask")
        value = shift = 0
    if shift:
        raise DatasetError("a compressed mask is cut short within a run length")
    return np.array(runs, np.int64)
