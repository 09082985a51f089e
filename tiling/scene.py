"""What a scene is: addresses, shape, place, bands, and what a mosaic is made of. Opens nothing."""

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
    """How one pixel is made of several."""

    MEDIAN = "median"
    """The median of the valid ones, band by band; of an even number the mean of the two in the middle."""
    FIRST_VALID = "first-valid"
    """The newest valid one, all bands of it."""


class Kernel(StrEnum):
    """How a pixel of one grid is made of those of another."""

    NEAREST = "nearest"
    """The value of the nearest one, as stored."""
    BILINEAR = "bilinear"
    """From the four around it."""
    CUBIC = "cubic"
    """From the sixteen around it."""
    AVERAGE = "average"
    """The mean of those under it; for a grid coarser than the items'."""


@dataclass(frozen=True, slots=True)
class Mosaic:
    """What a cell of a mosaic is made of."""

    composite: Composite
    """How one pixel is made of several."""
    kernel: Kernel
    """How an item's pixels come onto the cell's grid; those that lie on it already are taken as they are."""
    depth: float
    """Items over a pixel of the cell on average."""
    items: tuple["Scene", ...]
    """Scenes that meet the cell, by time and id, oldest first."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One raster as planned: a file, single-band files on one grid, or a mosaic's cell. Carries no pixels."""

    uri: str
    """Address the user gave (file, STAC item); the first band's file for a band set."""
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
    """Bands fed to the model: three (red, green, blue), or one, which is shown as grey."""
    nodata: float | None
    """Declared nodata value, None where there is none."""
    datetime: str | None
    """Acquisition time, ISO 8601, None where unknown; of a mosaic's cell the latest."""
    mosaic: Mosaic | None = None
    """What it is made of where it is a mosaic's cell; its own bands then lie in no file."""

    @property
    def originals(self) -> tuple["Scene", ...]:
        """The scenes whose files hold its pixels: itself, or a mosaic's items."""
        return self.mosaic.items if self.mosaic else (self,)
