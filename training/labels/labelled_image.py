"""Images with labelled objects, and what came out of reading them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from training.data import Problem


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image, the objects labelled in it, and which classes its labels speak of."""

    name: str
    """Name, unique within its set."""
    place: str
    """Ground it shows; training and validation never share one."""
    pixels: NDArray[np.uint8]
    """(height, width, 3), red, green, blue."""
    valid: NDArray[np.bool_]
    """(height, width), True where there is data."""
    boxes: NDArray[np.float64]
    """(n, 4) x0, y0, x1, y1 half-open image pixels, within the image."""
    classes: tuple[str, ...]
    """(n,) catalogue names such as `tree`, `car`, `ship`, `building`, `field`."""
    outlines: tuple[shapely.Polygon | None, ...]
    """(n,) image pixels, where the source has masks or polygons, else None."""
    complete: tuple[str, ...]
    """Classes all of whose objects are labelled here: may be asked; without a label the answer is none."""
    absent: tuple[str, ...] = ()
    """Classes known not to occur: may be asked; the answer is none."""
    pixel_m: float = float("nan")
    """Metres on the ground per pixel; NaN where unknown."""

    def __post_init__(self) -> None:
        counts = {len(self.boxes), len(self.classes), len(self.outlines)}
        shapes = {self.pixels.shape[:2], self.valid.shape}
        if len(counts) > 1 or len(shapes) > 1 or self.boxes.shape[1:] != (4,):
            found = f"boxes, kinds, outlines {sorted(counts)}, pixels, valid {sorted(shapes)}"
            raise ValueError(f"{self.name}: {found} do not belong together")


@dataclass(frozen=True, slots=True)
class LabelReading:
    """What came out of labelled images: the images, and by name everything left out or mended."""

    images: tuple[LabelledImage, ...]
    """Sorted by name."""
    problems: tuple[Problem, ...] = ()
    """Everything left out or mended, in the order met."""

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each problem was met."""
        return Counter(problem.what for problem in self.problems)
