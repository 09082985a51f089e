"""The grid tiles are cut on: a scene's own pixels, or these resampled to a ground resolution."""

from dataclasses import dataclass

import numpy as np

from tiling.errors import SceneError
from tiling.placing import GEOD, lonlat_points, moved
from tiling.scene import Scene, Transform

SAME_WITHIN = 0.01
"""A wanted resolution this near to the native one (share of it) leaves the pixels as they are."""


@dataclass(frozen=True, slots=True)
class WorkGrid:
    """Size and place of the grid tiles are cut on."""

    width: int
    """Columns, work pixels."""
    height: int
    """Rows, work pixels."""
    transform: Transform
    """Work pixel to world; exact: width by height work pixels cover the native raster without remainder."""
    scale: float
    """Work pixels per native pixel (geometric mean of both axes), exactly 1.0 without resampling."""
    gsd: float
    """Metres on the ground per work pixel at the scene's centre (geometric mean of both axes)."""


def work_grid(scene: Scene, *, gsd_m: float | None) -> WorkGrid:
    """The work grid of a scene.

    Args:
        scene: The scene.
        gsd_m: Wanted metres per pixel; None keeps the native pixels.

    Raises:
        SceneError: The resolution is not positive, or the scene's centre has no place on the globe.
    """
    across, down = pixel_size_m(scene)
    if gsd_m is None:
        return _native(scene, across, down)
    if not (gsd_m > 0 and np.isfinite(gsd_m)):
        raise SceneError(scene.uri, f"cannot be resampled to {gsd_m} m: give a positive number of metres")
    if max(abs(across / gsd_m - 1), abs(down / gsd_m - 1)) <= SAME_WITHIN:
        return _native(scene, across, down)
    width, height = (max(1, round(n * s / gsd_m)) for n, s in ((scene.width, across), (scene.height, down)))
    fx, fy = width / scene.width, height / scene.height
    scale = float(np.sqrt(fx * fy))
    a, b, c, d, e, f = scene.transform
    transform = (a / fx, b / fy, c, d / fx, e / fy, f)
    return WorkGrid(width, height, transform, scale, float(np.sqrt(across * down)) / scale)


def _native(scene: Scene, across: float, down: float) -> WorkGrid:
    return WorkGrid(scene.width, scene.height, scene.transform, 1.0, float(np.sqrt(across * down)))


def pixel_size_m(scene: Scene) -> tuple[float, float]:
    """Metres on the ground of one native pixel's width and height, at the scene's centre.

    Raises:
        SceneError: The centre has no longitude and latitude.
    """
    x, y = scene.width / 2, scene.height / 2
    # Half a pixel to each side, so that the measure is centred.
    pixels = np.array([[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]])
    world = moved(pixels, scene.transform)
    try:
        lonlat = lonlat_points(world, scene.crs)
    except SceneError as exc:
        raise SceneError(scene.uri, f"its centre cannot be placed: {exc.reason}") from exc
    _, _, metres = GEOD.inv(lonlat[::2, 0], lonlat[::2, 1], lonlat[1::2, 0], lonlat[1::2, 1])
    across, down = float(metres[0]), float(metres[1])
    if not min(across, down) > 0:
        raise SceneError(scene.uri, "its pixels have no size on the ground: the geotransform is degenerate")
    return across, down
