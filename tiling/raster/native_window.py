"""Reads native values and validity of an area of a scene, with one read per file."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from tiling import Scene, SceneError
from tiling.raster.handles import held
from tiling.raster.header import OpenOptions
from tiling.storage import LONG, with_retry

Values = NDArray[np.generic]
"""(bands, height, width) as stored, in the scene's dtype."""

Valid = NDArray[np.bool_]
"""(height, width), true where there is data."""


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of native pixels and the size to read it at."""

    left: float
    """First column, native pixels; an integer if nothing is resampled."""
    top: float
    """First row, native pixels."""
    right: float
    """Column after the last, native pixels."""
    bottom: float
    """Row after the last, native pixels."""
    height: int
    """Rows to deliver."""
    width: int
    """Columns to deliver."""
    resampling: Resampling = Resampling.nearest
    """How to resample from the native size to that size."""

    @property
    def read_options(self) -> dict[str, object]:
        """Options for rasterio's read; windows of whole pixels are read without resampling."""
        window = RasterWindow(self.left, self.top, self.right - self.left, self.bottom - self.top)
        if (window.width, window.height) == (self.width, self.height):
            return {"window": window}
        return {"window": window, "resampling": self.resampling}


def read_values(scene: Scene, area: Area, *, options: OpenOptions) -> tuple[Values, Valid]:
    """Read the display bands of an area, all bands of a file together, and where they hold data.

    Args:
        scene: The scene.
        area: Where, and at which size.
        options: What its files may declare.

    Returns:
        Values (bands, height, width) in the scene's dtype, validity (height, width). A pixel is invalid
        where a mask or alpha says so, where all bands are nodata, or where a value is not finite.

    Raises:
        SceneError: A file cannot be opened or a block of it cannot be decoded.
    """
    try:
        return _read_values(scene, area, options)
    except SceneError:
        if not options.sign:
            raise
    # A file that is opened again is signed again: the signature of an open handle may have expired.
    return _read_values(scene, area, options)


def read_with_retry(scene: Scene, area: Area, *, options: OpenOptions) -> tuple[Values, Valid]:
    """Read an area; if a remote scene fails, read it again with new handles before an error is raised.

    Raises:
        SceneError: As for one read.
        StorageError: The storage refuses, or is away for long.
    """
    return with_retry(
        scene.bands[0].uri, partial(read_values, scene, area, options=options), retry_policy=LONG
    )


def _read_values(scene: Scene, area: Area, options: OpenOptions) -> tuple[Values, Valid]:
    parts: list[Values] = []
    masks: list[Valid] = []
    holds_data: list[Valid] = []
    for uri in dict.fromkeys(band.uri for band in scene.bands):
        indexes = [band.index for band in scene.bands if band.uri == uri]
        with held(uri, options, version=scene.identity) as dataset:
            values, mask = _read_file(dataset, indexes, area)
            parts.append(values)
            masks += [] if mask is None else [mask]
            holds_data += _not_nodata(dataset, indexes, values)
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    valid = np.ones((area.height, area.width), dtype=bool)
    for mask in masks:
        valid &= mask
    if holds_data:
        valid &= np.logical_or.reduce(holds_data)
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return values, valid


def _read_file(dataset: DatasetReader, indexes: list[int], area: Area) -> tuple[Values, Valid | None]:
    """Values of some bands of a file, and its mask where it has one of its own."""
    flags = dataset.mask_flag_enums[indexes[0] - 1]
    shape = (area.height, area.width)
    options = area.read_options
    if MaskFlags.alpha in flags and ColorInterp.alpha in dataset.colorinterp:
        alpha = dataset.colorinterp.index(ColorInterp.alpha) + 1
        values = dataset.read([*indexes, alpha], out_shape=(len(indexes) + 1, *shape), **options)
        return values[:-1], values[-1] != 0
    values = dataset.read(indexes, out_shape=(len(indexes), *shape), **options)
    if MaskFlags.all_valid in flags or MaskFlags.nodata in flags:
        return values, None
    return values, dataset.read_masks(indexes[0], out_shape=shape, **options) != 0


def _not_nodata(dataset: DatasetReader, indexes: list[int], values: Values) -> list[Valid]:
    """Per band, the pixels that are not nodata; empty if the file has no nodata or a mask in place of it."""
    if MaskFlags.nodata not in dataset.mask_flag_enums[indexes[0] - 1]:
        return []
    declared = [dataset.nodatavals[index - 1] for index in indexes]
    return [_differs(band, value) for band, value in zip(values, declared, strict=True)]


def _differs(band: NDArray[Any], nodata: float | None) -> Valid:
    if nodata is None:
        return np.ones(band.shape, dtype=bool)
    if np.isnan(nodata):
        return np.asarray(~np.isnan(band))
    if band.dtype.kind == "f":
        near = np.asarray(nodata, dtype=band.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(np.abs(band - near) > np.abs(near) * np.finfo(band.dtype).eps * 4)
    info = np.iinfo(band.dtype)
    if not (nodata.is_integer() and info.min <= nodata <= info.max):
        return np.ones(band.shape, dtype=bool)
    return np.asarray(band != band.dtype.type(int(nodata)))
