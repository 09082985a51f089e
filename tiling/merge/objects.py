"""Things of one scene and one question as columns, and how several become one. Knows no rule by which."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import (
    Rings,
    Runs,
    all_rings,
    end_to_end,
    inverse,
    moved,
    picked,
    rings_of,
    snapped_pixels,
    to_world,
    united,
    valid,
)
from tiling.merge.fragment_table import Sightings

RUN = 512
"""More members than this are united run by run, and then these: memory, and the work of one task, stay small.
The runs follow from the members alone, so it does not matter who unites them."""

_RAGGED = ("outlines", "tile_ids", "tile_starts")


@dataclass(frozen=True, slots=True)
class Things:
    """Things, each of one or more sightings, (n,) each."""

    outlines: Rings
    """Polygons or multipolygons, world coordinates of the scene's CRS."""
    region: NDArray[np.float64]
    """(n, 5, 2) hulls of the sightings' boxes along the pixel axes of the work grid: corners, the first one
    again at the end, world coordinates."""
    score: NDArray[np.float64]
    """The segmenter's estimate of the mask's quality, of the largest sighting, 0 to 1."""
    label: NDArray[np.object_]
    """What the reasoner called the largest sighting."""
    seen_best: NDArray[np.object_]
    """Id of the tile of the largest sighting."""
    largest: NDArray[np.float64]
    """Area of the largest sighting, square work pixels."""
    n_fragments: NDArray[np.int64]
    """Sightings that stand in it."""
    touches_scene_edge: NDArray[np.bool_]
    """Some sighting touches an edge of the scene."""
    valid_fraction: NDArray[np.float64]
    """Least share of pixels with data among its tiles, 0 to 1."""
    tile_ids: NDArray[np.object_]
    """(m,) ids of the tiles of the sightings, thing by thing, sorted, each once a thing."""
    tile_starts: NDArray[np.int64]
    """(n + 1,) where the tile ids of each thing begin, and where the last ones end."""

    def __len__(self) -> int:
        return len(self.region)

    def take(self, index: NDArray[np.int64]) -> "Things":
        """Some of them, in a given order."""
        places, starts = picked(self.tile_starts, index)
        plain = {name: getattr(self, name).take(index, axis=0) for name in _COLUMNS}
        outlines = self.outlines.take(index)
        return Things(outlines=outlines, tile_ids=self.tile_ids[places], tile_starts=starts, **plain)


_COLUMNS = tuple(field.name for field in fields(Things) if field.name not in _RAGGED)


def things_of(seen: Sightings, area: NDArray[np.float64]) -> Things:
    """Every sighting as a thing of its own.

    Args:
        seen: The sightings.
        area: (n,) their areas, square work pixels.
    """
    names = seen.tile_ids[seen.tile]
    return Things(
        outlines=seen.outlines,
        region=seen.box,
        score=seen.score,
        label=seen.label,
        seen_best=names,
        largest=area,
        n_fragments=np.ones(len(seen), dtype=np.int64),
        touches_scene_edge=seen.touches_scene_edge,
        valid_fraction=seen.valid_fraction,
        tile_ids=names,
        tile_starts=np.arange(len(seen) + 1),
    )


def all_things(parts: Sequence[Things]) -> Things:
    """Things of several parts behind one another; one part at least."""
    if len(parts) == 1:
        return parts[0]
    plain = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return Things(
        outlines=all_rings([part.outlines for part in parts]),
        tile_ids=np.concatenate([part.tile_ids for part in parts]),
        tile_starts=end_to_end([part.tile_starts for part in parts]),
        **plain,
    )


def unite(things: Things, groups: Runs, transform: Transform) -> Things:
    """One thing of each group.

    Args:
        things: What is grouped.
        groups: Indexes of the members of each group, in the order by which ties break.
        transform: Pixel to world of the work grid.
    """
    if (groups.lengths > RUN).any():
        pieces, groups = in_runs(groups)
        return unite(unite(things, pieces, transform), groups, transform)
    first = things.take(groups.values[groups.starts[:-1]])
    several = np.flatnonzero(groups.lengths > 1)
    if not len(several):
        return first
    return _with(first, several, _united(things, groups.take(several), transform))


def in_runs(groups: Runs) -> tuple[Runs, Runs]:
    """Groups cut into pieces of at most `RUN` members.

    Returns:
        The pieces, group by group, and the numbers of the pieces of every group.
    """
    counts = -(-groups.lengths // RUN)
    regrouped = np.concatenate(([0], np.cumsum(counts)))
    number = np.arange(regrouped[-1]) - np.repeat(regrouped[:-1], counts)
    begins = np.repeat(groups.starts[:-1], counts) + RUN * number
    pieces = Runs(groups.values, np.append(begins, groups.starts[-1]))
    return pieces, Runs(np.arange(regrouped[-1]), regrouped)


def _with(things: Things, places: NDArray[np.int64], others: Things) -> Things:
    """The things, those at some places replaced by others."""
    index = np.arange(len(things))
    index[places] = len(things) + np.arange(len(others))
    return all_things([things, others]).take(index)


def _united(things: Things, groups: Runs, transform: Transform) -> Things:
    members, begins = groups.values, groups.starts[:-1]
    outlines = snapped_pixels(things.outlines.take(members), transform)
    spans = list(zip(groups.starts[:-1].tolist(), groups.starts[1:].tolist(), strict=True))
    geometry = np.empty(len(groups), dtype=object)
    geometry[:] = [valid(united(outlines[start:end])) for start, end in spans]
    best = members[[start + int(np.argmax(things.largest[members[start:end]])) for start, end in spans]]
    names = [np.unique(things.take(members[start:end]).tile_ids) for start, end in spans]
    return Things(
        outlines=rings_of(to_world(geometry, transform)),
        region=_hulls(things.region[members], begins, transform),
        score=things.score[best],
        label=things.label[best],
        seen_best=things.seen_best[best],
        largest=things.largest[best],
        n_fragments=np.add.reduceat(things.n_fragments[members], begins),
        touches_scene_edge=np.logical_or.reduceat(things.touches_scene_edge[members], begins),
        valid_fraction=np.minimum.reduceat(things.valid_fraction[members], begins),
        tile_ids=np.concatenate(names),
        tile_starts=np.concatenate(([0], np.cumsum([len(each) for each in names]))),
    )


def _hulls(
    regions: NDArray[np.float64], begins: NDArray[np.int64], transform: Transform
) -> NDArray[np.float64]:
    pixels = moved(regions.reshape(-1, 2), inverse(transform)).reshape(regions.shape)
    low = np.minimum.reduceat(pixels.min(axis=1), begins)
    high = np.maximum.reduceat(pixels.max(axis=1), begins)
    return corners(np.hstack((low, high)), transform)


def corners(bounds: NDArray[np.float64], transform: Transform) -> NDArray[np.float64]:
    """(n, 5, 2) corners of boxes (n, 4) in work pixels, the first one again at the end, world coordinates."""
    x, y = bounds[:, [2, 2, 0, 0, 2]], bounds[:, [1, 3, 3, 1, 1]]
    return moved(np.stack((x, y), axis=-1).reshape(-1, 2), transform).reshape(-1, 5, 2)
