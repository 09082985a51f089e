"""Which scenes lie over one another. Knows outlines only."""

from collections.abc import Sequence

import numpy as np
import shapely


def neighbours(outlines: Sequence[shapely.Geometry]) -> list[tuple[int, ...]]:
    """Per outline, the indexes of the others that touch it, ascending.

    Args:
        outlines: Ground footprints, longitude and latitude, split at ±180°.
    """
    if not outlines:
        return []
    shapes = np.asarray(outlines, dtype=object)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    found: list[list[int]] = [[] for _ in outlines]
    for one, other in sorted(zip(first.tolist(), second.tolist(), strict=True)):
        if one != other:
            found[one].append(other)
    return [tuple(each) for each in found]
