"""Where a raster lies as rasterio says it, and boxes drawn on it; none of the product's own geometry."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, AffineTransformer
from rasterio.warp import transform as reproject
from shapely.geometry.base import BaseGeometry

GPS = CRS.from_epsg(4326)

Points = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a raster lies, as rasterio says it."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    transform: Affine
    """Pixel to world."""
    crs: CRS
    """Of the world coordinates."""

    def lonlat(self, pixels: Points) -> Points:
        """Longitude and latitude (n, 2) of pixel coordinates (n, 2)."""
        return np.column_stack(reproject(self.crs, GPS, *moved(pixels, self.transform).T))

    def pixels(self, lonlat: Points) -> Points:
        """Pixel coordinates (n, 2) of longitudes and latitudes (n, 2)."""
        return moved(np.column_stack(reproject(GPS, self.crs, *lonlat.T)), ~self.transform)

    def box(self, x0: float, y0: float, x1: float, y1: float) -> BaseGeometry:
        """A box of whole pixels, its sides given as shares of width and height."""
        across, down = (round(x * self.width) for x in (x0, x1)), (round(y * self.height) for y in (y0, y1))
        (left, right), (top, bottom) = across, down
        return shapely.box(left, top, right, bottom)


def moved(points: Points, matrix: Affine) -> Points:
    """Points (n, 2) through an affine transform."""
    return np.column_stack(AffineTransformer(matrix).xy(*points.T[::-1], offset="ul"))


def ground_of(path: Path, assume_crs: object = None) -> Ground:
    with rasterio.open(path) as dataset:
        crs = dataset.crs or CRS.from_user_input(assume_crs)
        return Ground(dataset.width, dataset.height, dataset.transform, crs)


def draw(ground: Ground) -> list[BaseGeometry]:
    """Boxes in pixels: in one corner, across the middle, and over the left edge."""
    return [
        ground.box(0.1, 0.08, 0.3, 0.3),
        ground.box(0.36, 0.4, 0.9, 0.62),
        ground.box(-0.1, 0.7, 0.2, 0.9),
    ]


def truths(ground: Ground) -> list[BaseGeometry]:
    """The drawn boxes in longitude and latitude; edges are cut short first, because straight ones bend."""
    step = max(ground.width, ground.height) / 500
    return [shapely.transform(shapely.segmentize(box, step), ground.lonlat) for box in draw(ground)]


def pixel_bounds(ground: Ground, shapes: list[BaseGeometry]) -> Points:
    """Bounds (n, 4) in pixels of shapes in longitude and latitude, sorted by their top."""
    bounds = shapely.bounds([shapely.transform(shape, ground.pixels) for shape in shapes])
    return bounds[np.argsort(bounds[:, 1])]
