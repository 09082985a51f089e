"""Which things of overlapping scenes show the same thing. Knows pixel geometry and frames only."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import Pairs, moved_between, snapped, snapped_pixels, usable
from tiling.merge import INSIDE_PX
from tiling.overlap.overlap_zone import Shared, View, all_shared

MIN_SHARED_PX2 = 0.5
"""Less in common than this is rounding along an edge, square work pixels."""

Beside = Callable[[int], Collection[int]]
"""The scenes that overlap a scene."""


@dataclass(frozen=True, slots=True)
class ScenePart:
    """What one scene brings to its seams."""

    rank: int
    """Its place among all scenes: the lesser owns what two share."""
    view: View
    """What it sees."""
    shared: Shared
    """Its things on ground another scene sees too."""
    silent: shapely.Geometry
    """Windows of its tiles that gave no answer, work pixels."""


@dataclass(frozen=True, slots=True)
class Pool:
    """All things at seams, those of the scene that comes first first, (n,) each."""

    parts: Mapping[int, ScenePart]
    scene: NDArray[np.int64]
    """The scene of each."""
    shared: Shared
    outlines: NDArray[np.object_]
    """In the work pixels of their own scenes."""

    def of(self, scene: int) -> NDArray[np.int64]:
        """Numbers of a scene's things."""
        return np.flatnonzero(self.scene == scene)

    def seen_from(self, numbers: NDArray[np.int64], scene: int) -> NDArray[np.object_]:
        """Outlines of things of one scene in the work pixels of another."""
        if not len(numbers):
            return np.empty(0, dtype=object)
        own = self.parts[int(self.scene[numbers[0]])].view.frame
        return moved_between(self.outlines[numbers], own, self.parts[scene].view.frame)


@dataclass(frozen=True, slots=True)
class Links:
    """Pairs of things that match, the one of the scene that comes first first; (m,) each."""

    pairs: Pairs
    first_inside: NDArray[np.bool_]
    """The first lies on ground the second's scene sees."""
    second_inside: NDArray[np.bool_]
    """The second lies on ground the first's scene sees."""


def pool_of(parts: Mapping[int, ScenePart]) -> Pool:
    """All things of some scenes, those of the scene that comes first first; one scene at least."""
    order = sorted(parts, key=lambda scene: parts[scene].rank)
    outlines = [
        snapped_pixels(parts[scene].shared.things.outlines, parts[scene].view.frame.transform)
        for scene in order
    ]
    return Pool(
        parts=parts,
        scene=np.repeat(np.array(order, dtype=np.int64), [len(parts[scene].shared) for scene in order]),
        shared=all_shared([parts[scene].shared for scene in order]),
        outlines=np.concatenate(outlines),
    )


def find_links(pool: Pool, beside: Beside, *, tau: float) -> Links:
    """All pairs of things that match, sorted.

    Args:
        pool: Things of all scenes.
        beside: The scenes that overlap a scene.
        tau: Share of the lesser part that a pair must share, 0 to 1.

    Raises:
        SceneError: A coordinate of one scene has no place in the CRS of one that overlaps it.
    """
    present = set(pool.scene.tolist())
    ranks = {scene: pool.parts[scene].rank for scene in present}
    found = [
        _pair_links(pool, (one, other), tau)
        for one in sorted(present, key=ranks.__getitem__)
        for other in sorted(present & set(beside(one)), key=ranks.__getitem__)
        if ranks[one] < ranks[other]
    ]
    none = (np.empty(0, dtype=np.int64),) * 2 + (np.empty(0, dtype=bool),) * 2
    first, second, first_inside, second_inside = (
        np.concatenate(column) for column in zip(none, *found, strict=True)
    )
    place = np.lexsort((second, first))
    return Links((first[place], second[place]), first_inside[place], second_inside[place])


_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


def _pair_links(pool: Pool, scenes: tuple[int, int], tau: float) -> _Columns:
    """Matches between two scenes: first, second, and whether each lies on the other's ground."""
    one, other = scenes
    here, there = pool.parts[one].view, pool.parts[other].view
    covered, seen = map(usable, moved_between([there.covered, there.seen], there.frame, here.frame))
    both = shapely.intersection(here.seen, seen)
    numbers = pool.of(one), pool.of(other)
    mine, theirs = pool.outlines[numbers[0]], snapped(pool.seen_from(numbers[1], one))
    a, b = _matches(mine, theirs, both, tau)
    return (
        numbers[0][a],
        numbers[1][b],
        _inside(mine, covered)[a],
        _inside(theirs, here.covered)[b],
    )


def _matches(
    mine: NDArray[np.object_], theirs: NDArray[np.object_], both: shapely.Geometry, tau: float
) -> Pairs:
    """Pairs of things of two scenes that share enough of the lesser of their parts on ground both see.

    Each connected part counts on its own: a road that leaves the shared ground and comes back is compared
    where it meets the other, not over all its length.
    """
    parts, owner = _parts_on(mine, both)
    other_parts, other_owner = _parts_on(theirs, both)
    a, b = shapely.STRtree(other_parts).query(parts, predicate="intersects")
    shared = shapely.area(shapely.intersection(parts[a], other_parts[b]))
    lesser = np.minimum(shapely.area(parts[a]), shapely.area(other_parts[b]))
    match = (shared >= MIN_SHARED_PX2) & (shared >= tau * lesser)
    pairs = np.unique(np.column_stack((owner[a[match]], other_owner[b[match]])), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _parts_on(
    outlines: NDArray[np.object_], ground: shapely.Geometry
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Connected parts of outlines on some ground, and which outline each is of."""
    parts, owner = shapely.get_parts(shapely.intersection(outlines, ground), return_index=True)
    kept = shapely.area(parts) > 0
    return parts[kept], owner[kept]


def _inside(outlines: NDArray[np.object_], ground: shapely.Geometry) -> NDArray[np.bool_]:
    wide = shapely.buffer(ground, INSIDE_PX, join_style="mitre")
    shapely.prepare(wide)
    return np.asarray(shapely.covers(wide, outlines), dtype=bool)
