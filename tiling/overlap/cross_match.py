"""Matches objects of overlapping scenes that show the same object, in working pixels."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import Pairs, moved_between, repaired, snapped, snapped_pixels
from tiling.merge import INSIDE_PX
from tiling.overlap.coverage import SceneCoverage
from tiling.overlap.overlap_zone import ZoneObjects, concat_zone_objects

MIN_SHARED_PX2 = 0.5
"""A smaller shared area is a result of rounding along an edge, square working pixels."""

Beside = Callable[[int], Collection[int]]
"""Gives the scenes that overlap a scene."""


@dataclass(frozen=True, slots=True)
class ScenePart:
    """The input of one scene to the merge across scenes."""

    rank: int
    """Its rank among all scenes: of scenes that share ground, the one with the lowest rank owns it."""
    coverage: SceneCoverage
    """Its coverage."""
    shared: ZoneObjects
    """Its objects in its overlap zone."""
    missing: shapely.Geometry
    """Windows of its failed and missing tiles, working pixels."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """All objects in overlap zones, those of the scene of highest priority first, (n,) each."""

    parts: Mapping[int, ScenePart]
    """The input of each scene."""
    scene: NDArray[np.int64]
    """The scene of each."""
    shared: ZoneObjects
    """The objects."""
    outlines: NDArray[np.object_]
    """Their outlines in the working pixels of their own scenes."""

    def of(self, scene: int) -> NDArray[np.int64]:
        """Indexes of a scene's objects."""
        return np.flatnonzero(self.scene == scene)

    def seen_from(self, numbers: NDArray[np.int64], scene: int) -> NDArray[np.object_]:
        """Outlines of objects, by their indexes, in the working pixels of a scene."""
        if not len(numbers):
            return np.empty(0, dtype=object)
        own = self.parts[int(self.scene[numbers[0]])].coverage.grid
        return moved_between(self.outlines[numbers], own, self.parts[scene].coverage.grid)


@dataclass(frozen=True, slots=True)
class CrossMatches:
    """Pairs of candidates that match, the one of the scene of higher priority first; (m,) each."""

    pairs: Pairs
    """Indexes of the first and the second of each pair."""
    first_inside: NDArray[np.bool_]
    """Whether the first lies on ground that the second's scene covers."""
    second_inside: NDArray[np.bool_]
    """Whether the second lies on ground that the first's scene covers."""


def candidates_of(parts: Mapping[int, ScenePart]) -> Candidates:
    """All objects of some scenes, at least one, ordered by the scenes' priority."""
    order = sorted(parts, key=lambda scene: parts[scene].rank)
    outlines = [
        snapped_pixels(parts[scene].shared.objects.outlines, parts[scene].coverage.grid.transform)
        for scene in order
    ]
    return Candidates(
        parts=parts,
        scene=np.repeat(np.array(order, dtype=np.int64), [len(parts[scene].shared) for scene in order]),
        shared=concat_zone_objects([parts[scene].shared for scene in order]),
        outlines=np.concatenate(outlines),
    )


def cross_matches(candidates: Candidates, beside: Beside, *, tau: float) -> CrossMatches:
    """All pairs of candidates that match, sorted.

    Args:
        candidates: Objects of all scenes.
        beside: The scenes that overlap a scene.
        tau: Share of the smaller part that a pair must share, 0 to 1.

    Raises:
        SceneError: A coordinate of one scene cannot be expressed in the CRS of an overlapping scene.
    """
    present = set(candidates.scene.tolist())
    ranks = {scene: candidates.parts[scene].rank for scene in present}
    found = [
        _between_scenes(candidates, (one, other), tau)
        for one in sorted(present, key=ranks.__getitem__)
        for other in sorted(present & set(beside(one)), key=ranks.__getitem__)
        if ranks[one] < ranks[other]
    ]
    none = (np.empty(0, dtype=np.int64),) * 2 + (np.empty(0, dtype=bool),) * 2
    first, second, first_inside, second_inside = (
        np.concatenate(column) for column in zip(none, *found, strict=True)
    )
    place = np.lexsort((second, first))
    return CrossMatches((first[place], second[place]), first_inside[place], second_inside[place])


_Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]


def _between_scenes(candidates: Candidates, scenes: tuple[int, int], tau: float) -> _Columns:
    """Matches between two scenes: first, second, and whether each lies on the other's covered ground."""
    one, other = scenes
    here, there = candidates.parts[one].coverage, candidates.parts[other].coverage
    covered, seen = map(repaired, moved_between([there.covered, there.seen], there.grid, here.grid))
    both = shapely.intersection(here.seen, seen)
    numbers = candidates.of(one), candidates.of(other)
    mine, theirs = candidates.outlines[numbers[0]], snapped(candidates.seen_from(numbers[1], one))
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
    """Pairs of objects of two scenes that share enough of the smaller of their parts on common ground.

    Common ground is covered by both scenes. Each connected part is compared on its own: a road that leaves
    the common ground and comes back is compared where it meets the other object, not over its whole length.
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
    """Connected parts of outlines within some ground, and the index of the outline of each part."""
    parts, owner = shapely.get_parts(shapely.intersection(outlines, ground), return_index=True)
    kept = shapely.area(parts) > 0
    return parts[kept], owner[kept]


def _inside(outlines: NDArray[np.object_], ground: shapely.Geometry) -> NDArray[np.bool_]:
    wide = shapely.buffer(ground, INSIDE_PX, join_style="mitre")
    shapely.prepare(wide)
    return np.asarray(shapely.covers(wide, outlines), dtype=bool)
