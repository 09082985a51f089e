"""Resolves a graph of matches into objects, for fragments of tiles and for objects of scenes alike."""

import numpy as np
from numpy.typing import NDArray

from tiling.geo import Pairs, Ragged, components, group_by


def resolve_clusters(
    suppressed: NDArray[np.bool_],
    pairs: Pairs,
    *,
    truncated: NDArray[np.bool_],
    priority: NDArray[np.float64],
) -> Ragged:
    """Group the members that are not suppressed into objects.

    Args:
        suppressed: (n,) true for suppressed members.
        pairs: Members that match.
        truncated: (n,) true for truncated members, which are united with all members they match.
        priority: (n,) of complete members that match, the one with the highest represents the object.

    Returns:
        The members of every object, ascending; objects by their first member.
    """
    first, second = pairs
    alive = ~(suppressed[first] | suppressed[second])
    pairs = first[alive], second[alive]
    labels, left = components(len(suppressed), pairs), np.flatnonzero(~suppressed)
    clusters = group_by(labels[left])
    clusters = Ragged(left[clusters.values], clusters.starts)
    if not len(clusters):
        return clusters
    begins = clusters.starts[:-1]
    together = np.logical_or.reduceat(truncated[clusters.values], begins) | (clusters.lengths == 1)
    members = clusters.take(np.flatnonzero(~together)).values
    united = clusters.take(np.flatnonzero(together))
    ranked = members[np.lexsort((members, -priority[members], labels[members]))]
    alone = _representatives(ranked, pairs, len(suppressed))
    values = np.concatenate((united.values, alone))
    starts = np.concatenate((united.starts, united.starts[-1] + 1 + np.arange(len(alone))))
    order = np.argsort(values[starts[:-1]], kind="stable")
    return Ragged(values, starts).take(order)


def _representatives(ranked: NDArray[np.int64], pairs: Pairs, count: int) -> NDArray[np.int64]:
    """The complete members, best first, that match no earlier representative.

    A member is dropped only if it matches a representative, not if it matches a dropped member: so of two
    objects that one tile separates, neither is lost to a mask over both in another tile.
    """
    place = np.full(count, -1)
    place[ranked] = np.arange(len(ranked))
    one, other = (place[index] for index in pairs)
    inside = (one >= 0) & (other >= 0)
    before, after = np.minimum(one, other)[inside], np.maximum(one, other)[inside]
    represents = [True] * len(ranked)
    turn = np.lexsort((after, before))
    for better, worse in zip(before[turn].tolist(), after[turn].tolist(), strict=True):
        if represents[better]:
            represents[worse] = False
    return np.asarray(ranked[np.array(represents, dtype=bool)], dtype=np.int64)
