"""From a mask of one thing to its box and its outline. Knows no format."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

from tiling.outline import outlines


def hull(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Box x0, y0, x1, y1, half-open, of what is True in (height, width); None where nothing is."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def outline_of(mask: NDArray[np.bool_], box: tuple[int, int, int, int]) -> shapely.Polygon:
    """Outline of a mask's biggest piece, image pixels; the box itself where the mask is a pixel or two.

    Args:
        mask: (height, width).
        box: Hull of the mask.
    """
    x0, y0, x1, y1 = box
    part = np.pad(mask[y0:y1, x0:x1], 1).astype(np.float32)
    pieces = outlines(part, min_area_px=0.0)
    if not pieces or pieces[0].area < 1:
        return shapely.box(*box)
    return translate(pieces[0], x0 - 1, y0 - 1)
