"""What a scene covers of the ground, and its overlap zone: where other scenes cover the same ground."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import shapely

from tiling.geo import GeoBox, moved_between, usable
from tiling.merge import TOUCH_PX

BEYOND_PX = 1.0
"""Another scene sees more of an object at an edge only if it sees at least so far past it, working pixels."""

THIN_PX = 0.5
"""Ground that shrinks to nothing by this is a line of rounding, working pixels."""

OVERVIEW_PX = 256
"""Longer side of the overview that valid data is looked up in, pixels."""

DOUBT_PX = 3.0
"""No data lies farther than this from what surely is data, but specks; pixels of that overview."""


@dataclass(frozen=True, slots=True)
class OverlapZone:
    """How the ground of one scene borders on what others cover; all in its working pixels."""

    shared: shapely.Geometry
    """What it and another scene both cover."""
    continued: shapely.Geometry
    """Where more can be seen by another: edges of its covered ground that another's passes, and its gaps."""
    outer: shapely.Geometry
    """All other edges of its covered ground."""
    foreign: shapely.Geometry
    """Ground that a scene of higher priority owns and covers."""


@dataclass(frozen=True, slots=True)
class SceneCoverage:
    """The ground that one scene covers, in its working pixels."""

    grid: GeoBox
    """Its working pixels."""
    valid: shapely.Geometry
    """Where it surely holds data, as far as is known."""
    covered: shapely.Geometry
    """Ground under its planned tiles; all of it while none is planned."""
    zone: OverlapZone | None = None
    """Where other scenes cover the same ground; None where it is covered whole and none does."""

    @property
    def seen(self) -> shapely.Geometry:
        """What of the covered ground may hold data."""
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
        own: The scene.
        before: Overlapping scenes that own what they share with it.
        after: Overlapping scenes that do not.
        whole: All tiles of the scene are planned.

    Raises:
        SceneError: A coordinate has no place in the scene's CRS.
    """
    if whole and not (before or after):
        return replace(own, zone=None)
    zone = _zone(own, before, after)
    return replace(own, zone=None if whole and shapely.is_empty(zone.shared) else zone)


def _zone(own: SceneCoverage, before: Sequence[SceneCoverage], after: Sequence[SceneCoverage]) -> OverlapZone:
    seen = [usable(moved_between([each.covered], each.grid, own.grid)[0]) for each in (*before, *after)]
    common = [shapely.intersection(own.covered, other) for other in seen]
    real = [not shapely.buffer(piece, -THIN_PX).is_empty for piece in common]
    owned = [usable(moved_between([each.valid], each.grid, own.grid)[0]) for each in before]
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
