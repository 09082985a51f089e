"""Which of the new objects were there before, so that they keep their ids. Knows shapes and ids, no file.

The rule: of all pairs of an object before and an object now whose outlines overlap by at least half of what
both cover together, the one that overlaps most is the same object, then the next of what is left, each object
once at most. Of what is then still alone, objects of one id are the same object.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import greedy_pairs, ious

SAME_IOU = 0.5
"""Overlap (area of the intersection over that of the union) from which two outlines are one object."""


@dataclass(frozen=True, slots=True)
class TrackedOutlines:
    """Objects of one question at one time."""

    ids: Sequence[str]
    """Their ids."""
    shapes: NDArray[np.object_]
    """Shape (n,): their outlines, longitude and latitude; overlaps are ratios, so degrees do."""


TrackedPairs = dict[int, int]
"""Index of an object now to that of the same object before."""


def match_objects(before: TrackedOutlines, now: TrackedOutlines) -> TrackedPairs:
    """Pair objects before with objects now; the result does not depend on their order."""
    pairs = _by_overlap(before, now)
    return pairs | _by_id(before, now, set(pairs.values()), pairs)


def kept_ids(
    before: TrackedOutlines, now: TrackedOutlines, pairs: TrackedPairs, *, others: Collection[str] = ()
) -> list[str]:
    """Ids of the objects now: of those that stayed the old ones, of the rest their own.

    An object that came to a place whose id has moved on with another object is given a new one.

    Args:
        before: objects before.
        now: objects now, with the ids that follow from their places.
        pairs: which are the same.
        others: further ids in use.
    """
    used = {*others, *(before.ids[old] for old in pairs.values())}
    ids = []
    for index, own in enumerate(now.ids):
        fresh = before.ids[pairs[index]] if index in pairs else _unused(own, used)
        ids.append(fresh)
    return ids


def _by_overlap(before: TrackedOutlines, now: TrackedOutlines) -> TrackedPairs:
    """Pairs that overlap enough, one to one, most overlap first; of equal ones those of lesser ids."""
    if not len(before.shapes) or not len(now.shapes):
        return {}
    new, old = shapely.STRtree(before.shapes).query(now.shapes, predicate="intersects")
    overlap = ious(before.shapes[old], now.shapes[new])
    keep = np.flatnonzero(overlap >= SAME_IOU)
    order = sorted(keep, key=lambda at: (before.ids[old[at]], now.ids[new[at]], old[at], new[at]))
    old, new, overlap = old[order], new[order], overlap[order]
    return {int(new[at]): int(old[at]) for at in greedy_pairs(old, new, overlap)}


def _by_id(
    before: TrackedOutlines, now: TrackedOutlines, taken: Collection[int], pairs: TrackedPairs
) -> TrackedPairs:
    alone = {before.ids[old]: old for old in range(len(before.ids)) if old not in taken}
    return {new: alone.pop(own) for new, own in enumerate(now.ids) if new not in pairs and own in alone}


def _unused(own: str, used: Collection[str]) -> str:
    fresh, number = own, 1
    while fresh in used:
        number += 1
        fresh = hashlib.sha256(f"{own}|{number}".encode()).hexdigest()[: len(own)]
    return fresh
