"""Boxes of a tile in the units a model writes: the way back from what the parser does."""

from reasoner.coordinates import CoordinateScale


def in_model_units(
    scale: CoordinateScale, box: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    """A box x0, y0, x1, y1 in tile pixels, in the model's units."""
    x0, y0, x1, y1 = box
    return *_point(scale, x0, y0), *_point(scale, x1, y1)


def _point(scale: CoordinateScale, x: float, y: float) -> tuple[float, float]:
    return x * scale.model_width / scale.tile_width, y * scale.model_height / scale.tile_height
