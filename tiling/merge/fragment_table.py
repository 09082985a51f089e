"""Fragments of one scene and one question as columns, and the extents of their outlines."""

from dataclasses import dataclass, fields

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.geo import PolygonArray, bounds_of, ring_areas, shape_sums
from tiling.merge.objects import MergedObjects

_RAGGED = ("outlines", "windows", "tile_ids", "thinking")


@dataclass(frozen=True, slots=True)
class FragmentTable:
    """Fragments of one scene and one question, (n,) each: their fields, and their tiles."""

    outlines: PolygonArray
    """Valid polygons, world coordinates."""
    box: NDArray[np.float64]
    """(n, 5, 2) corners of the reasoner's boxes, of which the last is the first again, world coordinates."""
    score: NDArray[np.float64]
    """The segmenter's estimate of the mask's quality, 0 to 1."""
    truncated: NDArray[np.bool_]
    """It touches an inner edge of its tile."""
    touches_scene_edge: NDArray[np.bool_]
    """It touches an edge of the scene."""
    edge_distance: NDArray[np.float64]
    """Distance to the tile's inner edges, tile pixels."""
    core_share: NDArray[np.float64]
    """Share of the area in the tile's core, 0 to 1."""
    label: NDArray[np.object_]
    """What the reasoner called it."""
    valid_fraction: NDArray[np.float64]
    """Share of the tile's pixels that hold data, 0 to 1."""
    tile: NDArray[np.int64]
    """Index of the tile in which each was detected."""
    windows: NDArray[np.int64]
    """(t, 4) x0, y0, x1, y1 of the tiles, working pixels."""
    tile_ids: NDArray[np.object_]
    """(t,) their ids."""
    thinking: NDArray[np.object_]
    """(t,) the reasoner's thinking about each."""

    def __len__(self) -> int:
        return len(self.tile)

    def take(self, index: NDArray[np.int64]) -> "FragmentTable":
        """Some of them, in a given order."""
        columns = {name: getattr(self, name).take(index, axis=0) for name in _COLUMNS}
        return FragmentTable(
            outlines=self.outlines.take(index),
            windows=self.windows,
            tile_ids=self.tile_ids,
            thinking=self.thinking,
            **columns,
        )

    @property
    def tile_windows(self) -> NDArray[np.int64]:
        """(n, 4) x0, y0, x1, y1 of the tile of each, working pixels."""
        return self.windows.take(self.tile, axis=0)

    def objects(self, area: NDArray[np.float64]) -> MergedObjects:
        """Every fragment as an object of its own.

        Args:
            area: (n,) their areas, square working pixels.
        """
        names = self.tile_ids[self.tile]
        count = len(self)
        shared = {name: getattr(self, name) for name in _COLUMNS if name in _OF_OBJECTS}
        return MergedObjects(
            outlines=self.outlines,
            region=self.box,
            thinking=self.thinking[self.tile],
            largest=area,
            n_fragments=np.ones(count, dtype=np.int64),
            tile_ids=names,
            tile_starts=np.arange(count + 1),
            **shared,
        )


_COLUMNS = tuple(field.name for field in fields(FragmentTable) if field.name not in _RAGGED)
_OF_OBJECTS = frozenset(field.name for field in fields(MergedObjects))


@dataclass(frozen=True, slots=True)
class Extents:
    """Extents and areas of outlines, working pixels; (n,) each."""

    bounds: NDArray[np.float64]
    """(n, 4) minimum x, minimum y, maximum x, maximum y."""
    slants: NDArray[np.float64]
    """(n, 4) minimum x + y, minimum x - y, maximum x + y, maximum x - y."""
    area: NDArray[np.float64]
    """Area, square pixels."""

    def take(self, index: NDArray[np.int64]) -> "Extents":
        """Some of them, in a given order."""
        return Extents(
            self.bounds.take(index, axis=0), self.slants.take(index, axis=0), self.area.take(index)
        )


def extents_of(outlines: PolygonArray) -> Extents:
    """The extents of outlines.

    Args:
        outlines: Polygons or multipolygons, working pixels.
    """
    x, y = outlines.points.T
    slanting = outlines.moved(np.column_stack((x + y, x - y)))
    return Extents(bounds_of(outlines), bounds_of(slanting), shape_sums(outlines, ring_areas(outlines)))


def in_order(fragments: FragmentTable, bounds: NDArray[np.float64]) -> NDArray[np.int64]:
    """Fragments ordered by tile and position; of equal outlines in one tile only the best is kept.

    The order of position is independent of the order of the input; the merge breaks ties by it.

    Args:
        fragments: The fragments.
        bounds: (n, 4) bounding box of each, working pixels.

    Returns:
        Indexes (m,) of the fragments that stay.
    """
    tiles = fragments.tile_windows
    order = np.lexsort((bounds[:, 1], bounds[:, 0], tiles[:, 0], tiles[:, 1]))
    places = np.column_stack((tiles, bounds[:, :2]))[order]
    same = (places[1:] == places[:-1]).all(axis=1)
    if not same.any():
        return order
    runs = np.split(order, np.flatnonzero(~same) + 1)
    return np.array([index for run in runs for index in _distinct(fragments, run)], dtype=np.int64)


def _distinct(fragments: FragmentTable, run: NDArray[np.int64]) -> list[int]:
    """The best fragment per outline, ordered by outline, of fragments of one tile with the same corner."""
    if len(run) == 1:
        return [int(run[0])]
    outlines = shapely.to_wkb(fragments.outlines.take(run).shapes())
    keys = [
        (
            outline,
            -float(fragments.score[index]),
            str(fragments.label[index]),
            fragments.box[index].tolist(),
            int(index),
        )
        for index, outline in zip(run, outlines, strict=True)
    ]
    kept: dict[bytes, int] = {}
    for outline, *_, index in sorted(keys):
        kept.setdefault(outline, index)
    return list(kept.values())
