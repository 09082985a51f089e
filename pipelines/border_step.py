"""Which sightings of neighbouring blocks match. Reads what blocks put aside; joins nothing."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from pipelines.open_sightings import get_border
from pipelines.storage import Store
from tiling.matching import Matches, Outlines, matches_between
from tiling.merging import TAU, touching
from tiling.scene import Transform


@dataclass(frozen=True, slots=True)
class BorderTask:
    """One block and those that come after it and whose tiles meet its own."""

    name: str
    """File of what is open in the block."""
    others: tuple[str, ...]
    """Files of what is open in the others."""
    unread: NDArray[np.int64]
    """(k, 4) windows of tiles of all blocks around that failed or cannot be read, work pixels."""
    transform: Transform
    """Work pixel to world of the scene."""


@dataclass(frozen=True, slots=True)
class Border:
    """What was found at a block's border, by rows of the files."""

    matches: tuple[Matches, ...]
    """Pairs of a row of the block and a row of each of the others."""
    spared: NDArray[np.int64]
    """Rows of the block that a tile without an answer may have confirmed."""


@dataclass(frozen=True, slots=True)
class BorderStep:
    """Matches what is open in one block with the others; a plain picklable callable."""

    doing: ClassVar[str] = "matching across blocks"
    """For those who wait."""
    scratch: Store
    """Where the files are."""

    def __call__(self, item: BorderTask) -> Border:
        """What is found at the block's border.

        Raises:
            OSError: the storage refuses.
        """
        rows, outlines = get_border(self.scratch, item.name, item.transform)
        spared = touching(outlines, np.arange(len(rows)), item.unread)
        matches = tuple(self._matches(rows, outlines, name, item.transform) for name in item.others)
        return Border(matches, rows[spared])

    def _matches(
        self, rows: NDArray[np.int64], outlines: Outlines, name: str, transform: Transform
    ) -> Matches:
        their_rows, theirs = get_border(self.scratch, name, transform)
        found = matches_between(outlines, theirs, tau=TAU)
        return replace(found, first=rows[found.first], second=their_rows[found.second])
