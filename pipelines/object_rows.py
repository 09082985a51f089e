"""From things in a scene's coordinates to rows of objects. Knows neither cells nor files."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.cells import places_of
from pipelines.dataset import CELL, PART_SCHEMA, POINT, Origin, instant
from pipelines.geoparquet import box_column
from pipelines.open_sightings import Told
from pipelines.plan import PlannedScene
from pipelines.wkb_columns import line_column, polygon_column
from tiling.rings import bounds_of
from tiling.scene_object import SceneObjects, scene_objects


@dataclass(frozen=True, slots=True)
class Placed:
    """Things with what is known of the ground they lie on; all in one order."""

    told: Told
    """The things, world coordinates of one scene."""
    at_edge: NDArray[np.bool_]
    """(n,) which touch an edge past which nothing is seen."""
    scene_ids: Sequence[Sequence[str]] | None = None
    """The scenes that stand in each, None where that is the scene alone."""


def object_rows(
    placed: Placed, planned: PlannedScene, origin: Origin, *, aoi: shapely.Geometry | None
) -> pa.Table:
    """Rows of things, those outside the area of interest left out: a part of the objects.

    Args:
        placed: the things.
        planned: the scene in whose coordinates they are.
        origin: question and run.
        aoi: area of interest, longitude and latitude; None for no bounds.

    Raises:
        SceneError: a coordinate has no longitude and latitude.
    """
    if not len(placed.told.things):
        return PART_SCHEMA.empty_table()
    objects = scene_objects(placed.told.things, planned.scene, query_id=origin.query.id)
    values = {
        **_shown(objects),
        **_seen(placed, planned),
        **_same(len(objects), {
            "query_id": origin.query.id, "query": origin.query.text, "run_id": origin.run_id,
            "datetime": instant(planned.scene.datetime),
        }),
    }  # fmt: skip
    rows = pa.Table.from_arrays([values[field.name] for field in PART_SCHEMA], schema=PART_SCHEMA)
    if aoi is None:
        return rows
    shapely.prepare(aoi)
    return rows.filter(pa.array(shapely.intersects(aoi, objects.geometry.shapes())))


def _shown(objects: SceneObjects) -> dict[str, pa.Array]:
    """Columns of what is on the ground."""
    places = places_of(objects.geometry, objects.bounds)
    return {
        "id": pa.array(objects.id, pa.string()),
        "geometry": polygon_column(objects.geometry),
        "region": polygon_column(objects.region),
        "contour": line_column(objects.geometry),
        "bbox": box_column(objects.bounds),
        "region_bbox": box_column(bounds_of(objects.region)),
        "area_m2": pa.array(objects.area_m2),
        CELL: pa.array(places.cells, pa.string()),
        **{side: pa.array(column) for side, column in zip(POINT, places.points.T, strict=True)},
    }


def _seen(placed: Placed, planned: PlannedScene) -> dict[str, pa.Array]:
    """Columns of what was seen and said."""
    things = placed.told.things
    scenes = placed.scene_ids or [[planned.scene.scene_id]] * len(things)
    return {
        "label": pa.array(things.label, pa.string()),
        "score": pa.array(things.score),
        "n_fragments": pa.array(things.n_fragments, pa.int32()),
        "tile_ids": pa.ListArray.from_arrays(
            pa.array(things.tile_starts, pa.int32()), pa.array(things.tile_ids, pa.string())
        ),
        "touches_scene_edge": pa.array(placed.at_edge),
        "valid_fraction": pa.array(things.valid_fraction),
        "thinking": pa.array(placed.told.thinking, pa.string()),
        "scene_ids": pa.array(scenes, pa.list_(pa.string())),
    }


def _same(count: int, values: dict[str, object]) -> dict[str, pa.Array]:
    """Columns that hold one value."""
    return {
        name: pa.repeat(pa.scalar(value, PART_SCHEMA.field(name).type), count)
        for name, value in values.items()
    }
