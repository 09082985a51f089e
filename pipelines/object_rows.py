"""From things in a scene's coordinates to rows of objects. Knows neither cells nor files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import pyarrow as pa
import shapely

from pipelines.dataset import Origin, object_part
from pipelines.plan import PlannedScene
from tiling.merging import Merged
from tiling.scene_object import scene_objects


@dataclass(frozen=True, slots=True)
class Placed:
    """Things with what is known of the ground they lie on; all in one order."""

    things: tuple[Merged, ...]
    """The things, world coordinates of one scene."""
    at_edge: tuple[bool, ...]
    """Which touch an edge past which nothing is seen."""
    scene_ids: tuple[tuple[str, ...], ...] | None = None
    """The scenes that stand in each, None where that is the scene alone."""

    @classmethod
    def of(cls, things: Sequence[Merged]) -> Self:
        """Things of a scene that is seen whole and shares no ground: its edge is the edge."""
        edges = (any(member.touches_scene_edge for member in thing.members) for thing in things)
        return cls(tuple(things), tuple(edges))


def object_rows(
    placed: Placed,
    planned: PlannedScene,
    origin: Origin,
    thinking: Mapping[str, str],
    *,
    aoi: shapely.Geometry | None,
) -> pa.Table:
    """Rows of things, those outside the area of interest left out.

    Args:
        placed: the things.
        planned: the scene in whose coordinates they are.
        origin: question and run.
        thinking: what the reasoner thought, by tile; of the tiles that represent the things at least.
        aoi: area of interest, longitude and latitude; None for no bounds.

    Raises:
        SceneError: a coordinate has no longitude and latitude.
    """
    objects = scene_objects(placed.things, planned.scene, planned.work, query_id=origin.query.id)
    names = placed.scene_ids or tuple(item.scene_ids for item in objects)
    told = [
        (replace(item, touches_scene_edge=edge, scene_ids=scenes), thinking[thing.representative.tile_id])
        for item, thing, edge, scenes in zip(objects, placed.things, placed.at_edge, names, strict=True)
    ]
    if aoi is not None:
        shapely.prepare(aoi)
        inside = shapely.intersects(aoi, [item.geometry for item, _ in told])
        told = [each for each, is_inside in zip(told, inside, strict=True) if is_inside]
    return object_part([item for item, _ in told], [thought for _, thought in told], origin)
