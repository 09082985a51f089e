"""One question about one image with its true answer: what every trainer and every evaluation reads.

Pixels and masks are read when asked for.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from reasoner.query import Query


class ImageSource(Protocol):
    """Something that gives an image's pixels; small and picklable, so that workers read for themselves."""

    def pixels(self) -> NDArray[np.uint8]:
        """(height, width, 3), red, green, blue."""
        ...


class Shapes(Protocol):
    """Something that gives the true masks of an example; small and picklable."""

    def masks(self) -> NDArray[np.bool_]:
        """(n, height, width), True inside; the union is the target of datasets that know no instances."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """One question about one image and what is true."""

    id: str
    """Name, unique within its source."""
    source: str
    """Name of the dataset."""
    place: str
    """Ground the image shows; training and validation never share one."""
    query: Query
    """Question and task."""
    size: tuple[int, int]
    """(height, width) of the image, pixels."""
    boxes: NDArray[np.float64]
    """(n, 4) x0, y0, x1, y1 half-open image pixels of the true targets; (0, 4) where there is none."""
    picture: ImageSource
    """The image."""
    shapes: Shapes | None = None
    """The true masks, None where the source has boxes only."""
    text: str = ""
    """True caption or answer in words, empty for `locate`."""
    class_name: str = ""
    """What the targets are, where the source says so; figures are grouped by it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One entry of an annotation file that cannot be used, or had to be mended."""

    file: str
    """File it stands in."""
    where: str
    """Entry within the file: an id, a line, an image name."""
    what: str
    """What is wrong, a few words that stay the same for every case of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What came out of a dataset: the examples, and by name everything that was left out."""

    examples: tuple[Example, ...]
    """In a fixed order."""
    problems: tuple[Problem, ...] = ()
    """Everything left out or mended, in the order met."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each problem was met."""
        return Counter(problem.what for problem in self.problems)


@dataclass(frozen=True, slots=True)
class ArrayImage:
    """An image held in memory."""

    array: NDArray[np.uint8]
    """(height, width, 3), red, green, blue."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return the array itself."""
        return self.array


@dataclass(frozen=True, slots=True)
class FileImage:
    """An ordinary image file, read when asked for."""

    path: Path
    """JPEG, PNG or 8-bit TIFF."""

    def pixels(self) -> NDArray[np.uint8]:
        """Decode the file as red, green, blue.

        Raises:
            OSError: the file cannot be read as an image.
        """
        from PIL import Image

        with Image.open(self.path) as image:
            return np.asarray(image.convert("RGB"))


@dataclass(frozen=True, slots=True)
class ArrayShapes:
    """Masks held in memory."""

    array: NDArray[np.bool_]
    """(n, height, width), True inside."""

    def masks(self) -> NDArray[np.bool_]:
        """Return the array itself."""
        return self.array


def split_places(places: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Training and validation places: of the sorted distinct names every third validates."""
    ordered = sorted(set(places))
    held = tuple(ordered[2::3])
    return tuple(name for name in ordered if name not in held), held
