"""The rule of the merge: which fragments of one scene and one question are one object."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import SNAP_PX, Ragged, bounds_of, components, polygons_to_pixels
from tiling.merge.fragment_table import FragmentTable, in_order
from tiling.merge.matching import (
    Matches,
    Outlines,
    concat_matches,
    matches_within,
    outlines_of,
    resolve_clusters,
)
from tiling.merge.objects import MergedObjects, unite
from tiling.merge.tolerances import MIN_OWN_SHARE, TAU

NO_WINDOWS: NDArray[np.int64] = np.empty((0, 4), dtype=np.int64)
"""Windows of no tiles."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the rule needs to know of fragments, (n,) each, in the order of position, which breaks ties."""

    truncated: NDArray[np.bool_]
    """Truncated by its tile."""
    edge_distance: NDArray[np.float64]
    """Distance to its tile's inner edges, tile pixels."""
    needs_support: NDArray[np.bool_]
    """Mostly in the cores of other tiles, which all answered: it counts only if a match supports it."""
    area: NDArray[np.float64]
    """Area, square working pixels."""
    own_area: NDArray[np.float64]
    """Area in its own tile's core, square working pixels."""
    matches: Matches
    """All pairs of these fragments that match."""

    def __len__(self) -> int:
        return len(self.truncated)

    def take(self, index: NDArray[np.int64]) -> "Evidence":
        """The evidence of some fragments, in a given order; pairs with others are left out."""
        place = np.full(len(self), -1)
        place[index] = np.arange(len(index))
        first, second = (place[each] for each in self.matches.pairs)
        kept = (first >= 0) & (second >= 0)
        found = replace(self.matches, first=first, second=second).take(kept)
        return Evidence(matches=found, **{name: getattr(self, name)[index] for name in _COLUMNS})

    @property
    def together(self) -> NDArray[np.int64]:
        """Label (n,) of the connected component by matches, within which fragments may affect one another."""
        return components(len(self), self.matches.pairs)


_COLUMNS = tuple(field.name for field in fields(Evidence) if field.name != "matches")


@dataclass(frozen=True, slots=True)
class OpenFragments:
    """Fragments of a part of a scene that other parts may affect, in the order of position."""

    objects: MergedObjects
    """Each as an object of its own."""
    windows: NDArray[np.int64]
    """(n, 4) x0, y0, x1, y1 of the tile of each, working pixels."""
    border: NDArray[np.bool_]
    """(n,) true for fragments that a tile of another part may see too."""
    evidence: Evidence
    """The evidence about them from within the part."""


def merge_fragments(
    fragments: FragmentTable,
    *,
    transform: Transform,
    tau: float = TAU,
    missing: NDArray[np.int64] = NO_WINDOWS,
    alone: tuple[int, int, int, int] | None = None,
) -> tuple[MergedObjects, OpenFragments]:
    """Merge fragments of neighbouring tiles into objects.

    Two fragments of different tiles match if they share at least `tau` of the smaller of their areas in the
    strip where the tiles overlap; `resolve_fragments` says how matches are resolved. Neither the order of the
    fragments nor repetitions matter.

    Args:
        fragments: Fragments of one scene and one question, of the whole scene or of one part of it.
        transform: Pixel to world of the working grid.
        tau: Share, 0 to 1.
        missing: (k, 4) windows of tiles that failed or were not asked, working pixels: fragments that these
            tiles could have supported need no support.
        alone: x0, y0, x1, y1 of the region that no tile outside the part sees, working pixels; None if there
            is no tile outside.

    Returns:
        The objects, by the tile of their first fragment; and the open fragments, which are connected by
        matches to one that a tile outside may see too and are not resolved yet.
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
    """The evidence of several parts, at least one, one part after another.

    Args:
        parts: The evidence within each part, indexes from 0.
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
    """Group fragments into objects.

    1. A truncated fragment is suppressed if it matches a complete one and lies inside that one's tile.
    2. A fragment that needs support is suppressed if no neighbour supports it. A complete fragment is
       unsupported if it matches nothing. Truncated fragments that are connected by matches are tested
       together: if all of them need support, they are unsupported if their areas in the cores of their own
       tiles add up to less than half the area of the largest.
    3. Of the remaining complete fragments that match, the one farthest from its tile's edge represents the
       object and those that match it are dropped. One that does not match it is an object of its own.
    4. All remaining fragments that match are united.

    Returns:
        The fragments of every object, ascending; objects by their first fragment.
    """
    suppressed = _inside_complete(evidence)
    suppressed |= _unsupported(evidence, suppressed)
    return resolve_clusters(
        suppressed, evidence.matches.pairs, truncated=evidence.truncated, priority=evidence.edge_distance
    )


def touching(outlines: Outlines, index: NDArray[np.int64], windows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The indexes, of some outlines, of those that touch any of (k, 4) windows, working pixels."""
    if not len(windows) or not len(index):
        return index[:0]
    tree = shapely.STRtree(np.asarray(shapely.box(*windows.T.astype(np.float64)), dtype=object))
    hit, _ = tree.query(outlines.polygons.take(index).shapes(), predicate="intersects")
    return np.asarray(np.unique(index[hit]), dtype=np.int64)


def _on_ground(fragments: FragmentTable, transform: Transform) -> tuple[FragmentTable, Outlines]:
    """The fragments in the order of position, each once, and their outlines in working pixels."""
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
    """Which outlines (n,) a tile outside the part may see too."""
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
    """Which fragments that are not suppressed need support and have none."""
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
