"""The row users query, without the question: one thing, placed in longitude and latitude."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling.merging import Merged
from tiling.placing import area_m2, to_lonlat
from tiling.scene import Scene
from tiling.work import WorkGrid


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One real thing as a scene shows it; geometries in OGC:CRS84."""

    id: str
    """Digest of the question, the place and the size; the same for the same thing in a copy of the scene."""
    label: str
    """What the reasoner called it, empty where it named nothing."""
    score: float
    """The segmenter's estimate of the mask's quality, 0 to 1, of the largest sighting."""
    geometry: shapely.Polygon | shapely.MultiPolygon
    """Outline with holes, longitude and latitude, degrees."""
    region: shapely.Polygon | shapely.MultiPolygon
    """The reasoner's box, hull of all that stand in the thing, longitude and latitude, degrees."""
    contour: shapely.MultiLineString
    """Outer rings and holes as lines, longitude and latitude, degrees."""
    area_m2: float
    """Area on the WGS 84 ellipsoid, square metres, holes subtracted."""
    n_fragments: int
    """Sightings that stand in it."""
    tile_ids: tuple[str, ...]
    """The tiles of these, sorted, each once."""
    touches_scene_edge: bool
    """It touches an edge of the scene: there may be more of it."""
    valid_fraction: float
    """Least share of pixels with data among its tiles, 0 to 1."""
    scene_ids: tuple[str, ...]
    """The scenes it was seen in."""
    datetime: str | None
    """Acquisition time of the scene, ISO 8601, None where unknown."""


def scene_objects(
    merged: Sequence[Merged], scene: Scene, work: WorkGrid, *, query_id: str
) -> list[SceneObject]:
    """Place merged things in longitude and latitude and describe them.

    Args:
        merged: Things of one scene and one question, world coordinates of the scene's CRS.
        scene: The scene.
        work: The grid they were seen on.
        query_id: Id of the question.

    Returns:
        One object per thing, in their order.

    Raises:
        SceneError: A coordinate has no longitude and latitude.
    """
    geometries = to_lonlat([thing.geometry for thing in merged], scene.crs)
    regions = to_lonlat([thing.region for thing in merged], scene.crs)
    areas = [area_m2(geometry) for geometry in geometries]
    ids = _ids(geometries, areas, query_id)
    return [
        _object(thing, scene, placed)
        for thing, placed in zip(merged, zip(ids, geometries, regions, areas, strict=True), strict=True)
    ]


def _object(
    thing: Merged, scene: Scene, placed: tuple[str, shapely.Polygon, shapely.Polygon, float]
) -> SceneObject:
    object_id, geometry, region, area = placed
    return SceneObject(
        id=object_id,
        label=thing.representative.label,
        score=thing.representative.score,
        geometry=geometry,
        region=region,
        contour=_contour(geometry),
        area_m2=area,
        n_fragments=len(thing.members),
        tile_ids=tuple(sorted({member.tile_id for member in thing.members})),
        touches_scene_edge=any(member.touches_scene_edge for member in thing.members),
        valid_fraction=min(member.valid_fraction for member in thing.members),
        scene_ids=(scene.scene_id,),
        datetime=scene.datetime,
    )


def _contour(geometry: shapely.Polygon | shapely.MultiPolygon) -> shapely.MultiLineString:
    rings = shapely.get_rings(shapely.get_parts(geometry))
    return shapely.MultiLineString([shapely.get_coordinates(ring) for ring in rings])


def _ids(geometries: NDArray[np.object_], areas: Sequence[float], query_id: str) -> list[str]:
    """Digest of question, centroid (1e-6 degrees) and area (0.1 m²); like things are told apart by order."""
    centres = shapely.get_coordinates(shapely.centroid(geometries))
    seen: Counter[str] = Counter()
    ids = []
    for (lon, lat), area in zip(centres, areas, strict=True):
        text = f"{query_id}|{lon + 0.0:.6f}|{lat + 0.0:.6f}|{area:.1f}"
        seen[text] += 1
        ids.append(hashlib.sha256(f"{text}|{seen[text]}".encode()).hexdigest()[:24])
    return ids
