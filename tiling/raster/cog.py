"""Writes cloud-optimised GeoTIFFs, and rasterises polygons into labels by the pixel-centre rule."""

from __future__ import annotations

import datetime as clock
from collections.abc import Sequence

import numpy as np
import rasterio
import rasterio.features
import shapely
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine

from tiling import SceneError, Transform

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def write_cog(
    path: str,
    pixels: Pixels,
    *,
    transform: Transform,
    crs: str,
    nodata: float | None,
    block_px: int = 512,
    datetime: str | None = None,
) -> None:
    """Write pixels with georeference, overviews and acquisition time; the same input gives the same bytes.

    Args:
        path: Local file, replaced if it exists.
        pixels: uint8 or uint16, shape (bands, height, width); three bands are red, green, blue.
        transform: Affine (a, b, c, d, e, f) from column and row to the CRS.
        crs: Anything PROJ reads, such as `EPSG:32631`.
        nodata: The value that means "no data", or None.
        block_px: Side of the internal tiles, a multiple of 16.
        datetime: Acquisition time, ISO 8601, kept to the second.

    Raises:
        SceneError: If the pixels' shape or type is not as above, the CRS or the time is unreadable, or GDAL
            cannot write the file.
    """
    _check(path, pixels)
    bands, height, width = pixels.shape
    try:
        with rasterio.open(
            path,
            "w",
            driver="COG",
            width=width,
            height=height,
            count=bands,
            dtype=pixels.dtype.name,
            crs=crs,
            transform=Affine(*transform),
            nodata=nodata,
            compress="deflate",
            predictor=2,
            blocksize=block_px,
            overview_resampling="average",
            bigtiff="if_safer",
        ) as target:
            target.write(pixels)
            if bands == 3:
                target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
            if datetime is not None:
                moment = clock.datetime.fromisoformat(datetime)
                target.update_tags(TIFFTAG_DATETIME=moment.strftime("%Y:%m:%d %H:%M:%S"))
    except (RasterioError, CRSError, CPLE_BaseError, ValueError, OSError) as error:
        raise SceneError(path, f"cannot write a {bands}x{height}x{width} COG in {crs}: {error}") from error


def _check(path: str, pixels: Pixels) -> None:
    if pixels.ndim != 3 or pixels.dtype not in (np.uint8, np.uint16):
        found = f"pixels are {pixels.dtype} {pixels.shape}"
        raise SceneError(path, f"{found}: give uint8 or uint16 (bands, height, width)")


def burn(polygons: Sequence[shapely.Polygon], *, height: int, width: int) -> NDArray[np.int32]:
    """Label raster (height, width) int32: 1-based number of the polygon over each pixel's centre, 0 for none.

    Args:
        polygons: in pixel coordinates, (0, 0) the top-left corner of pixel (0, 0); later ones win.
        height: rows.
        width: columns.
    """
    if not polygons:
        return np.zeros((height, width), np.int32)
    shapes = [(polygon, number) for number, polygon in enumerate(polygons, start=1)]
    labels: NDArray[np.int32] = rasterio.features.rasterize(shapes, out_shape=(height, width), dtype="int32")
    return labels
