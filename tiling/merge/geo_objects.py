"""Merged objects in longitude and latitude, with their ids and areas, as the table of objects holds them."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiling import Scene
from tiling.geo import (
    PolygonArray,
    areas_m2,
    bounds_of,
    centroids,
    oriented,
    polygons_from_boxes,
    polygons_to_lonlat,
)
from tiling.merge.objects import MergedObjects


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
