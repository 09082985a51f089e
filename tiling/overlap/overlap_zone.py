"""Where a scene's ground is seen by other scenes too, and which things lie there. Joins nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import Frame, moved_between, snapped_pixels, usable
from tiling.merge import TOUCH_PX, Things, all_things
from tiling.overlap.ownership import THIN_PX
from tiling.overlap.valid_area import maybe_data

BEYOND_PX = 1.0
"""Another scene sees more of a thing at an edge only if it sees at least so far past it, work pixels."""


@dataclass(frozen=True, slots=True)
class View:
    """What one scene sees."""

    frame: Frame
    """Its work pixels."""
    covered: shapely.Geometry
    """Ground under its planned tiles, work pixels."""
    ground: shapely.Geometry
    """Where it holds data as far as is known, work pixels."""

    @property
    def seen(self) -> shapely.Geometry:
        """What of the covered ground may hold data, work pixels."""
        if shapely.equals(self.ground, self.frame.area):
            return self.covered
        return shapely.intersection(
            self.covered, maybe_data(self.ground, self.frame.width, self.frame.height)
        )


@dataclass(frozen=True, slots=True)
class Seam:
    """How the ground of one scene borders on what others see; all in its work pixels."""

    shared: shapely.Geometry
    """What it and another both see."""
    passed: shapely.Geometry
    """Where more can be seen by another: edges of its covered ground that another's passes, and its gaps."""
    outer: shapely.Geometry
    """All other edges of its covered ground."""
    foreign: shapely.Geometry
    """Ground that a scene before it owns and sees."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Things as one scene shows them, where another scene looks too; (n,) each."""

    things: Things
    """The things, world coordinates of the scene's CRS."""
    cut: NDArray[np.bool_]
    """It touches an edge, or a gap in the data, that another scene sees past."""
    at_edge: NDArray[np.bool_]
    """It touches an edge past which nothing is seen."""
    foreign_share: NDArray[np.float64]
    """Share of its area on ground that a scene before it owns and sees, 0 to 1."""

    def __len__(self) -> int:
        return len(self.things)


@dataclass(frozen=True, slots=True)
class Sorted:
    """A scene's things by whether another scene has a say in them; both in their order."""

    settled: Things
    """Those on ground no other scene sees."""
    settled_at_edge: NDArray[np.bool_]
    """Which of these touch an edge past which nothing is seen."""
    shared: Shared
    """All others."""
    alone: NDArray[np.int64]
    """Which of the things were settled."""
    others: NDArray[np.int64]
    """Which were not."""


def all_shared(parts: Sequence[Shared]) -> Shared:
    """Things at seams of several parts of a scene behind one another; one part at least."""
    return Shared(
        all_things([part.things for part in parts]),
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("cut", "at_edge", "foreign_share")
        ),
    )


def seam_of(own: View, before: Sequence[View], after: Sequence[View]) -> Seam:
    """How a scene borders on others.

    Args:
        own: The scene.
        before: Scenes beside it that own what they share with it.
        after: Scenes beside it that do not.

    Raises:
        SceneError: A coordinate has no place in the scene's CRS.
    """
    seen = [usable(moved_between([view.covered], view.frame, own.frame)[0]) for view in (*before, *after)]
    common = [shapely.intersection(own.covered, other) for other in seen]
    real = [not shapely.buffer(piece, -THIN_PX).is_empty for piece in common]
    claims = [usable(moved_between([view.ground], view.frame, own.frame)[0]) for view in before]
    beyond = shapely.union_all(
        [shapely.buffer(seen[i], -BEYOND_PX) for i, is_real in enumerate(real) if is_real]
    )
    edges = shapely.boundary(own.covered)
    blind = shapely.difference(own.covered, shapely.buffer(own.ground, TOUCH_PX, join_style="mitre"))
    return Seam(
        shared=shapely.union_all([piece for piece, is_real in zip(common, real, strict=True) if is_real]),
        passed=shapely.intersection(shapely.union(edges, blind), beyond),
        outer=shapely.difference(edges, beyond),
        foreign=shapely.union_all(
            [shapely.intersection(claim, seen[i]) for i, claim in enumerate(claims) if real[i]]
        ),
    )


def sort_out(things: Things, own: View, seam: Seam) -> Sorted:
    """Tell the things that only their scene sees from those that another may see too.

    Args:
        things: Things of one scene and one question.
        own: The scene.
        seam: How it borders on others.
    """
    outlines = snapped_pixels(things.outlines, own.frame.transform)
    at_edge = _near(outlines, seam.outer, TOUCH_PX)
    cut = _near(outlines, seam.passed, TOUCH_PX)
    shared = _near(outlines, seam.shared, 0.0) | cut
    alone, others = np.flatnonzero(~shared), np.flatnonzero(shared)
    return Sorted(
        settled=things.take(alone),
        settled_at_edge=at_edge[alone],
        shared=Shared(
            things.take(others), cut[others], at_edge[others], _shares(outlines[others], seam.foreign)
        ),
        alone=alone,
        others=others,
    )


def _near(outlines: NDArray[np.object_], place: shapely.Geometry, distance: float) -> NDArray[np.bool_]:
    if shapely.is_empty(place):
        return np.zeros(len(outlines), dtype=bool)
    shapely.prepare(place)
    return np.asarray(shapely.dwithin(place, outlines, distance), dtype=bool)


def _shares(outlines: NDArray[np.object_], ground: shapely.Geometry) -> NDArray[np.float64]:
    """Share (n,) of each outline's area that lies on some ground."""
    if shapely.is_empty(ground) or not len(outlines):
        return np.zeros(len(outlines))
    inside = shapely.area(shapely.intersection(outlines, ground))
    return np.asarray(inside / np.maximum(shapely.area(outlines), 1e-12), dtype=np.float64)
