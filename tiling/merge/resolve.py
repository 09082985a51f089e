"""The merge's rule: which fragments of one scene and one question are one object."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import SNAP_PX, Ragged, bounds_of, components, polygons_to_pixels
from tiling.merge.clusters import resolve_clusters
from tiling.merge.fragment_table import FragmentTable, in_order
from tiling.merge.matching import Matches, Outlines, concat_matches, matches_within, outlines_of
from tiling.merge.objects import MergedObjects, unite
from tiling.merge.tolerances import MIN_OWN_SHARE, TAU

NO_WINDOWS: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)
"""No tiles."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of fragments in the order of the ground, by which ties break; (n,) each."""

    truncated: NDArray[np.bool_]
    """Cut by its tile."""
    edge_distance: NDArray[np.float64]
    """Distance to its tile's inner edges, tile pixels."""
    needs_support: NDArray[np.bool_]
    """Mostly in the cores of other tiles, all of which answered: it counts only if a match supports it."""
    area: NDArray[np.float64]
    """Area, square working pixels."""
    own_area: NDArray[np.float64]
    """Area in its own tile's core, square working pixels."""
    matches: Matches
    """Pairs that match; all that any of the fragments is in."""

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, index: NDArray[np.int64]) -> "Evidence":
        """What is known of some, in a given order; pairs with others are left out."""
        place = np.full(len(self), -1)
        place[index] = np.arange(len(index))
        first, second = (place[each] for each in self.matches.pairs)
        kept = (first >= 0) & (second >= 0)
        found = replace(self.matches, first=first, second=second).take(kept)
        return Evidence(matches=found, **{name: getattr(self, name)[index] for name in _COLUMNS})

    @property
    def together(self) -> NDArray[np.int64]:
        """Label (n,) of the connected component by matches: what has a say in the fate of one another."""
        return components(len(self), self.matches.pairs)


_COLUMNS = tuple(field.name for field in fields(Evidence) if field.name != "matches")


@dataclass(frozen=True, slots=True)
class OpenFragments:
    """Fragments of a part of a scene whose fate other parts share, in the order of the ground."""

    objects: MergedObjects
    """Each as an object of its own."""
    windows: NDArray[np.int64]
    """(n, 4) x0, y0, x1, y1 of the tile each was seen in, working pixels."""
    border: NDArray[np.bool_]
    """(n,) which a tile of another part may see too."""
    evidence: Evidence
    """What is known of them within the part."""


def merge_fragments(
    fragments: FragmentTable,
    *,
    transform: Transform,
    tau: float = TAU,
    missing: NDArray[np.int64] = NO_WINDOWS,
    alone: tuple[int, int, int, int] | None = None,
) -> tuple[MergedObjects, OpenFragments]:
    """Join what neighbouring tiles saw of the same objects.

    Two fragments of different tiles match if what they share is at least `tau` of the lesser of their parts
    in the strip both tiles see. What follows from that is said at `resolve_fragments`. The order of the
    fragments does not matter, nor do repetitions.

    Args:
        fragments: Fragments of one scene and one question, of the whole scene or of one part of it.
        transform: Pixel to world of the working grid they were seen on.
        tau: Share, 0 to 1.
        missing: (k, 4) windows of tiles that gave no answer or were not asked, working pixels: what only
            these could support is kept.
        alone: x0, y0, x1, y1 of what no tile outside the part sees, working pixels; None where there is no
            tile outside.

    Returns:
        The objects, by the tile of their first fragment; and the fragments that are connected, by matches, to
        one that a tile outside may see too. Nothing is decided of these.
    """
    fragments, outlines = _on_ground(fragments, transform)
    evidence = _evidence_of(fragments, outlines, tau=tau, missing=missing)
    border = _reaching_out(outlines, alone)
    together = evidence.together if border.any() else np.arange(len(border))
    is_open = np.isin(together, together[border])
    closed, others = np.flatnonzero(~is_open), np.flatnonzero(is_open)
    area = outlines.extents.area
    merged = unite(
        fragments.take(closed).objects(area[closed]), resolve_fragments(evidence.take(closed)), transform
    )
    return merged, OpenFragments(
        objects=fragments.take(others).objects(area[others]),
        windows=outlines.tiles[others],
        border=border[others],
        evidence=evidence.take(others),
    )


def concat_evidence(parts: Sequence[Evidence], between: Sequence[Matches]) -> Evidence:
    """What is known of several parts behind one another; one part at least.

    Args:
        parts: What is known within each part, indexes from 0.
        between: Pairs of fragments of different parts, indexes over all.
    """
    counts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    inner = [
        replace(part.matches, first=part.matches.first + at, second=part.matches.second + at)
        for part, at in zip(parts, counts, strict=False)
    ]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return Evidence(matches=concat_matches([*inner, *between]), **columns)


def resolve_fragments(evidence: Evidence) -> Ragged:
    """Which fragments are one object together.

    A truncated fragment inside the tile of a complete one it matches is suppressed. What no neighbour
    supports is suppressed too: a complete fragment that needs support and matches none, and truncated ones
    that need support of which, all that match together, the tiles in whose cores they lie saw less than half.
    Of what is left, matching complete fragments are one object: the one farthest from its tile's edge
    represents it, and what does not match that one is an object of its own. All else that matches is united.

    Returns:
        The fragments of every object, ascending; objects by their first fragment.
    """
    suppressed = _inside_complete(evidence)
    suppressed |= _unsupported(evidence, suppressed)
    return resolve_clusters(
        suppressed, evidence.matches.pairs, truncated=evidence.truncated, priority=evidence.edge_distance
    )


def touching(outlines: Outlines, index: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of some outlines touch any of (k, 4) windows, working pixels."""
    if not len(windows) or not len(index):
        return index[:0]
    tree = shapely.STRtree(np.asarray(shapely.box(*windows.T.astype(np.float64)), dtype=object))
    hit, _ = tree.query(outlines.polygons.take(index).shapes(), predicate="intersects")
    return np.asarray(np.unique(index[hit]), dtype=np.int64)


def _on_ground(fragments: FragmentTable, transform: Transform) -> tuple[FragmentTable, Outlines]:
    """The fragments in the order of the ground, each once, and their outlines in working pixels."""
    pixels = polygons_to_pixels(fragments.outlines, transform)
    index = in_order(fragments, bounds_of(pixels))
    fragments = fragments.take(index)
    return fragments, outlines_of(pixels.take(index), fragments.tile_windows)


def _evidence_of(
    fragments: FragmentTable, outlines: Outlines, *, tau: float, missing: NDArray[np.int64]
) -> Evidence:
    foreign = fragments.core_share < MIN_OWN_SHARE
    foreign[touching(outlines, np.flatnonzero(foreign), missing)] = False
    area = outlines.extents.area
    return Evidence(
        truncated=fragments.truncated,
        edge_distance=fragments.edge_distance,
        needs_support=foreign,
        area=area,
        own_area=area * fragments.core_share,
        matches=matches_within(outlines, tau=tau),
    )


def _reaching_out(outlines: Outlines, alone: tuple[int, int, int, int] | None) -> NDArray[np.bool_]:
    """Which outlines (n,) a tile outside may see too."""
    if alone is None:
        return np.zeros(len(outlines), dtype=bool)
    x0, y0, x1, y1 = alone
    bounds = outlines.extents.bounds
    low, high = np.array([x0, y0]) + SNAP_PX, np.array([x1, y1]) - SNAP_PX
    return np.asarray(np.hstack((bounds[:, :2] <= low, bounds[:, 2:] >= high)).any(axis=1), dtype=bool)


def _inside_complete(evidence: Evidence) -> NDArray[np.bool_]:
    """Which truncated fragments match a complete one and lie inside its tile."""
    suppressed, truncated, found = np.zeros(len(evidence), dtype=bool), evidence.truncated, evidence.matches
    first, second = found.pairs
    suppressed[first[found.first_inside & truncated[first] & ~truncated[second]]] = True
    suppressed[second[found.second_inside & truncated[second] & ~truncated[first]]] = True
    return suppressed


def _unsupported(evidence: Evidence, suppressed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which fragments no neighbour supports, of those that are not suppressed."""
    first, second = evidence.matches.pairs
    lonely = evidence.needs_support & ~evidence.truncated
    lonely[np.concatenate((first, second))] = False
    alive = ~(suppressed[first] | suppressed[second])
    labels = components(len(evidence), (first[alive], second[alive]))
    own, most = np.bincount(labels, evidence.own_area), np.zeros(labels.max(initial=0) + 1)
    np.maximum.at(most, labels, evidence.area)
    doubted = own < MIN_OWN_SHARE * most
    doubted[labels[~(evidence.needs_support & evidence.truncated)]] = False
    return (lonely | doubted[labels]) & ~suppressed
