"""The merge's rule: which fragments of one scene and one question are one object."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import Pairs, Runs, bounds_of, components, rings_to_pixels, runs_of
from tiling.merge.fragment_table import Sightings, in_order
from tiling.merge.matching import Matches, Outlines, all_matches, matches_within, outlines_of
from tiling.merge.objects import Things, things_of, unite

MIN_OWN_SHARE = 0.5
"""A sighting that nothing confirms counts only if so much of it is its own tile's ground: the tile whose
ground it is saw more of it, and saw nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of sightings in the order of the ground, by which ties break; (n,) each."""

    truncated: NDArray[np.bool_]
    """Cut by its tile."""
    edge_distance: NDArray[np.float64]
    """Distance to its tile's inner edges, tile pixels."""
    deniable: NDArray[np.bool_]
    """Mostly on the ground of other tiles, all of which spoke: it counts only if something confirms it."""
    area: NDArray[np.float64]
    """Area, square work pixels."""
    own_area: NDArray[np.float64]
    """Area on the ground that is its own tile's, square work pixels."""
    matches: Matches
    """Pairs that match; all that any of the sightings is in."""

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
        """Label (n,) of what hangs together by matches: what one has a say in the fate of another."""
        return components(len(self), self.matches.pairs)


_COLUMNS = tuple(field.name for field in fields(Evidence) if field.name != "matches")


def all_evidence(parts: Sequence[Evidence], between: Sequence[Matches]) -> Evidence:
    """What is known of several parts behind one another; one part at least.

    Args:
        parts: What is known within each part, indexes from 0.
        between: Pairs of sightings of different parts, indexes over all.
    """
    counts = [0, *np.cumsum([len(part) for part in parts]).tolist()]
    inner = [
        replace(part.matches, first=part.matches.first + at, second=part.matches.second + at)
        for part, at in zip(parts, counts, strict=False)
    ]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return Evidence(matches=all_matches([*inner, *between]), **columns)


def decide(evidence: Evidence) -> Runs:
    """Which sightings stand for a thing together.

    A cut sighting inside the tile of a whole one it matches is absorbed. What nothing confirms goes: a
    deniable whole sighting that matches none, and deniable cut ones of which, all that match together, the
    tiles whose ground they lie on saw less than half. Of what is left, matching whole sightings are one
    thing: the one farthest from its tile's edge stands for it, and what does not match that one is a thing of
    its own. All else that matches is united.

    Returns:
        The sightings of every thing, ascending; things by their first sighting.
    """
    gone = _absorbed(evidence)
    gone |= _denied(evidence, gone)
    return standing(gone, evidence.matches.pairs, cut=evidence.truncated, far=evidence.edge_distance)


def standing(
    gone: NDArray[np.bool_], pairs: Pairs, *, cut: NDArray[np.bool_], far: NDArray[np.float64]
) -> Runs:
    """Which sightings stand for a thing together, of those that did not give way.

    Args:
        gone: (n,) which gave way.
        pairs: Sightings that match.
        cut: (n,) which are cut: with all they match, they are united.
        far: (n,) of whole sightings that match the one with the most of this stands.

    Returns:
        The sightings of every thing, ascending; things by their first sighting.
    """
    first, second = pairs
    alive = ~(gone[first] | gone[second])
    pairs = first[alive], second[alive]
    labels, left = components(len(gone), pairs), np.flatnonzero(~gone)
    groups = runs_of(labels[left])
    groups = Runs(left[groups.values], groups.starts)
    if not len(groups):
        return groups
    begins = groups.starts[:-1]
    together = np.logical_or.reduceat(cut[groups.values], begins) | (groups.lengths == 1)
    members = groups.take(np.flatnonzero(~together)).values
    united = groups.take(np.flatnonzero(together))
    alone = _best(members[np.lexsort((members, -far[members], labels[members]))], pairs, len(gone))
    values = np.concatenate((united.values, alone))
    starts = np.concatenate((united.starts, united.starts[-1] + 1 + np.arange(len(alone))))
    order = np.argsort(values[starts[:-1]], kind="stable")
    return Runs(values, starts).take(order)


def _absorbed(evidence: Evidence) -> NDArray[np.bool_]:
    gone, cut, found = np.zeros(len(evidence), dtype=bool), evidence.truncated, evidence.matches
    first, second = found.pairs
    gone[first[found.first_inside & cut[first] & ~cut[second]]] = True
    gone[second[found.second_inside & cut[second] & ~cut[first]]] = True
    return gone


def _denied(evidence: Evidence, gone: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which sightings nothing confirms, of those that did not give way."""
    first, second = evidence.matches.pairs
    lonely = evidence.deniable & ~evidence.truncated
    lonely[np.concatenate((first, second))] = False
    alive = ~(gone[first] | gone[second])
    labels = components(len(evidence), (first[alive], second[alive]))
    own, most = np.bincount(labels, evidence.own_area), np.zeros(labels.max(initial=0) + 1)
    np.maximum.at(most, labels, evidence.area)
    doubted = own < MIN_OWN_SHARE * most
    doubted[labels[~(evidence.deniable & evidence.truncated)]] = False
    return (lonely | doubted[labels]) & ~gone


def _best(order: NDArray[np.int64], pairs: Pairs, count: int) -> NDArray[np.int64]:
    """Of whole sightings, best first, those that match none before them that stands.

    So a careless mask over two things that another tile tells apart does not swallow one of them.
    """
    place = np.full(count, -1)
    place[order] = np.arange(len(order))
    one, other = (place[index] for index in pairs)
    inside = (one >= 0) & (other >= 0)
    before, after = np.minimum(one, other)[inside], np.maximum(one, other)[inside]
    stands = [True] * len(order)
    turn = np.lexsort((after, before))
    for better, worse in zip(before[turn].tolist(), after[turn].tolist(), strict=True):
        if stands[better]:
            stands[worse] = False
    return np.asarray(order[np.array(stands, dtype=bool)], dtype=np.int64)


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
