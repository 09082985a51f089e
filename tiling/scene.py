"""What a scene is: addresses, shape, place and bands. Holds no pixels and opens nothing."""

from dataclasses import dataclass

Transform = tuple[float, float, float, float, float, float]
"""Affine (a, b, c, d, e, f): world x = a·col + b·row + c, world y = d·col + e·row + f."""


@dataclass(frozen=True, slots=True)
class Band:
    """One band of a scene and the file it lies in."""

    uri: str
    """File that holds the band (local path or s3://), unsigned."""
    index: int
    """Band number in that file, from 1."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One raster (one file, or several single-band files on one grid) as planned; carries no pixels."""

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
    """Acquisition time, ISO 8601, None where unknown."""
