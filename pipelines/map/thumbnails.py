"""Small pictures of scenes and tiles with their corners in longitude and latitude, for the map."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiling import Chunk, Grid, Scene, SceneError, Tile, Window
from tiling.geo import WorkingGrid, lonlat_points, moved, working_grid
from tiling.raster import OpenOptions, Scaling, read_chunk

PART_PX = 128

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """An image small enough to put into a page."""

    url: str
    """The image as a data: address."""
    corners: tuple[Point, Point, Point, Point]
    """Longitude and latitude of the top left, top right, bottom right and bottom left corner."""


@dataclass(frozen=True, slots=True)
class Rendering:
    """How pixels are read for pictures."""

    scaling: Scaling | None
    """The run's scaling to 8 bits."""
    options: OpenOptions
    """What the scenes' files may declare."""
    side_px: int
    """A picture's larger side at most, pixels."""


def scene_picture(scene: Scene, rendering: Rendering) -> Picture:
    """The picture of a whole scene.

    Raises:
        SceneError: the scene cannot be opened or placed.
    """
    native = working_grid(scene, gsd_m=None)
    shrink = max(1.0, max(native.width, native.height) / rendering.side_px)
    work = native if shrink <= 1 else working_grid(scene, gsd_m=native.gsd * shrink)
    # Read in parts, so that a damaged block of the file affects only its part of the picture.
    side = max(work.width, work.height) + PART_PX
    (chunk,) = Grid(scene.scene_id, work.width, work.height, PART_PX, 0, side).chunks()
    image = read_chunk(scene, work, chunk, scaling=rendering.scaling, options=rendering.options)
    window = Window(0, 0, work.width, work.height)
    return Picture(
        _data_url(np.dstack(list(image.pixels)), image.valid, quality=85), _corners(window, work, scene.crs)
    )


def tile_picture(scene: Scene, work: WorkingGrid, tile: Tile, rendering: Rendering) -> Picture:
    """The picture of one tile as the models saw it, reduced in size.

    Args:
        scene: the scene.
        work: the run's working grid of the scene.
        tile: a tile on that grid.
        rendering: how to read it.

    Raises:
        SceneError: the tile cannot be read.
    """
    own = tile.window
    inside = Window(own.x0, own.y0, min(own.x1, work.width), min(own.y1, work.height))
    image = read_chunk(
        scene, work, Chunk(0, 0, inside, (tile,)), scaling=rendering.scaling, options=rendering.options
    )
    if tile.tile_id in image.failed:
        raise SceneError(scene.uri, image.failed[tile.tile_id])
    pixels, valid = image.tile(tile)
    return Picture(
        _data_url(pixels, valid, quality=75, side=rendering.side_px), _corners(own, work, scene.crs)
    )


def _corners(window: Window, work: WorkingGrid, crs: str) -> tuple[Point, Point, Point, Point]:
    x0, y0, x1, y1 = window.x0, window.y0, window.x1, window.y1
    pixels = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], dtype=np.float64)
    first, second, third, fourth = (
        (float(lon), float(lat)) for lon, lat in lonlat_points(moved(pixels, work.transform), crs)
    )
    return first, second, third, fourth


def _data_url(
    pixels: NDArray[np.uint8], valid: NDArray[np.bool_], *, quality: int, side: int | None = None
) -> str:
    """A WebP of pixels (height, width, 3), transparent where invalid, reduced to the given side."""
    alpha = np.where(valid, 255, 0).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(np.dstack([pixels, alpha])), "RGBA")
    if side is not None:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    sink = BytesIO()
    image.save(sink, format="WEBP", quality=quality, method=4)
    return f"data:image/webp;base64,{b64encode(sink.getvalue()).decode()}"
