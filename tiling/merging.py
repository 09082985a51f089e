"""Fragments of one scene and one question become whole things. Knows no pixels of images and no models."""

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.deciding import MIN_OWN_SHARE, Evidence, decide
from tiling.matching import Outlines, matches_within, outlines_of
from tiling.placing import rings_to_pixels
from tiling.rings import bounds_of
from tiling.scene import Transform
from tiling.sightings import Sightings, in_order
from tiling.things import Things, things_of, unite

TAU = 0.5
"""Share of the lesser part in the strip both tiles see from which two outlines show the same thing."""

NO_WINDOWS: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)
"""No tiles."""


def merge(
    seen: Sightings,
    *,
    transform: Transform,
    tau: float = TAU,
    unanswered: NDArray[np.int64] = NO_WINDOWS,
) -> Things:
    """Join what neighbouring tiles saw of the same things.

    Two sightings of different tiles match if what they share is at least `tau` of the lesser of their
    parts in the strip both tiles see. What follows from that, `tiling/deciding.py` says. The order of the
    sightings does not matter, nor do repetitions.

    Args:
        seen: All sightings of one scene and one question.
        transform: Pixel to world of the work grid they were seen on.
        tau: Share, 0 to 1.
        unanswered: (k, 4) windows of tiles that gave no answer or were not asked, work pixels: what only
            these could confirm is kept.

    Returns:
        The things, by the tile of their first sighting.
    """
    seen, outlines = on_ground(seen, transform)
    evidence = evidence_of(seen, outlines, tau=tau, unanswered=unanswered)
    return unite(things_of(seen, outlines.extents.area), decide(evidence), transform)


def on_ground(seen: Sightings, transform: Transform) -> tuple[Sightings, Outlines]:
    """The sightings in the order of the ground, each once, and their outlines in work pixels."""
    seen = seen.take(in_order(seen, bounds_of(rings_to_pixels(seen.outlines, transform))))
    return seen, outlines_of(rings_to_pixels(seen.outlines, transform), seen.seen_in)


def evidence_of(
    seen: Sightings, outlines: Outlines, *, tau: float, unanswered: NDArray[np.int64]
) -> Evidence:
    """What the merge's rule needs to know of sightings.

    Args:
        seen: The sightings, in the order of the ground.
        outlines: Their outlines.
        tau: Share, 0 to 1.
        unanswered: (k, 4) windows of tiles that gave no answer or were not asked, work pixels.
    """
    foreign = seen.core_share < MIN_OWN_SHARE
    foreign[touching(outlines, np.flatnonzero(foreign), unanswered)] = False
    area = outlines.extents.area
    return Evidence(
        truncated=seen.truncated,
        edge_distance=seen.edge_distance,
        deniable=foreign,
        area=area,
        own_area=area * seen.core_share,
        matches=matches_within(outlines, tau=tau),
    )


def touching(outlines: Outlines, index: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of some outlines touch any of (k, 4) windows, work pixels."""
    if not len(windows) or not len(index):
        return index[:0]
    tree = shapely.STRtree(np.asarray(shapely.box(*windows.T.astype(np.float64)), dtype=object))
    hit, _ = tree.query(outlines.rings.take(index).shapes(), predicate="intersects")
    return np.asarray(np.unique(index[hit]), dtype=np.int64)
