"""A scene's values on another grid, the same for a pixel whatever part of that grid is asked for."""

from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from tiling import Kernel, Scene
from tiling.geo import GeoBox, inverse, moved
from tiling.raster.header import OpenOptions
from tiling.raster.native_window import Area, read_with_retry

ON_GRID_WITHIN_PX = 1e-3
"""Pixels that lie this near to those of the other grid are taken as they are."""

KERNEL_PX = 4
"""Pixels around a wanted one that a kernel may look at."""

STEPS = 9
"""Points per side at which a target is traced in the scene's pixels."""


def float_of(dtype: str) -> str:
    """The smallest float that holds every value of a type."""
    return "float32" if np.can_cast(dtype, np.float32) else "float64"


def warped(scene: Scene, target: GeoBox, *, kernel: Kernel, options: OpenOptions) -> NDArray[np.floating]:
    """A scene's display bands on a target's pixels.

    Args:
        scene: A scene with files of its own.
        target: Where.
        kernel: How its pixels come onto others; where they lie on the target's already they are kept.
        options: What its files may declare.

    Returns:
        (bands, height, width) floats that hold the stored values exactly, NaN in all bands where there is
        no valid pixel.

    Raises:
        SceneError: A file cannot be opened or read.
    """
    made = np.full((len(scene.bands), target.height, target.width), np.nan, float_of(scene.dtype))
    shift = _shift(scene, target)
    if shift is not None:
        _paste(made, scene, shift, options=options)
        return made
    window = _under(scene, target)
    if window is not None:
        values = _values(scene, window, options)
        _project(values, (scene, window), made, target=target, kernel=kernel)
    return made


def _shift(scene: Scene, target: GeoBox) -> tuple[int, int] | None:
    """Column and row of the target's first pixel in a scene on the same grid; None on another."""
    if scene.crs != target.crs:
        return None
    a, b, c, d, e, f = (Affine(*inverse(scene.transform)) @ Affine(*target.transform))[:6]
    if max(abs(a - 1) * target.width, abs(b) * target.height) > ON_GRID_WITHIN_PX:
        return None
    if max(abs(e - 1) * target.height, abs(d) * target.width) > ON_GRID_WITHIN_PX:
        return None
    if max(abs(c - round(c)), abs(f - round(f))) > ON_GRID_WITHIN_PX:
        return None
    return round(c), round(f)


def _paste(made: NDArray[np.floating], scene: Scene, shift: tuple[int, int], *, options: OpenOptions) -> None:
    left, top = max(0, shift[0]), max(0, shift[1])
    right = min(scene.width, shift[0] + made.shape[2])
    bottom = min(scene.height, shift[1] + made.shape[1])
    if left < right and top < bottom:
        part = np.s_[:, top - shift[1] : bottom - shift[1], left - shift[0] : right - shift[0]]
        made[part] = _values(scene, (left, top, right, bottom), options)


def _under(scene: Scene, target: GeoBox) -> tuple[int, int, int, int] | None:
    """Columns and rows of the scene's pixels that the target's may be made of; None where there are none."""
    across, down = np.meshgrid(
        np.linspace(0, target.width, STEPS), np.linspace(0, target.height, STEPS), indexing="xy"
    )
    world = moved(np.column_stack((across.ravel(), down.ravel())), target.transform)
    way = Transformer.from_crs(target.crs, scene.crs, always_xy=True)
    x, y = way.transform(world[:, 0], world[:, 1])
    pixels = moved(np.column_stack((x, y)), inverse(scene.transform))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return None
    (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0)
    # A kernel widens with the shrinking; between the traced points an edge may bulge a little.
    shrink = max((x1 - x0) / target.width, (y1 - y0) / target.height, 1.0)
    reach = ceil(KERNEL_PX * shrink)
    left, top = max(0, floor(x0) - reach), max(0, floor(y0) - reach)
    right, bottom = min(scene.width, ceil(x1) + reach), min(scene.height, ceil(y1) + reach)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _values(scene: Scene, window: tuple[int, int, int, int], options: OpenOptions) -> NDArray[np.floating]:
    left, top, right, bottom = window
    area = Area(left, top, right, bottom, bottom - top, right - left)
    values, valid = read_with_retry(scene, area, options=options)
    floats: NDArray[np.floating] = values.astype(float_of(scene.dtype))
    floats[:, ~valid] = np.nan
    return floats


def _project(
    values: NDArray[np.floating], source: tuple[Scene, tuple[int, int, int, int]], made: NDArray[np.floating],
    *, target: GeoBox, kernel: Kernel,
) -> None:  # fmt: skip
    scene, (left, top, _, _) = source
    reproject(
        values,
        made,
        src_transform=Affine(*scene.transform) @ Affine.translation(left, top),
        src_crs=scene.crs,
        src_nodata=np.nan,
        dst_transform=Affine(*target.transform),
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=Resampling[kernel.value],
        # Exact: the usual shortcut of an eighth of a pixel depends on the window that is asked for.
        tolerance=0.0,
    )
