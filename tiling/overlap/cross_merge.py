"""The merge across scenes: merges objects of overlapping scenes by the rule that merges fragments of tiles.

The ground covered by a scene's planned tiles takes the place of a tile. Objects match by the area they share
on ground that both scenes cover, a truncated object is suppressed by a complete one, and the remaining
objects that match are united.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import (
    Ragged,
    components,
    group_by,
    moved_between,
    polygons_from_shapes,
    repaired,
    to_pixels,
    to_world,
)
from tiling.merge import MIN_OWN_SHARE, TAU, MergedObjects, corners, resolve_clusters, unite
from tiling.overlap.cross_match import (
    Beside,
    Candidates,
    CrossMatches,
    ScenePart,
    candidates_of,
    cross_matches,
)


@dataclass(frozen=True, slots=True)
class OwnedObjects:
    """Merged objects grouped by owner: the scene of highest priority of each is the same; (n,) each."""

    owner: int
    """The scene that owns the objects."""
    objects: MergedObjects
    """The objects, world coordinates of the owner's CRS."""
    scenes: tuple[tuple[int, ...], ...]
    """All scenes in which each object was detected, ascending."""


@dataclass(frozen=True, slots=True)
class CrossMerge:
    """Which candidates are one object; outlines are not united yet."""

    candidates: Candidates
    """The objects of single scenes."""
    together: NDArray[np.int64]
    """Label (n,) of the connected component of each candidate, including suppressed ones."""
    groups: Ragged
    """Indexes of the candidates of every object, ascending; objects by their first candidate."""

    def of(self, scenes: Collection[int]) -> "CrossMerge":
        """The objects that candidates of some scenes affect, including suppressed candidates."""
        involved = self.together[np.isin(self.candidates.scene, sorted(scenes))]
        labels = self.together[self.groups.values[self.groups.starts[:-1]]]
        return replace(self, groups=self.groups.take(np.flatnonzero(np.isin(labels, involved))))

    def linked(self, touched: NDArray[np.bool_] | None = None) -> set[int]:
        """All scenes whose candidates affect the objects, or those connected with marked candidates (n,)."""
        labels = self.together[self.groups.values]
        if touched is not None:
            labels = labels[np.isin(labels, self.together[touched])]
        return set(self.candidates.scene[np.isin(self.together, labels)].tolist())

    def united(self) -> Iterator[OwnedObjects]:
        """The merged objects, owner by owner in the order of priority."""
        owners = self.candidates.scene[self.groups.values[self.groups.starts[:-1]]]
        ranks = np.array([self.candidates.parts[owner].rank for owner in owners.tolist()], dtype=np.int64)
        for numbers in group_by(ranks):
            yield self._owned(int(owners[numbers[0]]), self.groups.take(numbers))

    def _owned(self, owner: int, groups: Ragged) -> OwnedObjects:
        places = np.unique(groups.values)
        objects = _seen_by(self.candidates, places, owner)
        members = Ragged(np.searchsorted(places, groups.values), groups.starts)
        transform = self.candidates.parts[owner].coverage.grid.transform
        scenes = (tuple(np.unique(self.candidates.scene[group]).tolist()) for group in groups)
        return OwnedObjects(owner, unite(objects, members, transform), tuple(scenes))


def merge_across(parts: Mapping[int, ScenePart], beside: Beside, *, tau: float = TAU) -> CrossMerge | None:
    """Merge objects of overlapping scenes.

    Two objects of overlapping scenes match if they share at least `tau` of the smaller of their parts on
    ground that both scenes cover. A truncated object is suppressed if it matches a complete one and lies on
    ground that the complete one's scene covers. Complete objects that match are one object, represented by
    that of the scene of highest priority. The remaining objects that match are united. An object that matches
    nothing and lies mostly on ground that a scene of higher priority owns is suppressed, unless that scene's
    tiles failed there. The order of the parts does not matter.

    Args:
        parts: The input of each scene; scenes without objects in a zone may be left out.
        beside: The scenes that overlap a scene.
        tau: Share, 0 to 1.

    Returns:
        Which candidates are one object; None if no scene has objects in its overlap zone.

    Raises:
        SceneError: A coordinate of one scene cannot be expressed in the CRS of an overlapping scene.
    """
    if not any(len(part.shared) for part in parts.values()):
        return None
    candidates = candidates_of(parts)
    found = cross_matches(candidates, beside, tau=tau)
    suppressed = _inside_complete(candidates, found) | _unsupported(candidates, found, beside)
    priority = np.zeros(len(suppressed))  # candidates are in the order of their scenes' priority already
    groups = resolve_clusters(
        suppressed, found.pairs, truncated=candidates.shared.truncated, priority=priority
    )
    return CrossMerge(candidates, components(len(suppressed), found.pairs), groups)


def _inside_complete(candidates: Candidates, found: CrossMatches) -> NDArray[np.bool_]:
    """Which truncated objects match a complete one and lie on ground that its scene covers."""
    truncated = candidates.shared.truncated
    suppressed = np.zeros(len(truncated), dtype=bool)
    first, second = found.pairs
    suppressed[first[found.first_inside & truncated[first] & ~truncated[second]]] = True
    suppressed[second[found.second_inside & truncated[second] & ~truncated[first]]] = True
    return suppressed


def _unsupported(candidates: Candidates, found: CrossMatches, beside: Beside) -> NDArray[np.bool_]:
    """Which objects match nothing and lie mostly on ground of scenes of higher priority that answered."""
    lonely = candidates.shared.foreign_share > 1 - MIN_OWN_SHARE
    lonely[np.concatenate(found.pairs)] = False
    for scene in np.unique(candidates.scene[lonely]).tolist():
        numbers = np.flatnonzero(lonely & (candidates.scene == scene))
        missing = shapely.union_all(list(_missing_before(candidates, scene, beside)))
        lonely[numbers[shapely.intersects(candidates.outlines[numbers], missing)]] = False
    return lonely


def _missing_before(candidates: Candidates, scene: int, beside: Beside) -> Iterator[shapely.Geometry]:
    """Windows of failed and missing tiles of the scenes of higher priority, in a scene's working pixels."""
    own = candidates.parts[scene]
    for other in sorted(set(beside(scene)) & candidates.parts.keys()):
        part = candidates.parts[other]
        if part.rank < own.rank and not shapely.is_empty(part.missing):
            yield repaired(moved_between([part.missing], part.coverage.grid, own.coverage.grid)[0])


def _seen_by(candidates: Candidates, numbers: NDArray[np.int64], owner: int) -> MergedObjects:
    """Candidates of several scenes in world coordinates of the owner, with sizes in its working pixels."""
    grid = candidates.parts[owner].coverage.grid
    objects = candidates.shared.objects.take(numbers)
    geometry, region, largest = objects.outlines.shapes(), objects.region.copy(), objects.largest.copy()
    largest[:] = shapely.area(candidates.outlines[numbers])
    for own in group_by(candidates.scene[numbers]):
        scene = int(candidates.scene[numbers[own[0]]])
        if scene == owner:
            continue
        outlines = candidates.seen_from(numbers[own], owner)
        origin = candidates.parts[scene].coverage.grid
        boxes = to_pixels(np.asarray(shapely.polygons(region[own]), dtype=object), origin.transform)
        geometry[own] = to_world(outlines, grid.transform)
        region[own] = corners(shapely.bounds(moved_between(boxes, origin, grid)), grid.transform)
        largest[own] = shapely.area(outlines)
    return replace(objects, outlines=polygons_from_shapes(geometry), region=region, largest=largest)
