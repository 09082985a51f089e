"""All fragments of one scene and one question as columns. Knows no rule by which they are joined."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import Rings, bounds_of, over_shapes, ring_areas, rings_of, to_pixels
from tiling.merge.fragments import Fragment

_APART = ("outlines", "windows", "tile_ids")


@dataclass(frozen=True, slots=True)
class Sightings:
    """What tiles of one scene show, (n,) each, as the fields of a fragment."""

    outlines: Rings
    """Valid polygons, world coordinates."""
    box: NDArray[np.float64]
    """(n, 5, 2) the reasoner's boxes: corners, the first one again at the end, world coordinates."""
    score: NDArray[np.float64]
    """The segmenter's estimate of the mask's quality, 0 to 1."""
    truncated: NDArray[np.bool_]
    """Cut by the tile."""
    touches_scene_edge: NDArray[np.bool_]
    """At an edge of the scene."""
    edge_distance: NDArray[np.float64]
    """Distance to the tile's inner edges, tile pixels."""
    core_share: NDArray[np.float64]
    """Share of the area in the tile's core, 0 to 1."""
    label: NDArray[np.object_]
    """What the reasoner called it."""
    valid_fraction: NDArray[np.float64]
    """Share of the tile's pixels that hold data, 0 to 1."""
    tile: NDArray[np.int64]
    """Which of the tiles each was seen in."""
    windows: NDArray[np.int64]
    """(t, 4) x0, y0, x1, y1 of the tiles, work pixels."""
    tile_ids: NDArray[np.object_]
    """(t,) their ids."""

    def __len__(self) -> int:
        return len(self.tile)

    def take(self, index: NDArray[np.int64]) -> "Sightings":
        """Some of them, in a given order."""
        columns = {name: getattr(self, name).take(index, axis=0) for name in _COLUMNS}
        return Sightings(self.outlines.take(index), windows=self.windows, tile_ids=self.tile_ids, **columns)

    @property
    def seen_in(self) -> NDArray[np.int64]:
        """(n, 4) x0, y0, x1, y1 of the tile of each, work pixels."""
        return self.windows.take(self.tile, axis=0)


_COLUMNS = tuple(field.name for field in fields(Sightings) if field.name not in _APART)


def sightings_of(fragments: Sequence[Fragment], transform: Transform) -> Sightings:
    """Fragments as columns, in their order.

    Args:
        fragments: Of one scene and one question.
        transform: Pixel to world of the work grid they were seen on.
    """
    tiles = {fragment.tile_id: fragment.tile for fragment in fragments}
    numbers = {name: number for number, name in enumerate(tiles)}
    bounds = shapely.bounds(to_pixels(list(tiles.values()), transform)).reshape(-1, 4)
    return Sightings(
        outlines=rings_of(_objects([each.geometry for each in fragments])),
        box=shapely.get_coordinates([each.box for each in fragments]).reshape(-1, 5, 2),
        score=np.array([each.score for each in fragments], dtype=np.float64),
        truncated=np.array([each.truncated for each in fragments], dtype=bool),
        touches_scene_edge=np.array([each.touches_scene_edge for each in fragments], dtype=bool),
        edge_distance=np.array([each.edge_distance for each in fragments], dtype=np.float64),
        core_share=np.array([each.core_share for each in fragments], dtype=np.float64),
        label=_objects([each.label for each in fragments]),
        valid_fraction=np.array([each.valid_fraction for each in fragments], dtype=np.float64),
        tile=np.array([numbers[each.tile_id] for each in fragments], dtype=np.int64),
        windows=bounds.round().astype(np.int64),
        tile_ids=_objects(list(tiles)),
    )


def _objects(values: Sequence[object]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


@dataclass(frozen=True, slots=True)
class Extents:
    """How far outlines reach, work pixels; (n,) each."""

    bounds: NDArray[np.float64]
    """(n, 4) least x, least y, greatest x, greatest y."""
    slants: NDArray[np.float64]
    """(n, 4) least x + y, least x - y, greatest x + y, greatest x - y."""
    area: NDArray[np.float64]
    """Area, square pixels."""

    def take(self, index: NDArray[np.int64]) -> "Extents":
        """Some of them, in a given order."""
        return Extents(
            self.bounds.take(index, axis=0), self.slants.take(index, axis=0), self.area.take(index)
        )


def extents_of(outlines: Rings) -> Extents:
    """How far outlines reach.

    Args:
        outlines: Polygons or multipolygons, work pixels.
    """
    x, y = outlines.points.T
    slanting = outlines.moved(np.column_stack((x + y, x - y)))
    return Extents(bounds_of(outlines), bounds_of(slanting), over_shapes(outlines, ring_areas(outlines)))


def in_order(seen: Sightings, bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Sightings by tile and place, the same outline of the same tile only once: its best.

    The order is that of the ground, whatever the order of the input: ties of the merge break by it.

    Args:
        seen: The sightings.
        bounds: (n, 4) bounding box of each, work pixels.

    Returns:
        Indexes (m,) of the sightings that stay.
    """
    tiles = seen.seen_in
    order = np.lexsort((bounds[:, 1], bounds[:, 0], tiles[:, 0], tiles[:, 1]))
    places = np.column_stack((tiles, bounds[:, :2]))[order]
    same = (places[1:] == places[:-1]).all(axis=1)
    if not same.any():
        return order
    runs = np.split(order, np.flatnonzero(~same) + 1)
    return np.array([index for run in runs for index in _distinct(seen, run)], dtype=np.int64)


def _distinct(seen: Sightings, run: NDArray[np.int64]) -> list[int]:
    """Of sightings of one tile and the same corner, one per outline, by outline."""
    if len(run) == 1:
        return [int(run[0])]
    outlines = shapely.to_wkb(seen.outlines.take(run).shapes())
    keys = [
        (outline, -float(seen.score[index]), str(seen.label[index]), seen.box[index].tolist(), int(index))
        for index, outline in zip(run, outlines, strict=True)
    ]
    kept: dict[bytes, int] = {}
    for outline, *_, index in sorted(keys):
        kept.setdefault(outline, index)
    return list(kept.values())
