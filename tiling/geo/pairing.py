"""One-to-one pairs of shapes or boxes by overlap; used by scores and by the tracking of objects over time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def greedy_pairs(
    first: Sequence[int] | NDArray[np.int64],
    second: Sequence[int] | NDArray[np.int64],
    overlap: Sequence[float] | NDArray[np.float64],
) -> NDArray[np.int64]:
    """Choose one-to-one pairs greedily: the pair that overlaps most, then the next of the remaining ones.

    Args:
        first: (n,) index of each candidate pair on one side.
        second: (n,) its index on the other side.
        overlap: (n,) how much the two overlap; of pairs that overlap equally the earlier one is preferred.

    Returns:
        (k,) positions of the chosen pairs among the candidates, by descending overlap.
    """
    chosen: list[int] = []
    used: tuple[set[int], set[int]] = (set(), set())
    for at in np.argsort(-np.asarray(overlap, dtype=np.float64), kind="stable").tolist():
        one, other = int(first[at]), int(second[at])
        if one not in used[0] and other not in used[1]:
            chosen.append(at)
            used[0].add(one)
            used[1].add(other)
    return np.array(chosen, dtype=np.int64)
