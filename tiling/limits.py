"""What a raster may claim before it is opened, and how its address is signed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a file may declare; checked on its header, before a decoder sees it."""

    max_pixels: int = 200_000 * 200_000
    """Columns times rows of one raster."""
    max_bands: int = 512
    """Bands of one file; a TIFF of 262 bytes can claim 65,535 and keep a decoder busy for minutes."""
    max_block_bytes: int = 1 << 30
    """Bytes of one decoded block, all bands: what must be held to read a single pixel."""
    drivers: tuple[str, ...] = ("GTiff", "COG", "JP2OpenJPEG")
    """GDAL drivers that may open a file; VRT and HTTP (http and https addresses) only where added."""
    sign: str = ""
    """`module:function` that turns a remote address into one that opens for a while; empty signs nothing."""


DEFAULT_LIMITS = Limits()
"""GeoTIFF, COG and JPEG 2000 from disk or object storage."""
