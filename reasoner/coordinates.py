"""In which pixels a model speaks, and how they map to the pixels of the tile.

Knows resizing rules and sizes. Knows no text, no model and no question.
"""

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
class Frame:
    """The model's image frame beside the tile's; both start at the upper left corner."""

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

    def to_model(self, x: float, y: float) -> tuple[float, float]:
        """Turn a point in tile pixels into the model's units."""
        return x * self.model_width / self.tile_width, y * self.model_height / self.tile_height


def frame_of(coordinates: Coordinates, sizing: Sizing, *, width: int, height: int) -> Frame:
    """Return the frame in which a model speaks about a tile of `width` × `height` pixels."""
    if coordinates is Coordinates.THOUSAND:
        return Frame(1000, 1000, width, height)
    if coordinates is Coordinates.TILE:
        return Frame(width, height, width, height)
    return Frame(*sizing.resized(width, height), width, height)


def _rounded(side: int, multiple: int) -> int:
    return round(side / multiple) * multiple
