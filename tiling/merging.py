"""Fragments of one scene and one question become whole things. Knows no pixels of images and no models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.components import Pairs, components, groups
from tiling.fragment import Fragment
from tiling.matching import matching_pairs
from tiling.placing import to_pixels, to_world
from tiling.scene import Transform
from tiling.uniting import snapped, united, valid
from tiling.window import Window

INSIDE_PX = 0.5
"""A fragment lies inside a tile if it passes its edges by no more than this."""

MIN_CORE_SHARE = 0.5
"""A sighting that nothing confirms counts only if so much of it is its own tile's ground: the tile whose
ground it is saw more of it, and saw nothing."""


@dataclass(frozen=True, slots=True)
class Merged:
    """One thing, joined from the fragments that show it."""

    geometry: shapely.Polygon | shapely.MultiPolygon
    """Outline with holes, world coordinates of the scene's CRS."""
    region: shapely.Polygon
    """Hull of the members' boxes along the pixel axes of the work grid, world coordinates."""
    members: tuple[Fragment, ...]
    """The fragments that stand in it, sorted by tile id."""
    representative: Fragment
    """The largest of them."""


@dataclass(frozen=True, slots=True)
class _Sightings:
    """Fragments in a fixed order with their pixel geometry, (n,) each."""

    fragments: tuple[Fragment, ...]
    """The fragments, sorted."""
    geometry: NDArray[np.object_]
    """Outlines in work pixels, valid."""
    tiles: NDArray[np.float64]
    """(n, 4) x0, y0, x1, y1 of their tiles, work pixels, whole numbers."""
    truncated: NDArray[np.bool_]
    """Which are cut by their tile."""


def merge(
    fragments: Sequence[Fragment],
    *,
    transform: Transform,
    tau: float = 0.5,
    unanswered: Sequence[Window] = (),
) -> list[Merged]:
    """Join what neighbouring tiles saw of the same things.

    Two fragments of different tiles match if what they share is at least `tau` of the lesser of their
    parts in the strip both tiles see. Whole sightings that match are one thing: the one farthest from its
    tile's edge stands for it, and what does not match that one is a thing of its own. A cut sighting inside
    the tile of a whole one it matches is absorbed. A sighting that matches nothing and lies mostly on
    another tile's ground is dropped. What is left and matches is united. The order of the fragments does not
    matter, nor do repetitions.

    Args:
        fragments: All fragments of one scene and one question.
        transform: Pixel to world of the work grid they were seen on.
        tau: Share, 0 to 1.
        unanswered: Tiles that gave no answer or were not asked, work pixels: what only these could confirm
            is kept.

    Returns:
        The things, sorted from the top row of the grid down, then left to right.
    """
    if not fragments:
        return []
    seen = _sightings(fragments, transform)
    pairs = matching_pairs(seen.geometry, seen.tiles, tau=tau)
    absorbed = _absorbed(seen, pairs) | _unconfirmed(seen, pairs, unanswered)
    alive = ~(absorbed[pairs[0]] | absorbed[pairs[1]])
    labels = components(len(seen.fragments), (pairs[0][alive], pairs[1][alive]))
    matched = set(zip(*(index.tolist() for index in pairs), strict=True))
    kept = [part for group in groups(labels, ~absorbed) for part in _standing(seen, group, matched)]
    return _sorted([_thing(seen, group, transform) for group in kept], transform)


def _sightings(fragments: Sequence[Fragment], transform: Transform) -> _Sightings:
    ordered = _in_order(fragments)
    geometry = snapped(to_pixels([f.geometry for f in ordered], transform))
    tiles = shapely.bounds(to_pixels([f.tile for f in ordered], transform)).round()
    return _Sightings(ordered, geometry, tiles, np.array([f.truncated for f in ordered]))


def _in_order(fragments: Sequence[Fragment]) -> tuple[Fragment, ...]:
    """Sorted by tile and outline, the same sighting only once."""
    outlines = shapely.to_wkb([f.geometry for f in fragments])
    boxes = shapely.to_wkb([f.box for f in fragments])
    keys = [
        (f.tile_id, outline, -f.score, f.label, box)
        for f, outline, box in zip(fragments, outlines, boxes, strict=True)
    ]
    kept: dict[tuple[str, bytes], Fragment] = {}
    for index in sorted(range(len(keys)), key=keys.__getitem__):
        kept.setdefault(keys[index][:2], fragments[index])
    return tuple(kept.values())


def _absorbed(seen: _Sightings, pairs: Pairs) -> NDArray[np.bool_]:
    """Which cut sightings match a whole one and lie inside its tile."""
    bounds = shapely.bounds(seen.geometry)
    gone = np.zeros(len(seen.fragments), dtype=bool)
    for part, whole in (pairs, pairs[::-1]):
        inside = (bounds[part, :2] >= seen.tiles[whole, :2] - INSIDE_PX).all(axis=1)
        inside &= (bounds[part, 2:] <= seen.tiles[whole, 2:] + INSIDE_PX).all(axis=1)
        gone[part[inside & seen.truncated[part] & ~seen.truncated[whole]]] = True
    return gone


def _unconfirmed(seen: _Sightings, pairs: Pairs, unanswered: Sequence[Window]) -> NDArray[np.bool_]:
    """Which sightings match nothing and lie mostly on the ground of other tiles, all of which spoke."""
    lonely = np.ones(len(seen.fragments), dtype=bool)
    lonely[np.concatenate(pairs)] = False
    share = np.array([fragment.core_share for fragment in seen.fragments])
    lonely &= share < MIN_CORE_SHARE
    silent = [shapely.box(window.x0, window.y0, window.x1, window.y1) for window in unanswered]
    touching, _ = shapely.STRtree(silent).query(seen.geometry, predicate="intersects")
    lonely[touching] = False
    return lonely


def _standing(
    seen: _Sightings, group: NDArray[np.int64], matched: set[tuple[int, int]]
) -> list[NDArray[np.int64]]:
    """What of a component stands for a thing: all of it together, or whole sightings one by one.

    Of whole sightings the farthest from their tile's edge come first, and those that match one before them
    go. So a careless mask over two things that another tile tells apart does not swallow one of them.
    """
    if len(group) == 1 or seen.truncated[group].any():
        return [group]
    far = [-seen.fragments[i].edge_distance for i in group]
    kept: list[int] = []
    for i in group[np.argsort(far, kind="stable")].tolist():
        if not any((min(i, k), max(i, k)) in matched for k in kept):
            kept.append(i)
    return [np.array([i]) for i in kept]


def _thing(seen: _Sightings, group: NDArray[np.int64], transform: Transform) -> Merged:
    members = tuple(seen.fragments[i] for i in group)
    region = _region(members, transform)
    if len(group) == 1:
        return Merged(members[0].geometry, region, members, members[0])
    joined = united(seen.geometry[group])
    largest = int(np.argmax(shapely.area(seen.geometry[group])))
    return Merged(valid(to_world([joined], transform)[0]), region, members, members[largest])


def _region(members: Sequence[Fragment], transform: Transform) -> shapely.Polygon:
    if len(members) == 1:
        return members[0].box
    bounds = shapely.total_bounds(to_pixels([m.box for m in members], transform))
    region: shapely.Polygon = to_world([shapely.box(*bounds)], transform)[0]
    return region


def _sorted(things: list[Merged], transform: Transform) -> list[Merged]:
    bounds = shapely.bounds(to_pixels([thing.geometry for thing in things], transform))
    outlines = shapely.to_wkb([thing.geometry for thing in things])
    keys = [
        (y0, x0, thing.representative.tile_id, outline)
        for (x0, y0, _, _), thing, outline in zip(bounds, things, outlines, strict=True)
    ]
    return [things[i] for i in sorted(range(len(things)), key=keys.__getitem__)]
