"""Reads a file's header before a decoder opens it, and checks it against limits."""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from tiling import SceneError


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a file may declare; checked on its header, before a decoder sees it."""

    max_pixels: int = 200_000 * 200_000
    """Columns times rows of one raster."""
    max_bands: int = 512
    """Bands of one file; a TIFF of 262 bytes can declare 65,535 and keep a decoder busy for minutes."""
    max_block_bytes: int = 1 << 30
    """Bytes of one decoded block with all bands, the memory that is needed to read a single pixel."""
    drivers: tuple[str, ...] = ("GTiff", "COG", "JP2OpenJPEG")
    """GDAL drivers that may open a file; VRT and HTTP (http and https addresses) must be added."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How rasters are opened."""

    limits: Limits = field(default_factory=Limits)
    """What a file may declare."""
    sign: str = ""
    """`module:function` that signs remote addresses for a limited time; empty signs nothing."""


DEFAULT_OPTIONS = OpenOptions()
"""GeoTIFF, COG and JPEG 2000 from disk or object storage, unsigned."""


HEAD_BYTES = 4096
"""Bytes read from the start of a file."""

WIDTH, HEIGHT, BITS, SAMPLES, ROWS, PLANAR, TILE_WIDTH, TILE_HEIGHT = 256, 257, 258, 277, 278, 284, 322, 323
"""TIFF tags."""

WHOLE = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Struct formats of the TIFF types of integers."""

MAX_ENTRIES = 4096
"""Entries a TIFF directory may have; real files have a few dozen."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file declares about itself."""

    driver: str
    """GDAL driver that fits the first bytes; empty if no known driver does."""
    width: int = 0
    """Columns, 0 if unknown."""
    height: int = 0
    """Rows, 0 if unknown."""
    bands: int = 0
    """Bands, 0 if unknown."""
    block_bytes: int = 0
    """Bytes of one decoded block with all its bands, 0 if unknown."""


def read_header(uri: str, file: BinaryIO) -> Header:
    """Read what a raster declares.

    Args:
        uri: Its address, for messages.
        file: The file, seekable.

    Raises:
        SceneError: It is empty, or its TIFF directory cannot be read.
    """
    head = file.read(HEAD_BYTES)
    if not head:
        raise SceneError(uri, "the file is empty: copy it again")
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        try:
            return _tiff(head, file)
        except (struct.error, ValueError) as exc:
            raise SceneError(uri, f"its TIFF header is broken: {exc}") from exc
    if head[4:8] == b"jP  " or head[:4] == b"\xff\x4f\xff\x51":
        return _jpeg2000(head)
    return Header("VRT" if b"<VRTDataset" in head else "")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """The byte order and the sizes of a TIFF's directory."""

    order: str
    """Byte order as a character of the struct module."""
    big: bool
    """BigTIFF: wider counts and offsets."""

    @property
    def word(self) -> str:
        """Format of a count or an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def entry_bytes(self) -> int:
        """Size of an entry of the directory."""
        return 20 if self.big else 12

    def first_value(self, entry: bytes, file: BinaryIO) -> int | None:
        """First value of an entry; None if it is not an integer, or is a list that is not needed here."""
        tag, kind = struct.unpack_from(self.order + "HH", entry)
        if kind not in WHOLE:
            return None
        fmt = self.order + WHOLE[kind]
        (count,) = struct.unpack_from(self.word, entry, 4)
        inline_bytes = self.entry_bytes // 2 - 2  # 8 bytes in BigTIFF, 4 else
        if count * struct.calcsize(fmt) <= inline_bytes:
            return int(struct.unpack_from(fmt, entry, self.entry_bytes - inline_bytes)[0])
        if tag != BITS:
            return None
        file.seek(struct.unpack_from(self.word, entry, self.entry_bytes - inline_bytes)[0])
        return int(struct.unpack(fmt, file.read(struct.calcsize(fmt)))[0])


def _tiff(head: bytes, file: BinaryIO) -> Header:
    dialect = _Dialect("<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+"))
    (offset,) = struct.unpack_from(dialect.word, head, 8 if dialect.big else 4)
    tags = _directory(file, offset, dialect)
    width, height, bands = tags.get(WIDTH, 0), tags.get(HEIGHT, 0), tags.get(SAMPLES, 1)
    if not (width and height and bands):
        raise ValueError(f"width {width}, height {height}, bands {bands}")
    block_width = tags.get(TILE_WIDTH, width)
    block_height = tags.get(TILE_HEIGHT, min(tags.get(ROWS, height), height))
    interleaved = 1 if tags.get(PLANAR, 1) == 2 else bands
    size = block_width * block_height * interleaved * max(1, tags.get(BITS, 1) // 8)
    return Header("GTiff", width, height, bands, size)


def _directory(file: BinaryIO, offset: int, dialect: _Dialect) -> dict[int, int]:
    """First value of every entry of a TIFF directory that holds integers."""
    file.seek(offset)
    count_format = dialect.order + ("Q" if dialect.big else "H")
    (count,) = struct.unpack(count_format, file.read(struct.calcsize(count_format)))
    if count > MAX_ENTRIES:
        raise ValueError(f"{count} entries in its directory")
    size = dialect.entry_bytes
    entries = file.read(count * size)
    tags: dict[int, int] = {}
    for start in range(0, count * size, size):
        entry = entries[start : start + size]
        value = dialect.first_value(entry, file)
        if value is not None:
            tags.setdefault(struct.unpack_from(dialect.order + "H", entry)[0], value)
    return tags


def _jpeg2000(head: bytes) -> Header:
    siz = head.find(b"\xff\x51")
    if siz < 0 or siz + 40 > len(head):
        return Header("JP2OpenJPEG")
    x1, y1, x0, y0, tile_width, tile_height = struct.unpack_from(">6I", head, siz + 6)
    (bands,) = struct.unpack_from(">H", head, siz + 38)
    bits = (head[siz + 40] & 0x7F) + 1 if siz + 40 < len(head) else 8
    width, height = x1 - x0, y1 - y0
    # The decoder reads large tiles in parts, so a tile counts as 1024 × 1024 at most.
    pixels = min(tile_width, width, 1024) * min(tile_height, height, 1024)
    return Header("JP2OpenJPEG", width, height, bands, pixels * bands * -(-bits // 8))


def check_header(uri: str, header: Header, *, limits: Limits) -> None:
    """Refuse a file whose header exceeds a limit.

    Raises:
        SceneError: The driver, size, band count or block size is not allowed; the message names both values.
    """
    if header.driver and header.driver not in limits.drivers:
        raise SceneError(
            uri,
            f"is a {header.driver} file and only {', '.join(limits.drivers)} are allowed: "
            f"convert it to a GeoTIFF or allow the driver {header.driver}",
        )
    if header.width * header.height > limits.max_pixels:
        raise SceneError(
            uri, f"declares {header.width} x {header.height} pixels; the limit is {limits.max_pixels} in all"
        )
    if header.bands > limits.max_bands:
        raise SceneError(uri, f"declares {header.bands} bands; the limit is {limits.max_bands}")
    if header.block_bytes > limits.max_block_bytes:
        raise SceneError(
            uri,
            f"one block decodes to {header.block_bytes} bytes; the limit is {limits.max_block_bytes}: "
            "rewrite it as a tiled GeoTIFF",
        )
