"""Object tracking for nightly updates: which new objects were there before, so that they keep their ids.

The rule: among all pairs of an earlier and a new object with an intersection over union of at least 0.5, the
pair that overlaps most is the same object, then the next of the remaining pairs, and so on; every object is
in one pair at most. Among the objects that are in no pair, those with equal ids are the same object.
"""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import greedy_pairs, ious

SAME_IOU = 0.5
"""Intersection over union from which two outlines are the same object."""


@dataclass(frozen=True, slots=True)
class TrackedOutlines:
    """Objects of one question at one time."""

    ids: Sequence[str]
    """Their ids."""
    shapes: NDArray[np.object_]
    """Shape (n,): their outlines, longitude and latitude in degrees, which is enough for ratios of areas."""


TrackedPairs = dict[int, int]
"""Maps the index of a new object to the index of the same object before."""


def match_objects(before: TrackedOutlines, now: TrackedOutlines) -> TrackedPairs:
    """Pair earlier objects with new ones; the result does not depend on their order."""
    pairs = _by_overlap(before, now)
    return pairs | _by_id(before, now, set(pairs.values()), pairs)


def kept_ids(
    before: TrackedOutlines, now: TrackedOutlines, pairs: TrackedPairs, *, others: Collection[str] = ()
) -> list[str]:
    """Ids of the new objects: a paired object keeps the earlier id, any other gets the id of its place.

    If the id of the place is in use already, because another object has kept it, a further id is derived.

    Args:
        before: earlier objects.
        now: new objects, with the ids of their places.
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
    """One-to-one pairs that overlap enough, largest overlap first; equal overlaps are ordered by id."""
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
