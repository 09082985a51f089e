"""The picture a model sees."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """One tile's pixels as shown to the models."""

    pixels: NDArray[np.uint8]
    """(height, width, 3), red, green, blue."""
    key: str
    """Opaque name of the tile; only the oracle engines look at it."""
