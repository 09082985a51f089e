"""The coverage of a scene, and its overlap zone: where other scenes cover the same ground."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import shapely

from tiling.geo import GeoBox, moved_between, repaired
from tiling.merge import TOUCH_PX

BEYOND_PX = 1.0
"""Another scene shows more of an object at an edge only if it covers at least this much past the edge,
working pixels."""

THIN_PX = 0.5
"""Ground that vanishes when it is shrunk by this is a result of rounding, working pixels."""

OVERVIEW_PX = 256
"""Longer side of the overview in which valid data is searched, pixels."""

DOUBT_PX = 3.0
"""Data lies at most this far outside the ground that surely holds data, except specks; overview pixels."""


@dataclass(frozen=True, slots=True)
class OverlapZone:
    """Where one scene's coverage meets that of others; all in its working pixels."""

    shared: shapely.Geometry
    """Ground that it and another scene both cover."""
    continued: shapely.Geometry
    """Where another scene may show more: edges of its coverage that another's reaches past, and its gaps."""
    outer: shapely.Geometry
    """All other edges of its coverage."""
    foreign: shapely.Geometry
    """Ground that a scene of higher priority owns and covers."""


@dataclass(frozen=True, slots=True)
class SceneCoverage:
    """The ground that one scene covers, in its working pixels."""

    grid: GeoBox
    """Its working grid."""
    valid: shapely.Geometry
    """Ground where it is known to hold data."""
    covered: shapely.Geometry
    """Ground under its planned tiles; the whole grid before tiles are planned."""
    zone: OverlapZone | None = None
    """Its overlap zone; None if no other scene covers its ground and all its tiles are planned."""

    @property
    def seen(self) -> shapely.Geometry:
        """The part of the covered ground that may hold data."""
        if shapely.equals(self.valid, self.grid.area):
            return self.covered
        pixel = max(1.0, max(self.grid.width, self.grid.height) / OVERVIEW_PX)
        return shapely.intersection(
            self.covered, shapely.buffer(self.valid, DOUBT_PX * pixel, join_style="mitre")
        )


def with_overlap_zone(
    own: SceneCoverage, before: Sequence[SceneCoverage], after: Sequence[SceneCoverage], *, whole: bool
) -> SceneCoverage:
    """The coverage of a scene with its overlap zone, which depends on the scenes alone.

    Args:
        own: The scene's coverage.
        before: Coverages of overlapping scenes of higher priority, which own the shared ground.
        after: Coverages of overlapping scenes of lower priority.
        whole: Whether all tiles of the scene are planned.

    Raises:
        SceneError: A coordinate cannot be expressed in the scene's CRS.
    """
    if whole and not (before or after):
        return replace(own, zone=None)
    zone = _zone(own, before, after)
    return replace(own, zone=None if whole and shapely.is_empty(zone.shared) else zone)


def _zone(own: SceneCoverage, before: Sequence[SceneCoverage], after: Sequence[SceneCoverage]) -> OverlapZone:
    seen = [repaired(moved_between([each.covered], each.grid, own.grid)[0]) for each in (*before, *after)]
    common = [shapely.intersection(own.covered, other) for other in seen]
    real = [not shapely.buffer(piece, -THIN_PX).is_empty for piece in common]
    owned = [repaired(moved_between([each.valid], each.grid, own.grid)[0]) for each in before]
    beyond = shapely.union_all(
        [shapely.buffer(seen[i], -BEYOND_PX) for i, is_real in enumerate(real) if is_real]
    )
    edges = shapely.boundary(own.covered)
    blind = shapely.difference(own.covered, shapely.buffer(own.valid, TOUCH_PX, join_style="mitre"))
    return OverlapZone(
        shared=shapely.union_all([piece for piece, is_real in zip(common, real, strict=True) if is_real]),
        continued=shapely.intersection(shapely.union(edges, blind), beyond),
        outer=shapely.difference(edges, beyond),
        foreign=shapely.union_all(
            [shapely.intersection(ground, seen[i]) for i, ground in enumerate(owned) if real[i]]
        ),
    )
