"""Collects an image's labels, counting what cannot be used or had to be mended."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import LoadedImage
from training.labels.labelled_image import LabelledImage

SLACK_PX = 1.0
"""A box that leaves its image by no more is clipped without a word: some sources count pixels from 1."""


@dataclass(slots=True)
class LabelBuilder:
    """Labels of one image as they are read, and what was wrong with them."""

    file: str
    """File the labels stand in."""
    size: tuple[int, int]
    """(height, width) of the image, pixels."""
    naming: Naming
    """What labels mean."""
    problems: list[Problem] = field(default_factory=list)
    """Everything left out or mended."""
    _boxes: list[NDArray[np.float64]] = field(default_factory=list)
    _classes: list[str] = field(default_factory=list)
    _outlines: list[shapely.Polygon | None] = field(default_factory=list)

    def note(self, where: str, what: str) -> None:
        """Record a problem."""
        self.problems.append(Problem(self.file, where, what))

    def add(
        self,
        where: str,
        label: str,
        box: Sequence[float] | NDArray[np.float64],
        outline: shapely.Polygon | None = None,
    ) -> None:
        """Take a label, clipped to the image; what has no class or no area is left out and recorded.

        Args:
            where: Entry within the file.
            label: Name as written.
            box: x0, y0, x1, y1 half-open image pixels.
            outline: Image pixels.
        """
        class_name, wrong = self.naming.class_of(label)
        if wrong:
            self.note(where, wrong)
        clipped = self._clipped(where, np.asarray(box, np.float64)) if class_name is not None else None
        if class_name is None or clipped is None:
            return
        self._boxes.append(clipped)
        self._classes.append(class_name)
        self._outlines.append(outline)

    def _clipped(self, where: str, box: NDArray[np.float64]) -> NDArray[np.float64] | None:
        if box.shape != (4,) or not np.isfinite(box).all():
            self.note(where, "box is not four finite numbers")
            return None
        if not (box[2:] > box[:2]).all():
            self.note(where, "box without area")
            return None
        height, width = self.size
        inside = np.clip(box, 0.0, (width, height, width, height))
        if not (inside[2:] > inside[:2]).all():
            self.note(where, "box outside of its image")
            return None
        if np.abs(inside - box).max() > SLACK_PX:
            self.note(where, "box reaches past its image, clipped")
        return inside

    def image(self, name: str, loaded: LoadedImage) -> LabelledImage:
        """The labelled image."""
        return LabelledImage(
            name=name,
            place=self.naming.place_of(name),
            pixels=loaded.pixels,
            valid=loaded.valid,
            boxes=np.array(self._boxes, np.float64).reshape(-1, 4),
            classes=tuple(self._classes),
            outlines=tuple(self._outlines),
            complete=self.naming.complete,
            absent=self.naming.absent,
            pixel_m=loaded.pixel_m,
        )
