"""The units in which models write coordinates, how processors resize images, and the way to tile pixels."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Coordinates(StrEnum):
    """The unit of the numbers a model writes."""

    RESIZED_PIXELS = "resized-pixels"
    """Pixels of the image after the processor resized it."""
    THOUSAND = "thousand"
    """Thousandths of the image's width and height."""
    TILE = "tile"
    """Pixels of the tile as given."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """How a processor resizes an image: both sides to a multiple, the area into a range, the shape kept."""

    multiple: int
    """Both sides become a multiple of this, pixels."""
    min_pixels: int
    """Smallest area, pixels; smaller images grow."""
    max_pixels: int
    """Largest area, pixels; larger images shrink."""

    def resized(self, width: int, height: int) -> tuple[int, int]:
        """Return the (width, height) the processor makes of an image.

        Source: the smart resize of Qwen2-VL's image processor, to which a test holds this.
        """
        new_width, new_height = _rounded(width, self.multiple), _rounded(height, self.multiple)
        if new_width * new_height > self.max_pixels:
            shrink = math.sqrt(width * height / self.max_pixels)
            new_width = max(self.multiple, math.floor(width / shrink / self.multiple) * self.multiple)
            new_height = max(self.multiple, math.floor(height / shrink / self.multiple) * self.multiple)
        elif new_width * new_height < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (width * height))
            new_width = math.ceil(width * grow / self.multiple) * self.multiple
            new_height = math.ceil(height * grow / self.multiple) * self.multiple
        return new_width, new_height


@dataclass(frozen=True, slots=True)
class CoordinateScale:
    """The size of one image in the model's units and in tile pixels; both start at the upper left corner."""

    model_width: float
    """Width of the image in the model's units."""
    model_height: float
    """Height of the image in the model's units."""
    tile_width: int
    """Width of the tile, pixels."""
    tile_height: int
    """Height of the tile, pixels."""

    def to_tile(self, x: float, y: float) -> tuple[float, float]:
        """Turn a point in the model's units into tile pixels."""
        return x * self.tile_width / self.model_width, y * self.tile_height / self.model_height


def coordinate_scale(coordinates: Coordinates, sizing: Sizing, *, width: int, height: int) -> CoordinateScale:
    """Return the scale of a model's coordinates for a tile of `width` × `height` pixels."""
    if coordinates is Coordinates.THOUSAND:
        return CoordinateScale(1000, 1000, width, height)
    if coordinates is Coordinates.TILE:
        return CoordinateScale(width, height, width, height)
    return CoordinateScale(*sizing.resized(width, height), width, height)


def _rounded(side: int, multiple: int) -> int:
    return round(side / multiple) * multiple
