"""What a named set of labelled images is: format, files, kinds, scale and its parts. Reads nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from training.errors import DatasetError
from training.labels.naming import Naming

FORMATS = ("voc", "coco", "yolo", "points", "polygons", "raster_mask")
"""Label formats."""


@dataclass(frozen=True, slots=True)
class Area:
    """A part of every image of a set that is ground of its own."""

    name: str
    """Name; the areas' order by name decides which of them validate."""
    x0: int
    """Left edge, image pixels."""
    y0: int
    """Top edge, image pixels."""
    x1: int
    """Right edge, image pixels, above x0; may lie past the image."""
    y1: int
    """Bottom edge, image pixels, above y0; may lie past the image."""

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise DatasetError(f"area {self.name}: {self.x0},{self.y0},{self.x1},{self.y1} is no area")


@dataclass(frozen=True, slots=True)
class RealSet:
    """A set of labelled images of one format."""

    name: str
    """Name of the set."""
    format: str
    """One of the label formats."""
    root: Path
    """Folder that the patterns below start from."""
    kind: str
    """Catalogue kind of the labels, where `kinds` does not say more."""
    scale: float
    """Tile pixels per image pixel at which its things look as large as in practice scenes."""
    absent: tuple[str, ...] = ()
    """Catalogue kinds that surely do not occur."""
    partial: tuple[str, ...] = ()
    """Names of images whose labels miss things: nothing is asked that their labels would answer."""
    areas: tuple[Area, ...] = ()
    """Parts that are places of their own; none: an image is one place."""
    images: str = "**/*"
    """Pattern of the images' paths; with `channels`, of the folders that hold them."""
    labels: str = ""
    """Pattern of the label files; for `yolo` the file of class names."""
    place: str = "(.+)"
    """Regular expression; its groups, found in an image's name and joined, are the place."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Catalogue kind by label as written; an empty one leaves the label out."""
    bands: tuple[int, ...] | None = None
    """Bands shown as red, green, blue, from 1; None where the files are clear."""
    channels: tuple[str, ...] = ()
    """Three patterns, for `coco`: the red, green and blue file of the folder named like the image's place."""
    size_px: float = 0.0
    """Assumed size of things, image pixels, for `points`."""
    kind_column: str | None = None
    """Column with the kinds, for `polygons`."""
    values: tuple[int, ...] = (1,)
    """Values that mean the kind, for `raster_mask`."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise DatasetError(f"{self.name}: format {self.format!r} is none of {', '.join(FORMATS)}")
        if not self.scale > 0:
            raise DatasetError(f"{self.name}: scale {self.scale} must be above 0")
        if len(self.channels) not in (0, 3):
            raise DatasetError(f"{self.name}: {len(self.channels)} channels: name red, green and blue")

    @property
    def naming(self) -> Naming:
        """What its labels mean."""
        return Naming(self.kinds or {self.kind: self.kind}, self.absent, self.place)
