"""Things of several scenes become one thing each: the merge's rule one level up. Knows no tile.

What a scene's planned tiles see together is to it what a tile is to the merge. Things match by what they
share of the ground both scenes see, a cut one gives way to a whole one, what is left and matches is united.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import Runs, components, moved_between, rings_of, runs_of, to_pixels, to_world, usable
from tiling.merge import MIN_OWN_SHARE, TAU, Things, corners, standing, unite
from tiling.overlap.cross_match import Beside, Links, Pool, ScenePart, find_links, pool_of


@dataclass(frozen=True, slots=True)
class Led:
    """Things of one or several scenes that the same scene comes first in, (n,) each."""

    lead: int
    """The scene that comes first."""
    things: Things
    """The things, world coordinates of the lead's CRS."""
    scenes: tuple[tuple[int, ...], ...]
    """All scenes that stand in each, ascending."""
    at_edge: NDArray[np.bool_]
    """Which touch an edge past which nothing is seen."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What things at seams come to, before outlines are united."""

    pool: Pool
    """All sightings: things as single scenes show them."""
    together: NDArray[np.int64]
    """Label (n,) of what each hangs together with, also of what gave way."""
    groups: Runs
    """Numbers of the sightings of every thing, ascending; things by their first."""

    def of(self, scenes: Collection[int]) -> "Joined":
        """The things that some scenes have a say in, those in which all they say gave way too."""
        said = self.together[np.isin(self.pool.scene, sorted(scenes))]
        labels = self.together[self.groups.values[self.groups.starts[:-1]]]
        return replace(self, groups=self.groups.take(np.flatnonzero(np.isin(labels, said))))

    def linked(self, touched: NDArray[np.bool_] | None = None) -> set[int]:
        """All scenes with a say in the things, or in those that hang together with touched sightings (n,)."""
        labels = self.together[self.groups.values]
        if touched is not None:
            labels = labels[np.isin(labels, self.together[touched])]
        return set(self.pool.scene[np.isin(self.together, labels)].tolist())

    def united(self) -> Iterator[Led]:
        """The things, lead by lead, that of the scene that comes first of all first."""
        leads = self.pool.scene[self.groups.values[self.groups.starts[:-1]]]
        ranks = np.array([self.pool.parts[lead].rank for lead in leads.tolist()], dtype=np.int64)
        for numbers in runs_of(ranks):
            yield self._led(int(leads[numbers[0]]), self.groups.take(numbers))

    def _led(self, lead: int, groups: Runs) -> Led:
        places = np.unique(groups.values)
        things = _seen_by(self.pool, places, lead)
        at_edge = np.logical_or.reduceat(self.pool.shared.at_edge[groups.values], groups.starts[:-1])
        members = Runs(np.searchsorted(places, groups.values), groups.starts)
        transform = self.pool.parts[lead].view.frame.transform
        scenes = (tuple(np.unique(self.pool.scene[group]).tolist()) for group in groups)
        return Led(lead, unite(things, members, transform), tuple(scenes), at_edge)


def join(parts: Mapping[int, ScenePart], beside: Beside, *, tau: float = TAU) -> Joined | None:
    """Join what overlapping scenes saw of the same things.

    Two things of overlapping scenes match if what they share is at least `tau` of the lesser of their parts
    on the ground both scenes see. A cut thing inside the ground of a whole one it matches is absorbed. Whole
    things that match are one: that of the scene that comes first stands. What is left and matches is united.
    A thing that nothing confirms and that lies mostly on ground a scene before it owns is dropped, unless
    that scene gave no answer there. The order of the parts does not matter.

    Args:
        parts: Per scene, what it brings; scenes without things at a seam may be left out.
        beside: The scenes that overlap a scene.
        tau: Share, 0 to 1.

    Returns:
        What stands; None where there is nothing at any seam.

    Raises:
        SceneError: A coordinate of one scene has no place in the CRS of one that overlaps it.
    """
    if not any(len(part.shared) for part in parts.values()):
        return None
    pool = pool_of(parts)
    links = find_links(pool, beside, tau=tau)
    gone = _absorbed(pool, links) | _unconfirmed(pool, links, beside)
    rank = np.zeros(len(gone))  # things stand in the order of their scenes already
    groups = standing(gone, links.pairs, cut=pool.shared.cut, far=rank)
    return Joined(pool, components(len(gone), links.pairs), groups)


def _absorbed(pool: Pool, links: Links) -> NDArray[np.bool_]:
    """Which cut things match a whole one and lie on the ground its scene sees."""
    cut = pool.shared.cut
    gone = np.zeros(len(cut), dtype=bool)
    first, second = links.pairs
    gone[first[links.first_inside & cut[first] & ~cut[second]]] = True
    gone[second[links.second_inside & cut[second] & ~cut[first]]] = True
    return gone


def _unconfirmed(pool: Pool, links: Links, beside: Beside) -> NDArray[np.bool_]:
    """Which things match nothing and lie mostly on ground of scenes that spoke there, and before."""
    lonely = pool.shared.foreign_share > 1 - MIN_OWN_SHARE
    lonely[np.concatenate(links.pairs)] = False
    for scene in np.unique(pool.scene[lonely]).tolist():
        numbers = np.flatnonzero(lonely & (pool.scene == scene))
        silent = shapely.union_all(list(_silent_before(pool, scene, beside)))
        lonely[numbers[shapely.intersects(pool.outlines[numbers], silent)]] = False
    return lonely


def _silent_before(pool: Pool, scene: int, beside: Beside) -> Iterator[shapely.Geometry]:
    """Tiles without an answer of the scenes that come before one, in its work pixels."""
    own = pool.parts[scene]
    for other in sorted(set(beside(scene)) & pool.parts.keys()):
        part = pool.parts[other]
        if part.rank < own.rank and not shapely.is_empty(part.silent):
            yield usable(moved_between([part.silent], part.view.frame, own.view.frame)[0])


def _seen_by(pool: Pool, numbers: NDArray[np.int64], lead: int) -> Things:
    """Sightings of several scenes in the world of one; of those of others, their size in its pixels too."""
    frame = pool.parts[lead].view.frame
    things = pool.shared.things.take(numbers)
    geometry, region, largest = things.outlines.shapes(), things.region.copy(), things.largest.copy()
    largest[:] = shapely.area(pool.outlines[numbers])
    for own in runs_of(pool.scene[numbers]):
        scene = int(pool.scene[numbers[own[0]]])
        if scene == lead:
            continue
        outlines = pool.seen_from(numbers[own], lead)
        origin = pool.parts[scene].view.frame
        boxes = to_pixels(np.asarray(shapely.polygons(region[own]), dtype=object), origin.transform)
        geometry[own] = to_world(outlines, frame.transform)
        region[own] = corners(shapely.bounds(moved_between(boxes, origin, frame)), frame.transform)
        largest[own] = shapely.area(outlines)
    return replace(things, outlines=rings_of(geometry), region=region, largest=largest)
