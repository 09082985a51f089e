"""Divides the merged objects of a scene into those inside and those outside its overlap zone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import snapped_pixels
from tiling.merge import TOUCH_PX, MergedObjects, concat_objects
from tiling.overlap.coverage import OverlapZone


@dataclass(frozen=True, slots=True)
class ZoneObjects:
    """Objects of one scene in its overlap zone, (n,) each."""

    objects: MergedObjects
    """The objects, world coordinates of the scene's CRS."""
    truncated: NDArray[np.bool_]
    """Whether it touches an edge, or a gap in the data, past which another scene has data."""
    foreign_share: NDArray[np.float64]
    """Share of its area on ground that a scene of higher priority owns and covers, 0 to 1."""

    def __len__(self) -> int:
        return len(self.objects)


def concat_zone_objects(parts: Sequence[ZoneObjects]) -> ZoneObjects:
    """The objects of several parts, at least one, one part after another."""
    return ZoneObjects(
        concat_objects([part.objects for part in parts]),
        np.concatenate([part.truncated for part in parts]),
        np.concatenate([part.foreign_share for part in parts]),
    )


def split_by_zone(
    objects: MergedObjects, transform: Transform, zone: OverlapZone
) -> tuple[MergedObjects, ZoneObjects]:
    """Divide objects into those that only their scene can show and those that another may show too.

    Args:
        objects: Objects of one scene and one question.
        transform: Working pixel to world of the scene.
        zone: The scene's overlap zone.

    Returns:
        The objects outside the overlap zone and those inside, each in the given order. In both,
        `touches_scene_edge` is true only for edges past which no scene has data.
    """
    outlines = snapped_pixels(objects.outlines, transform)
    objects = replace(objects, touches_scene_edge=_near(outlines, zone.outer, TOUCH_PX))
    truncated = _near(outlines, zone.continued, TOUCH_PX)
    shared = _near(outlines, zone.shared, 0.0) | truncated
    alone, others = np.flatnonzero(~shared), np.flatnonzero(shared)
    return objects.take(alone), ZoneObjects(
        objects.take(others), truncated[others], _shares(outlines[others], zone.foreign)
    )


def _near(outlines: NDArray[np.object_], place: shapely.Geometry, distance: float) -> NDArray[np.bool_]:
    if shapely.is_empty(place):
        return np.zeros(len(outlines), dtype=bool)
    shapely.prepare(place)
    return np.asarray(shapely.dwithin(place, outlines, distance), dtype=bool)


def _shares(outlines: NDArray[np.object_], ground: shapely.Geometry) -> NDArray[np.float64]:
    """Share (n,) of each outline's area that lies on some ground."""
    if shapely.is_empty(ground) or not len(outlines):
        return np.zeros(len(outlines))
    inside = shapely.area(shapely.intersection(outlines, ground))
    return np.asarray(inside / np.maximum(shapely.area(outlines), 1e-12), dtype=np.float64)
