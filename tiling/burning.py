"""Burns polygons into label rasters by the pixel-centre rule. Knows no files and no ground."""

from collections.abc import Sequence

import numpy as np
import rasterio.features
import shapely
from numpy.typing import NDArray


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
