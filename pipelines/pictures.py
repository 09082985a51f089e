"""A small picture of a scene with its corners on the globe. Knows no map and no object."""

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tiling.grid import Grid
from tiling.limits import Limits
from tiling.placing import lonlat_points
from tiling.reading import ChunkImage, read_chunk
from tiling.scaling import Scaling
from tiling.scene import Scene, Transform
from tiling.work import work_grid


@dataclass(frozen=True, slots=True)
class Picture:
    """A scene small enough to put into a page."""

    url: str
    """The image as a data: address."""
    corners: tuple[tuple[float, float], ...]
    """Longitude and latitude of the top left, top right, bottom right and bottom left corner."""


def scene_picture(scene: Scene, *, side_px: int, scaling: Scaling | None, limits: Limits) -> Picture:
    """Read a scene at most so many pixels wide and high.

    Raises:
        SceneError: the scene cannot be opened or placed.
    """
    native = work_grid(scene, gsd_m=None)
    shrink = max(1.0, max(native.width, native.height) / side_px)
    work = native if shrink <= 1 else work_grid(scene, gsd_m=native.gsd * shrink)
    side = max(work.width, work.height)
    (chunk,) = Grid(scene.scene_id, work.width, work.height, side, 0, side).chunks()
    image = read_chunk(scene, work, chunk, scaling=scaling, limits=limits)
    corners = _corners(work.width, work.height, work.transform)
    lonlat = lonlat_points(corners, scene.crs)
    return Picture(_data_url(image), tuple((float(lon), float(lat)) for lon, lat in lonlat))


def _corners(width: int, height: int, transform: Transform) -> NDArray[np.float64]:
    a, b, c, d, e, f = transform
    pixels = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    x, y = pixels[:, 0], pixels[:, 1]
    return np.column_stack((a * x + b * y + c, d * x + e * y + f))


def _data_url(image: ChunkImage) -> str:
    alpha = np.where(image.valid, 255, 0).astype(np.uint8)
    pixels = np.ascontiguousarray(np.dstack([*image.pixels, alpha]))
    sink = BytesIO()
    Image.fromarray(pixels, "RGBA").save(sink, format="WEBP", quality=85, method=4)
    return f"data:image/webp;base64,{b64encode(sink.getvalue()).decode()}"
