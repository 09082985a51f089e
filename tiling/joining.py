"""Things of several scenes become one thing each: the merge's rule one level up. Knows no tile.

What a scene's planned tiles see together is to it what a tile is to the merge. Things match by what they
share of the ground both scenes see, a cut one gives way to a whole one, what is left and matches is united.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.components import Pairs, components, groups
from tiling.frames import moved_between
from tiling.merging import MIN_CORE_SHARE, Merged
from tiling.placing import to_pixels, to_world
from tiling.polygons import usable
from tiling.scene_links import Beside, Links, Pool, ScenePart, find_links, pool_of
from tiling.uniting import snapped, united, valid


@dataclass(frozen=True, slots=True)
class Joined:
    """One thing of one or several scenes."""

    merged: Merged
    """The thing, world coordinates of its lead's CRS."""
    lead: int
    """The scene that comes first among those that stand in it."""
    scenes: tuple[int, ...]
    """All scenes that stand in it, ascending."""
    at_edge: bool
    """It touches an edge past which nothing is seen."""
    sightings: frozenset[tuple[int, int]]
    """All that hangs together with it, also what gave way: scene and number in the scene's part."""

    @property
    def linked(self) -> frozenset[int]:
        """All scenes with a say in it."""
        return frozenset(scene for scene, _ in self.sightings)


def join(parts: Mapping[int, ScenePart], beside: Beside, *, tau: float = 0.5) -> list[Joined]:
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
        The things, by lead and then in the order of its part.

    Raises:
        SceneError: A coordinate of one scene has no place in the CRS of one that overlaps it.
    """
    pool = pool_of(parts)
    if not pool.things:
        return []
    links = find_links(pool, beside, tau=tau)
    gone = _absorbed(pool, links) | _unconfirmed(pool, links, beside)
    first, second = links.pairs
    alive = ~(gone[first] | gone[second])
    labels = components(len(gone), (first[alive], second[alive]))
    matched = set(zip(first.tolist(), second.tolist(), strict=True))
    standing = [each for group in groups(labels, ~gone) for each in _standing(pool, group, matched)]
    together = _hanging_together(pool, links.pairs)
    return [_joined(pool, group, together) for group in sorted(standing, key=lambda group: int(group[0]))]


def _absorbed(pool: Pool, links: Links) -> NDArray[np.bool_]:
    """Which cut things match a whole one and lie on the ground its scene sees."""
    cut = pool.cut
    gone = np.zeros(len(cut), dtype=bool)
    first, second = links.pairs
    gone[first[links.first_inside & cut[first] & ~cut[second]]] = True
    gone[second[links.second_inside & cut[second] & ~cut[first]]] = True
    return gone


def _unconfirmed(pool: Pool, links: Links, beside: Beside) -> NDArray[np.bool_]:
    """Which things match nothing and lie mostly on ground of scenes that spoke there, and before."""
    lonely = np.array([thing.foreign_share > 1 - MIN_CORE_SHARE for thing in pool.things])
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


def _standing(pool: Pool, group: NDArray[np.int64], matched: set[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """What of a component stands for a thing: all of it together, or whole things of the first scene."""
    if len(group) == 1 or pool.cut[group].any():
        return [group]
    kept: list[int] = []
    for number in group.tolist():
        if not any((before, number) in matched for before in kept):
            kept.append(number)
    return [np.array([number]) for number in kept]


def _hanging_together(pool: Pool, pairs: Pairs) -> list[frozenset[tuple[int, int]]]:
    """Per thing, all sightings of the component it hangs in."""
    labels = components(len(pool.things), pairs).tolist()
    found: dict[int, set[tuple[int, int]]] = {}
    for label, scene, number in zip(labels, pool.scene.tolist(), pool.numbers, strict=True):
        found.setdefault(label, set()).add((scene, number))
    frozen = {label: frozenset(each) for label, each in found.items()}
    return [frozen[label] for label in labels]


def _joined(pool: Pool, group: NDArray[np.int64], together: Sequence[frozenset[tuple[int, int]]]) -> Joined:
    things = [pool.things[number] for number in group.tolist()]
    lead = int(pool.scene[group[0]])
    return Joined(
        merged=things[0].merged if len(things) == 1 else _united(pool, group, lead),
        lead=lead,
        scenes=tuple(sorted(set(pool.scene[group].tolist()))),
        at_edge=any(thing.at_edge for thing in things),
        sightings=together[int(group[0])],
    )


def _united(pool: Pool, group: NDArray[np.int64], lead: int) -> Merged:
    """One thing of all, on the pixel grid of its lead."""
    frame = pool.parts[lead].view.frame
    by_scene = np.split(group, np.flatnonzero(np.diff(pool.scene[group])) + 1)
    outlines = snapped(np.concatenate([pool.seen_from(numbers, lead) for numbers in by_scene]))
    things = [pool.things[number].merged for number in group.tolist()]
    regions = [_regions(pool, numbers, lead) for numbers in by_scene]
    region = shapely.box(*shapely.total_bounds(np.concatenate(regions)))
    members = sorted((member for thing in things for member in thing.members), key=lambda each: each.tile_id)
    return Merged(
        geometry=valid(to_world([united(outlines)], frame.transform)[0]),
        region=to_world([region], frame.transform)[0],
        members=tuple(members),
        representative=things[int(np.argmax(shapely.area(outlines)))].representative,
    )


def _regions(pool: Pool, numbers: NDArray[np.int64], lead: int) -> NDArray[np.object_]:
    own = pool.parts[int(pool.scene[numbers[0]])].view.frame
    regions = [pool.things[number].merged.region for number in numbers.tolist()]
    return moved_between(to_pixels(regions, own.transform), own, pool.parts[lead].view.frame)
