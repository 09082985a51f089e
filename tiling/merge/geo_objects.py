"""The row users query, without the question: things, placed in longitude and latitude. Knows no file."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tiling import Scene
from tiling.geo import Rings, areas_m2, bounds_of, centroids, oriented, placed_rings, rings_of_boxes
from tiling.merge.objects import Things


@dataclass(frozen=True, slots=True)
class SceneObjects:
    """Real things as a scene shows them, (n,) each; shapes in OGC:CRS84, shells counterclockwise."""

    id: list[str]
    """Digest of the question, the place and the size; the same for the same thing in a copy of the scene."""
    geometry: Rings
    """Outlines with holes: polygons and multipolygons, longitude and latitude, degrees."""
    region: Rings
    """The reasoner's box, hull of all that stand in the thing, longitude and latitude, degrees."""
    bounds: NDArray[np.float64]
    """(n, 4) least and greatest longitude and latitude of the outlines: west, south, east, north, degrees."""
    area_m2: NDArray[np.float64]
    """Area on the WGS 84 ellipsoid, square metres, holes subtracted."""
    things: Things
    """The same things in the coordinates of the scene, with all else that is known of them."""

    def __len__(self) -> int:
        return len(self.id)


def scene_objects(things: Things, scene: Scene, *, query_id: str) -> SceneObjects:
    """Place things in longitude and latitude and describe them.

    Args:
        things: Things of one scene and one question, world coordinates of the scene's CRS.
        scene: The scene.
        query_id: Id of the question.

    Returns:
        The objects, in the order of the things. Things that share centre and size share an id.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    boxes = rings_of_boxes(things.region)
    geometry, region = (oriented(placed_rings(each, scene.crs)) for each in (things.outlines, boxes))
    areas = areas_m2(geometry)
    return SceneObjects(_ids(geometry, areas, query_id), geometry, region, bounds_of(geometry), areas, things)


def _ids(geometry: Rings, areas: NDArray[np.float64], query_id: str) -> list[str]:
    """Digest of question, centroid (1e-6 degrees) and area (0.1 m²), each a whole number of eight bytes."""
    places = np.column_stack((centroids(geometry) * 1e6, areas * 10))
    data, size = np.rint(places).astype("<i8").tobytes(), 8 * places.shape[1]
    before = f"{query_id}|".encode()
    return [
        hashlib.sha256(before + data[at : at + size]).hexdigest()[:24] for at in range(0, len(data), size)
    ]
