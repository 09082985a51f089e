"""Loads a whole image as red, green, blue bytes: plain pictures, and scenes the way a run sees them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiling import Scene, SceneError
from tiling.geo import working_grid
from tiling.raster import DEFAULT_OPTIONS, Area, describe_scene, estimate_scaling, read_values
from training import DatasetError

MAX_PIXELS = 200_000_000
"""Largest image held in memory as one; larger scenes must be cut first."""
PLAIN: tuple[str, ...] = (".jpg", ".jpeg", ".png")
"""Endings of pictures that have no place on the ground."""

Channels = Mapping[str, str]
"""Files of the keys R, G and B, one band each."""


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A whole image in memory and, where it has one, its place."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), red, green, blue; grey repeated."""
    valid: NDArray[np.bool_]
    """(height, width), True where there is data."""
    pixel_m: float
    """Metres on the ground per pixel; NaN where unknown."""
    scene: Scene | None
    """Where it lies; None for plain pictures."""


def load_image(source: Path | Channels, *, bands: tuple[int, ...] | None = None) -> LoadedImage:
    """Load an image: pictures and 8-bit scenes as they are, others with one stretch for the whole scene.

    Args:
        source: A picture or raster, or `{"R": file, "G": file, "B": file}` on one grid.
        bands: Display bands: red, green, blue (three) or grey (one), from 1; None where the file is clear.

    Raises:
        DatasetError: It cannot be read, or is too large.
    """
    if isinstance(source, Path) and source.suffix.lower() in PLAIN:
        return _picture(source)
    try:
        scene = describe_scene(str(source) if isinstance(source, Path) else source, bands=bands)
        return load_scene(scene)
    except SceneError as error:
        # A TIFF without a place is a picture like any other, if it holds bytes.
        if isinstance(source, Path) and "geotransform" in error.reason and bands is None:
            return _picture(source)
        raise DatasetError(str(error)) from error


def load_scene(scene: Scene) -> LoadedImage:
    """Load a whole scene as a run on this scene alone would show it.

    Raises:
        DatasetError: It cannot be read, or is too large.
    """
    if scene.width * scene.height > MAX_PIXELS:
        size = f"{scene.width} × {scene.height} pixels"
        raise DatasetError(f"{scene.uri}: {size} are more than {MAX_PIXELS}: cut the scene into parts first")
    try:
        scaling = estimate_scaling([scene])
        area = Area(0, 0, scene.width, scene.height, scene.height, scene.width)
        values, valid = read_values(scene, area, options=DEFAULT_OPTIONS)
        metres = working_grid(scene, gsd_m=None).gsd
    except SceneError as error:
        raise DatasetError(str(error)) from error
    scaled = np.asarray(values, np.uint8) if scaling is None else scaling.apply(values, valid)
    colour = scaled if len(scaled) == 3 else np.broadcast_to(scaled[:1], (3, *scaled.shape[1:]))
    return LoadedImage(np.ascontiguousarray(colour.transpose(1, 2, 0)), valid, metres, scene)


def _picture(path: Path) -> LoadedImage:
    try:
        with Image.open(path) as image:
            pixels = None if _beyond(image) else np.asarray(image.convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{path}: cannot be read as a picture: {error}") from error
    if pixels is None:
        raise DatasetError(f"{path}: pictures of 8 bits and at most {MAX_PIXELS} pixels are read")
    return LoadedImage(pixels, np.ones(pixels.shape[:2], bool), float("nan"), None)


def _beyond(image: Image.Image) -> bool:
    return image.width * image.height > MAX_PIXELS or image.mode.startswith(("I", "F"))
