"""A COCO `segmentation` as one mask: run lengths, compressed or not, and polygons. Knows no files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.burning import burn
from training.errors import DatasetError
from training.sources.choices import Parts
from training.sources.errors import UnusableError
from training.sources.images import split_mask
from training.sources.rle import decode_rle

FAR = 1e7
"""Coordinates from here on, in pixels, and what is no number, belong to no image."""


@dataclass(frozen=True, slots=True)
class CocoShapes:
    """One annotation's mask, decoded when asked for; its parts together are the target."""

    size: tuple[int, int]
    """(height, width) of the image, pixels."""
    runs: tuple[str | tuple[int, ...], ...] = ()
    """Run lengths as COCO writes them, each of the whole image."""
    rings: tuple[tuple[float, ...], ...] = ()
    """Polygons x0, y0, x1, y1, …, pixels."""
    parts: Parts = Parts.WHOLE
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


def coco_shapes(segmentation: object, size: tuple[int, int], parts: Parts) -> CocoShapes:
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
