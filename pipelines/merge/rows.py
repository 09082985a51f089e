"""Merged objects of a scene become rows, or are kept for the scenes that overlap it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from pipelines.merge.spill import Told, put
from pipelines.plan import PlannedScene
from pipelines.tables import (
    CELL,
    PART_SCHEMA,
    POINT,
    Origin,
    box_column,
    by_cell,
    instant,
    part_cells,
    places_of,
    row_bytes,
)
from reasoner.query import Query
from tiling.geo import bounds_of, line_column, polygon_column
from tiling.merge import SceneObjects, scene_objects
from tiling.overlap import Shared, View, seam_of, sort_out
from tiling.storage import Store


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


@dataclass(frozen=True, slots=True)
class SeamViews:
    """What a scene and those beside it see."""

    own: View
    """The scene."""
    before: tuple[View, ...]
    """Those beside it that own what they share with it."""
    after: tuple[View, ...]
    """Those beside it that do not."""
    whole: bool
    """All tiles of the scene are planned."""


@dataclass(frozen=True, slots=True)
class SceneTask:
    """One scene and one question: all a worker needs to know of the plan."""

    planned: PlannedScene
    """The scene."""
    query: Query
    """The question."""
    views: SeamViews | None
    """What is seen beside it, None where it is planned whole and shares no ground."""


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of objects, put aside until their cells are known."""

    name: str
    """Of the file among those put aside."""
    cells: Counter[str]
    """Bytes of well-known binary per deepest cell: as many as its rows have, were all rows of one size."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some things of one scene."""

    part: Part | None
    """Those on ground that no other scene sees, None where there are none."""
    shared: Shared | None
    """Those that scenes beside have a say in, None where the scene shares no ground."""
    thinking: Mapping[str, str]
    """By tile, what the reasoner thought where a shared thing was seen best."""


def put_part(scratch: Store, name: str, rows: pa.Table) -> Part | None:
    """Put rows of objects aside; None where there are none.

    Raises:
        OSError: the storage refuses.
    """
    if not len(rows):
        return None
    ordered = by_cell(rows)
    put(scratch, name, ordered)
    size = row_bytes(ordered)
    return Part(name, Counter({cell: size * rows for cell, rows in Counter(part_cells(ordered)).items()}))


@dataclass(frozen=True, slots=True)
class Settling:
    """Places whole things on the ground; a plain picklable callable."""

    store: Store
    """The output folder."""
    scratch: Store
    """Where tables are put aside."""
    run_id: str
    """Digest of the job."""
    aoi: shapely.Geometry | None
    """Area of interest, longitude and latitude; None for no bounds."""

    def __call__(self, task: SceneTask, told: Told, name: str) -> Outcome:
        """Put aside what is settled.

        Args:
            task: scene and question.
            told: things of the scene that no tile elsewhere has a say in.
            name: of the file.

        Raises:
            SceneError: a coordinate has no place in longitude and latitude or the CRS of a scene beside.
            OSError: the storage refuses.
        """
        if task.views is None:
            return Outcome(self._part(task, Placed(told, told.things.touches_scene_edge), name), None, {})
        views = task.views
        seam = seam_of(views.own, views.before, views.after)
        if views.whole and shapely.is_empty(seam.shared):
            return Outcome(self._part(task, Placed(told, told.things.touches_scene_edge), name), None, {})
        found = sort_out(told.things, views.own, seam)
        settled = Told(found.settled, told.thinking[found.alone])
        seen_best = found.shared.things.seen_best.tolist()
        thinking = dict(zip(seen_best, told.thinking[found.others].tolist(), strict=True))
        part = self._part(task, Placed(settled, found.settled_at_edge), name)
        return Outcome(part, found.shared, thinking)

    def _part(self, task: SceneTask, placed: Placed, name: str) -> Part | None:
        rows = object_rows(placed, task.planned, Origin(task.query, self.run_id), aoi=self.aoi)
        return put_part(self.scratch, name, rows)
