"""Finalises merged objects: turns them into rows, or keeps them for the merge across overlapping scenes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import shapely

from pipelines.merge.spill import write_table
from pipelines.merge.tasks import FinalObjects, SceneTask, SpilledRows
from pipelines.plan import PlannedScene
from pipelines.tables import (
    CELL,
    OBJECT_COLUMNS,
    PART_SCHEMA,
    POINT,
    ColumnSource,
    Origin,
    box_column,
    by_cell,
    cell_points,
    instant,
    part_cells,
    row_bytes,
)
from tiling.geo import bounds_of, line_column, polygon_column
from tiling.merge import MergedObjects, SceneObjects, scene_objects
from tiling.overlap import split_by_zone
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class FinaliseObjects:
    """Turns merged objects of one scene into rows; a plain picklable callable."""

    store: Store
    """The output folder."""
    spill: Store
    """The folder of spill files."""
    run_id: str
    """Digest of the job."""
    aoi: shapely.Geometry | None
    """Area of interest, longitude and latitude; None if there is none."""

    def __call__(self, task: SceneTask, objects: MergedObjects, name: str) -> FinalObjects:
        """Spill the rows of the objects outside the overlap zone, and return the others.

        Args:
            task: scene and question.
            objects: finished objects of the scene, which no other block affects.
            name: name of the spill file.

        Raises:
            SceneError: a coordinate has no longitude and latitude.
            OSError: the storage refuses.
        """
        zone = task.coverage.zone
        if zone is None:
            return FinalObjects(self._rows(task, objects, name), None)
        alone, shared = split_by_zone(objects, task.planned.work.transform, zone)
        return FinalObjects(self._rows(task, alone, name), shared)

    def _rows(self, task: SceneTask, objects: MergedObjects, name: str) -> SpilledRows | None:
        rows = object_rows(objects, task.planned, Origin(task.query, self.run_id), aoi=self.aoi)
        return spill_rows(self.spill, name, rows)


def spill_rows(spill: Store, name: str, rows: pa.Table) -> SpilledRows | None:
    """Spill rows of objects; None if there are none.

    Raises:
        OSError: the storage refuses.
    """
    if not len(rows):
        return None
    ordered = by_cell(rows)
    write_table(spill, name, ordered)
    size = row_bytes(ordered)
    cells = Counter({cell: size * count for cell, count in Counter(part_cells(ordered)).items()})
    return SpilledRows(name, cells)


def object_rows(
    objects: MergedObjects,
    planned: PlannedScene,
    origin: Origin,
    *,
    aoi: shapely.Geometry | None,
    scene_ids: Sequence[Sequence[str]] | None = None,
) -> pa.Table:
    """Rows of objects as a part of the table of objects; objects outside the area of interest are left out.

    Args:
        objects: the objects, in world coordinates of the scene.
        planned: the scene.
        origin: question and run.
        aoi: area of interest, longitude and latitude; None if there is none.
        scene_ids: the scenes that each object was seen in; None if that is this scene alone.

    Raises:
        SceneError: a coordinate has no longitude and latitude.
    """
    if not len(objects):
        return PART_SCHEMA.empty_table()
    placed = scene_objects(objects, planned.scene, query_id=origin.query.id)
    values = {
        **_geometry_columns(placed),
        **_merged_columns(objects),
        "scene_ids": pa.array(
            scene_ids or [[planned.scene.scene_id]] * len(objects), PART_SCHEMA.field("scene_ids").type
        ),
        **_constant_columns(len(objects), {
            "query_id": origin.query.id, "query": origin.query.text, "run_id": origin.run_id,
            "datetime": instant(planned.scene.datetime),
        }),
    }  # fmt: skip
    rows = pa.Table.from_arrays([values[field.name] for field in PART_SCHEMA], schema=PART_SCHEMA)
    if aoi is None:
        return rows
    shapely.prepare(aoi)
    return rows.filter(pa.array(shapely.intersects(aoi, placed.geometry.shapes())))


def _geometry_columns(objects: SceneObjects) -> dict[str, pa.Array]:
    """Columns with the ids, geometries and areas of objects."""
    places = cell_points(objects.geometry, objects.bounds)
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


def _merged_columns(objects: MergedObjects) -> dict[str, pa.Array]:
    """Columns copied from the columns of the same name of merged objects."""
    tile_starts, tile_ids = pa.array(objects.tile_starts, pa.int32()), pa.array(objects.tile_ids, pa.string())
    ragged = {"tile_ids": pa.ListArray.from_arrays(tile_starts, tile_ids)}
    plain = (column for column in OBJECT_COLUMNS if column.source is ColumnSource.MERGED)
    return ragged | {
        column.name: pa.array(getattr(objects, column.name), column.type)
        for column in plain
        if column.name not in ragged
    }


def _constant_columns(count: int, values: dict[str, object]) -> dict[str, pa.Array]:
    """Columns that hold one value in all rows."""
    return {
        name: pa.repeat(pa.scalar(value, PART_SCHEMA.field(name).type), count)
        for name, value in values.items()
    }
