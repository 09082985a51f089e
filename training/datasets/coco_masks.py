"""A COCO `segmentation` as one mask: run lengths, compressed or not, and polygons."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.raster import burn
from training import DatasetError
from training.datasets.errors import UnusableError
from training.datasets.images import split_mask
from training.datasets.options import TargetSplit

MAX_PIXELS = 1 << 28
"""Maximum pixels of one mask: 16,384 by 16,384."""
FIRST, LAST = 48, 48 + 63
"""Codes of the characters that carry six bits each, `0` to `o`."""


def decode_rle(counts: Sequence[int] | str | bytes, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask (height, width), True inside, from the lengths of its runs.

    Args:
        counts: Lengths of the runs down the columns, outside first; as numbers or as COCO's string.
        size: (height, width), pixels.

    Raises:
        DatasetError: The size is not a size, the string is cut short or holds other characters, or the runs
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


FAR = 1e7
"""Coordinates from here on, in pixels, and what is not a number, belong to no image."""


@dataclass(frozen=True, slots=True)
class CocoShapes:
    """One annotation's mask, decoded when asked for; its parts together are the target."""

    size: tuple[int, int]
    """(height, width) of the image, pixels."""
    runs: tuple[str | tuple[int, ...], ...] = ()
    """Run lengths as COCO writes them, each of the whole image."""
    rings: tuple[tuple[float, ...], ...] = ()
    """Polygons x0, y0, x1, y1, …, pixels."""
    parts: TargetSplit = TargetSplit.WHOLE
    """What counts as one target."""

    def mask(self) -> NDArray[np.bool_]:
        """(height, width), True inside; polygons cover the pixels whose centre they hold.

        Raises:
            DatasetError: The run lengths are damaged.
        """
        height, width = self.size
        polygons = [shapely.Polygon(np.reshape(ring, (-1, 2))) for ring in self.rings]
        inside = burn(polygons, height=height, width=width) > 0
        for counts in self.runs:
            inside |= decode_rle(counts, self.size)
        return inside

    def masks(self) -> NDArray[np.bool_]:
        """(n, height, width), one mask a target; n is 0 where it is empty."""
        return split_mask(self.mask(), self.parts)


def coco_shapes(segmentation: object, size: tuple[int, int], parts: TargetSplit) -> CocoShapes:
    """Understand a `segmentation`: one run-length mask, a list of them, or a list of polygons.

    Args:
        segmentation: As the JSON file holds it.
        size: (height, width) of the image, pixels.
        parts: What counts as one target.

    Raises:
        UnusableError: It is none of these, or of another size than the image.
    """
    listed = segmentation if isinstance(segmentation, list) else [segmentation]
    if not listed:
        raise UnusableError("no segmentation")
    runs = tuple(_runs(part, size) for part in listed if isinstance(part, dict))
    rings = tuple(_ring(part, size) for part in listed if isinstance(part, list))
    if len(runs) + len(rings) != len(listed):
        raise UnusableError("the segmentation is neither run lengths nor polygons")
    return CocoShapes(size, runs, rings, parts)


def decoded(shapes: CocoShapes) -> NDArray[np.bool_]:
    """The mask, once, to see that it can be had.

    Raises:
        UnusableError: It cannot be decoded.
    """
    try:
        return shapes.mask()
    except (DatasetError, ValueError) as error:
        raise UnusableError("the segmentation cannot be decoded") from error


def _runs(part: dict[str, object], size: tuple[int, int]) -> str | tuple[int, ...]:
    stated, counts = part.get("size"), part.get("counts")
    if not isinstance(stated, list) or tuple(stated) != size:
        raise UnusableError("the mask is of another size than the image")
    if isinstance(counts, str):
        return counts
    if isinstance(counts, list) and all(type(count) is int for count in counts):
        return tuple(counts)
    raise UnusableError("the segmentation cannot be decoded")


def _ring(part: Sequence[object], size: tuple[int, int]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in part if isinstance(value, int | float) and abs(value) < FAR)
    if len(numbers) != len(part) or len(part) < 6 or len(part) % 2:
        raise UnusableError("a polygon is not made of three or more points")
    (left, right), (top, bottom) = ((min(numbers[axis::2]), max(numbers[axis::2])) for axis in (0, 1))
    height, width = size
    if not (left < width and right > 0 and top < height and bottom > 0):
        raise UnusableError("a polygon lies outside of the image")
    return numbers
