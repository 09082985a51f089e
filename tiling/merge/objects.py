"""Merged objects of one scene and one question as columns, and the union of several into one."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from tiling import Scene, Transform
from tiling.geo import (
    PolygonArray,
    Ragged,
    areas_m2,
    bounds_of,
    centroids,
    concat_offsets,
    concat_polygons,
    inverse,
    moved,
    oriented,
    polygons_from_boxes,
    polygons_from_shapes,
    polygons_to_lonlat,
    snapped_pixels,
    take_offsets,
    to_world,
    united,
    valid,
)

RUN = 512
"""An object with more members than this is united in pieces of this size, and then the pieces are united,
which bounds the memory and the work of one task. The pieces depend on the members alone, so the result does
not depend on which task unites them."""

_RAGGED = ("outlines", "tile_ids", "tile_starts")


@dataclass(frozen=True, slots=True)
class MergedObjects:
    """Objects, each of one or more fragments, (n,) each."""

    outlines: PolygonArray
    """Polygons or multipolygons, world coordinates of the scene's CRS."""
    region: NDArray[np.float64]
    """(n, 5, 2) corners of the hulls of the fragments' boxes along the axes of the working grid, of which the
    last is the first again, world coordinates."""
    score: NDArray[np.float64]
    """The segmenter's estimate of the mask's quality, of the largest fragment, 0 to 1."""
    label: NDArray[np.object_]
    """What the reasoner called the largest fragment."""
    thinking: NDArray[np.object_]
    """The reasoner's thinking about the tile of the largest fragment."""
    largest: NDArray[np.float64]
    """Area of the largest fragment, square working pixels."""
    n_fragments: NDArray[np.int64]
    """Number of fragments it was made of."""
    touches_scene_edge: NDArray[np.bool_]
    """A fragment touches an edge of the scene; where scenes overlap, an edge past which no scene has data."""
    valid_fraction: NDArray[np.float64]
    """Minimum share of pixels with data among its tiles, 0 to 1."""
    tile_ids: NDArray[np.object_]
    """(m,) ids of the tiles of the fragments, object by object, sorted, each once per object."""
    tile_starts: NDArray[np.int64]
    """(n + 1,) offsets of the objects among the tile ids."""

    def __len__(self) -> int:
        return len(self.region)

    def take(self, index: NDArray[np.int64]) -> "MergedObjects":
        """Some of them, in a given order."""
        places, starts = take_offsets(self.tile_starts, index)
        plain = {name: getattr(self, name).take(index, axis=0) for name in _COLUMNS}
        outlines = self.outlines.take(index)
        return MergedObjects(outlines=outlines, tile_ids=self.tile_ids[places], tile_starts=starts, **plain)


_COLUMNS = tuple(field.name for field in fields(MergedObjects) if field.name not in _RAGGED)


def concat_objects(parts: Sequence[MergedObjects]) -> MergedObjects:
    """The objects of several parts, at least one, one part after another."""
    if len(parts) == 1:
        return parts[0]
    plain = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return MergedObjects(
        outlines=concat_polygons([part.outlines for part in parts]),
        tile_ids=np.concatenate([part.tile_ids for part in parts]),
        tile_starts=concat_offsets([part.tile_starts for part in parts]),
        **plain,
    )


def unite(objects: MergedObjects, groups: Ragged, transform: Transform) -> MergedObjects:
    """The union of each group as one object.

    Args:
        objects: The members of the groups.
        groups: Indexes of the members of each group, in the order by which ties break.
        transform: Pixel to world of the working grid.
    """
    if (groups.lengths > RUN).any():
        pieces, groups = cut_into_runs(groups)
        return unite(unite(objects, pieces, transform), groups, transform)
    first = objects.take(groups.values[groups.starts[:-1]])
    several = np.flatnonzero(groups.lengths > 1)
    if not len(several):
        return first
    return _with(first, several, _united(objects, groups.take(several), transform))


def cut_into_runs(groups: Ragged) -> tuple[Ragged, Ragged]:
    """Groups divided into pieces of at most `RUN` members.

    Returns:
        The pieces, group by group, and the numbers of the pieces of every group.
    """
    counts = -(-groups.lengths // RUN)
    regrouped = np.concatenate(([0], np.cumsum(counts)))
    number = np.arange(regrouped[-1]) - np.repeat(regrouped[:-1], counts)
    begins = np.repeat(groups.starts[:-1], counts) + RUN * number
    pieces = Ragged(groups.values, np.append(begins, groups.starts[-1]))
    return pieces, Ragged(np.arange(regrouped[-1]), regrouped)


def _with(objects: MergedObjects, places: NDArray[np.int64], others: MergedObjects) -> MergedObjects:
    """The objects, with those at some positions replaced by others."""
    index = np.arange(len(objects))
    index[places] = len(objects) + np.arange(len(others))
    return concat_objects([objects, others]).take(index)


def _united(objects: MergedObjects, groups: Ragged, transform: Transform) -> MergedObjects:
    members, begins = groups.values, groups.starts[:-1]
    outlines = snapped_pixels(objects.outlines.take(members), transform)
    spans = list(zip(groups.starts[:-1].tolist(), groups.starts[1:].tolist(), strict=True))
    geometry = np.empty(len(groups), dtype=object)
    geometry[:] = [valid(united(outlines[start:end])) for start, end in spans]
    best = members[[start + int(np.argmax(objects.largest[members[start:end]])) for start, end in spans]]
    names = [np.unique(objects.take(members[start:end]).tile_ids) for start, end in spans]
    return MergedObjects(
        outlines=polygons_from_shapes(to_world(geometry, transform)),
        region=_hulls(objects.region[members], begins, transform),
        score=objects.score[best],
        label=objects.label[best],
        thinking=objects.thinking[best],
        largest=objects.largest[best],
        n_fragments=np.add.reduceat(objects.n_fragments[members], begins),
        touches_scene_edge=np.logical_or.reduceat(objects.touches_scene_edge[members], begins),
        valid_fraction=np.minimum.reduceat(objects.valid_fraction[members], begins),
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
    """(n, 5, 2) corners of boxes, of which the last is the first again, world coordinates.

    Args:
        bounds: (n, 4) x0, y0, x1, y1 of the boxes, working pixels.
        transform: Pixel to world of the working grid.
    """
    x, y = bounds[:, [2, 2, 0, 0, 2]], bounds[:, [1, 3, 3, 1, 1]]
    return moved(np.stack((x, y), axis=-1).reshape(-1, 2), transform).reshape(-1, 5, 2)


@dataclass(frozen=True, slots=True)
class SceneObjects:
    """Objects of one scene, (n,) each; shapes in OGC:CRS84, shells counterclockwise."""

    id: list[str]
    """Digests of question, position and size; the same for the same object in a copy of the scene."""
    geometry: PolygonArray
    """Outlines with holes: polygons and multipolygons, longitude and latitude, degrees."""
    region: PolygonArray
    """The hull of the reasoner's boxes of its fragments, longitude and latitude, degrees."""
    bounds: NDArray[np.float64]
    """(n, 4) west, south, east and north of the outlines, degrees."""
    area_m2: NDArray[np.float64]
    """Area on the WGS 84 ellipsoid, square metres, holes subtracted."""
    merged: MergedObjects
    """The same objects in the coordinates of the scene, with their other attributes."""

    def __len__(self) -> int:
        return len(self.id)


def scene_objects(merged: MergedObjects, scene: Scene, *, query_id: str) -> SceneObjects:
    """Project merged objects to longitude and latitude, and compute ids and areas.

    Args:
        merged: Objects of one scene and one question, world coordinates of the scene's CRS.
        scene: The scene.
        query_id: Id of the question.

    Returns:
        The objects, in their order. Objects that share centre and size share an id.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    boxes = polygons_from_boxes(merged.region)
    geometry, region = (oriented(polygons_to_lonlat(each, scene.crs)) for each in (merged.outlines, boxes))
    areas = areas_m2(geometry)
    return SceneObjects(_ids(geometry, areas, query_id), geometry, region, bounds_of(geometry), areas, merged)


def _ids(geometry: PolygonArray, areas: NDArray[np.float64], query_id: str) -> list[str]:
    """Digests of question, centroid (in 1e-6 degrees) and area (in 0.1 m²), as integers of eight bytes."""
    places = np.column_stack((centroids(geometry) * 1e6, areas * 10))
    data, size = np.rint(places).astype("<i8").tobytes(), 8 * places.shape[1]
    before = f"{query_id}|".encode()
    return [
        hashlib.sha256(before + data[at : at + size]).hexdigest()[:24] for at in range(0, len(data), size)
    ]
