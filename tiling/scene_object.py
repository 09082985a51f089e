"""The row users query, without the question: things, placed in longitude and latitude. Knows no file."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.placing import areas_m2, to_lonlat
from tiling.scene import Scene
from tiling.things import Things


@dataclass(frozen=True, slots=True)
class SceneObjects:
    """Real things as a scene shows them, (n,) each; geometries in OGC:CRS84, shells counterclockwise."""

    id: list[str]
    """Digest of the question, the place and the size; the same for the same thing in a copy of the scene."""
    geometry: NDArray[np.object_]
    """Outlines with holes: polygons and multipolygons, longitude and latitude, degrees."""
    region: NDArray[np.object_]
    """The reasoner's box, hull of all that stand in the thing, longitude and latitude, degrees."""
    contour: NDArray[np.object_]
    """Outer rings and holes as multilinestrings, longitude and latitude, degrees."""
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
        The objects, in the order of the things.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    geometry, region = (
        np.asarray(shapely.orient_polygons(to_lonlat(shapes, scene.crs)), dtype=object)
        for shapes in (things.geometry, things.region)
    )
    areas = areas_m2(geometry)
    ids = _ids(geometry, areas.tolist(), query_id)
    return SceneObjects(ids, geometry, region, _contours(geometry), areas, things)


def _contours(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    parts, owner = shapely.get_parts(geometry, return_index=True)
    rings, of = shapely.get_rings(parts, return_index=True)
    return np.atleast_1d(np.asarray(shapely.multilinestrings(rings, indices=owner[of]), dtype=object))


def _ids(geometry: NDArray[np.object_], areas: Sequence[float], query_id: str) -> list[str]:
    """Digest of question, centroid (1e-6 degrees) and area (0.1 m²); like things are told apart by order."""
    centres = shapely.get_coordinates(shapely.centroid(geometry)) + 0.0  # no minus before zero
    texts = [
        f"{query_id}|{lon:.6f}|{lat:.6f}|{area:.1f}"
        for (lon, lat), area in zip(centres.tolist(), areas, strict=True)
    ]
    seen: Counter[str] = Counter()
    return [_digest(text, seen) for text in texts]


def _digest(text: str, seen: Counter[str]) -> str:
    seen[text] += 1
    return hashlib.sha256(f"{text}|{seen[text]}".encode()).hexdigest()[:24]
