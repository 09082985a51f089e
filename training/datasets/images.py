"""Image and mask files of datasets: size, soundness, binary masks, boxes about them."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from training.data import reading_order
from training.datasets.errors import UnusableError
from training.datasets.options import TargetSplit

FORMATS = ("JPEG", "PNG", "TIFF", "BMP")
"""What may be decoded, whatever a file is called."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"})
"""Names of image files end in one of these, in any case."""
PLAIN_MODES = ("1", "L", "I", "F")
"""Modes whose numbers are the mask's own values; `I;16` counts as `I`."""
MAX_PARTS = 256
"""Most patches of one mask that are separated."""
DAMAGE = (
    OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, ArithmeticError, MemoryError,
    RuntimeError, AttributeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
"""Everything the decoders have been seen to raise on damaged files."""


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) of an image that can be decoded to its end, pixels.

    JPEG files that have their end mark are taken as whole, PNG files whose checksums are right; others are
    decoded.

    Raises:
        UnusableError: The file is not there, no image or cut short.
    """
    _there(path, "no image")
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if image.format == "PNG":
                image.verify()
            elif image.format not in ("JPEG", "MPO") or not _ends(file):
                image.load()
    except DAMAGE as error:
        raise UnusableError("the image cannot be decoded") from error
    return height, width


def _there(path: Path, what: str) -> None:
    if not path.is_file():
        raise UnusableError(what)


def _ends(file: IO[bytes]) -> bool:
    """Whether a JPEG's end mark stands in its last kilobytes."""
    place = file.tell()
    size = file.seek(0, 2)
    file.seek(max(0, size - 4096))
    tail = file.read()
    file.seek(place)
    return b"\xff\xd9" in tail


def read_mask(path: Path, *, above: int) -> NDArray[np.bool_]:
    """Binary mask (height, width) of an image file, True where any channel is above a value.

    Args:
        path: One or more channels; palettes are looked up, an alpha channel is left aside.
        above: Greatest value outside of the target; 0 for masks that hold nothing greater than 1.

    Raises:
        UnusableError: The file is not there or cannot be decoded.
    """
    _there(path, "no mask")
    try:
        with Image.open(path, formats=FORMATS) as image:
            plain = image.mode.split(";")[0] in PLAIN_MODES
            values = np.asarray(image) if plain else np.asarray(image.convert("RGB")).max(axis=2)
            return np.asarray(values > (above if values.max(initial=0) > 1 else 0))
    except DAMAGE as error:
        raise UnusableError("the mask cannot be decoded") from error


def sized_mask(path: Path, size: tuple[int, int], *, above: int) -> NDArray[np.bool_]:
    """The mask of an image of that size (height, width).

    Raises:
        UnusableError: It cannot be read or is of another size.
    """
    mask = read_mask(path, above=above)
    if mask.shape != size:
        raise UnusableError("the mask is of another size than the image")
    return mask


def mask_boxes(mask: NDArray[np.bool_], parts: TargetSplit) -> NDArray[np.float64]:
    """Boxes (n, 4) x0, y0, x1, y1, half-open pixels, of a mask's parts, in the order of its parts.

    Raises:
        UnusableError: It falls into more patches than are separated.
    """
    return np.array([_box(place) for place, _ in _parts(mask, parts)], np.float64).reshape(-1, 4)


def split_mask(mask: NDArray[np.bool_], parts: TargetSplit) -> NDArray[np.bool_]:
    """Masks (n, height, width) of a mask's parts; n is 0 where it is empty.

    Raises:
        UnusableError: It falls into more patches than are separated.
    """
    found = _parts(mask, parts)
    masks = np.zeros((len(found), *mask.shape), bool)
    for number, (place, inside) in enumerate(found):
        masks[number][place] = inside
    return masks


Slices = tuple[slice, slice]


def _parts(mask: NDArray[np.bool_], parts: TargetSplit) -> list[tuple[Slices, NDArray[np.bool_]]]:
    """Where each part stands, and its pixels there."""
    if parts is TargetSplit.WHOLE:
        return _whole(mask)
    labels, count = ndimage.label(mask, np.ones((3, 3), bool))
    if count > MAX_PARTS:
        raise UnusableError(f"the mask falls into more than {MAX_PARTS} patches")
    found = [(place, labels[place] == n) for n, place in enumerate(ndimage.find_objects(labels), start=1)]
    return sorted(found, key=lambda part: reading_order(_box(part[0])))


def _whole(mask: NDArray[np.bool_]) -> list[tuple[Slices, NDArray[np.bool_]]]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    place = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
    return [(place, mask[place])]


def _box(place: Slices) -> tuple[int, int, int, int]:
    rows, columns = place
    return columns.start, rows.start, columns.stop, rows.stop


@dataclass(frozen=True, slots=True)
class MaskFile:
    """The mask of one image in a file of its own, read when asked for."""

    path: Path
    """JPEG, PNG or 8-bit TIFF."""
    above: int
    """Greatest value outside of the target."""
    parts: TargetSplit = TargetSplit.WHOLE
    """What counts as one target."""

    def masks(self) -> NDArray[np.bool_]:
        """Decode the file: (n, height, width), one mask a target.

        Raises:
            DatasetError: The file cannot be read any more.
        """
        return split_mask(read_mask(self.path, above=self.above), self.parts)


@dataclass(frozen=True, slots=True)
class PackedShapes:
    """Masks held in few bytes."""

    data: bytes
    """Bits of all masks in C order, deflated."""
    shape: tuple[int, int, int]
    """(n, height, width)."""

    @classmethod
    def of(cls, masks: NDArray[np.bool_]) -> "PackedShapes":
        """Pack masks (n, height, width)."""
        n, height, width = masks.shape
        return cls(zlib.compress(np.packbits(masks).tobytes()), (n, height, width))

    def masks(self) -> NDArray[np.bool_]:
        """Unpack them: (n, height, width)."""
        bits = np.frombuffer(zlib.decompress(self.data), np.uint8)
        count = int(np.prod(self.shape))
        return np.unpackbits(bits, count=count).reshape(self.shape).astype(bool)
