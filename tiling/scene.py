"""What a scene is: addresses, shape, georeference, bands, and the parts of a mosaic; plain values."""

from dataclasses import dataclass
from enum import StrEnum

Transform = tuple[float, float, float, float, float, float]
"""Affine (a, b, c, d, e, f): world x = a·col + b·row + c, world y = d·col + e·row + f."""


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a scene and the file it lies in."""

    uri: str
    """File that holds the band (local path or s3://), unsigned."""
    index: int
    """Band number in that file, from 1."""


class Composite(StrEnum):
    """How one pixel is composed of several."""

    MEDIAN = "median"
    """The median of the valid values, band by band; of an even number the mean of the two in the middle."""
    FIRST_VALID = "first-valid"
    """The newest valid pixel, with all its bands."""


class Kernel(StrEnum):
    """How a pixel of one grid is resampled from those of another."""

    NEAREST = "nearest"
    """The value of the nearest pixel, as stored."""
    BILINEAR = "bilinear"
    """Interpolated from the four pixels around it."""
    CUBIC = "cubic"
    """Interpolated from the sixteen pixels around it."""
    AVERAGE = "average"
    """The mean of the pixels under it; for a grid coarser than the items'."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """The parts of a mosaic's cell."""

    composite: Composite
    """How one pixel is made of several."""
    kernel: Kernel
    """How an item's pixels are resampled to the cell's grid; coinciding pixels are kept as they are."""
    depth: float
    """Mean number of items over a pixel of the cell."""
    items: tuple["Scene", ...]
    """Scenes that meet the cell, by time and id, oldest first."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One raster as planned: a file, single-band files on one grid, or a mosaic's cell. Carries no pixels."""

    uri: str
    """Address given by the user (file, STAC item); the first band's file for a band set."""
    scene_id: str
    """Item id or file stem, not the path."""
    identity: str
    """Digest of the content's identity: ETag, or size and modification time, of every file."""
    width: int
    """Columns of the native raster."""
    height: int
    """Rows of the native raster."""
    transform: Transform
    """Native pixel to world."""
    crs: str
    """CRS as an authority code (EPSG:32631) or WKT."""
    dtype: str
    """Numpy dtype name of the bands."""
    bands: tuple[Band, ...]
    """Display bands, which the model sees: three (red, green, blue), or one, displayed as grey."""
    nodata: float | None
    """Declared nodata value, None if there is none."""
    datetime: str | None
    """Acquisition time, ISO 8601, None if unknown; of a mosaic's cell the latest."""
    mosaic: Mosaic | None = None
    """Its parts if it is a mosaic's cell; its own bands then have no files."""

    @property
    def originals(self) -> tuple["Scene", ...]:
        """The scenes whose files hold its pixels: itself, or a mosaic's items."""
        return self.mosaic.items if self.mosaic else (self,)
