"""Exports the objects of a result as one file for other tools, with simpler outlines if requested."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataSourceError

from pipelines import RequestError
from pipelines.results.export_request import ExportRequest, Shape
from pipelines.results.query import again, open_dataset, plain_errors, select, view_files
from pipelines.results.query_output import ROW_BATCH, in_place, own_file
from pipelines.tables import GEOMETRIES, OBJECT_COLUMNS, OBJECTS, ROW_GROUP
from reasoner.query import Query
from tiling.geo import components, group_by
from tiling.storage import Store

METRES_A_DEGREE = 111_320.0
"""Metres in a degree of latitude; accurate enough for a tolerance."""


def simplified(shapes: NDArray[np.object_], tolerance_m: float) -> NDArray[np.object_]:
    """Simplify outlines; polygons that share edges without overlapping still share them afterwards.

    Args:
        shapes: (n,) valid polygons and multipolygons, longitude and latitude, degrees.
        tolerance_m: how far an outline may move, about, metres.

    Returns:
        (n,) valid shapes of the same kinds.
    """
    middles = shapely.get_coordinates(shapely.centroid(shapes))
    local = _scaled(shapes, _scales(middles[:, 1]))
    found = np.asarray(shapely.simplify(local, tolerance_m, preserve_topology=True), dtype=object)
    back = _scaled(found, 1 / _scales(middles[:, 1]))
    a, b = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for group in group_by(components(len(shapes), (a, b))):
        if len(group) > 1:
            back[group] = _coverage(shapes[group], tolerance_m, back[group])
    return back


def _coverage(
    shapes: NDArray[np.object_], tolerance_m: float, alone: NDArray[np.object_]
) -> NDArray[np.object_]:
    """Shapes that touch, simplified together; each on its own where they overlap."""
    if not shapely.coverage_is_valid(shapes):
        return alone
    scale = np.repeat(_scales(np.array([shapely.total_bounds(shapes)[1]])), len(shapes), axis=0)
    found = shapely.coverage_simplify(_scaled(shapes, scale), tolerance_m)
    return _scaled(np.asarray(found, dtype=object), 1 / scale)


def _scales(latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) metres of a degree of longitude and latitude."""
    across = METRES_A_DEGREE * np.cos(np.radians(latitudes))
    return np.column_stack((np.maximum(across, 1.0), np.full(len(latitudes), METRES_A_DEGREE)))


def _scaled(shapes: NDArray[np.object_], scales: NDArray[np.float64]) -> NDArray[np.object_]:
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    return np.asarray(shapely.set_coordinates(shapes.copy(), points * scales[owner]), dtype=object)


FORMAT_CRS = "EPSG:4326"
"""The name of longitude and latitude in the formats; all of them write longitude first."""
EXPORT_LAYER = "objects"
LISTS = tuple(column.name for column in OBJECT_COLUMNS if pa.types.is_list(column.type))
"""Columns of lists, written as one text with spaces where a format has no lists."""
PLAIN_COLUMNS = tuple(
    column.name
    for column in OBJECT_COLUMNS
    if not pa.types.is_nested(column.type) and not pa.types.is_binary(column.type)
)
"""Columns that every format can store as they are."""

_PARQUET = f"FORMAT parquet, COMPRESSION zstd, GEOPARQUET_VERSION 'V2', ROW_GROUP_SIZE {ROW_GROUP}"
_EMPTY_GEO = json.dumps(
    {
        "version": "2.0.0",
        "primary_column": GEOMETRIES[0],
        "columns": {name: {"encoding": "WKB", "geometry_types": []} for name in GEOMETRIES},
    }
)


@dataclass(frozen=True, slots=True)
class Format:
    """A file format and how it is written."""

    name: str
    """In words."""
    driver: str | None
    """GDAL's driver; None for DuckDB's own writer of Parquet."""
    dataset: Mapping[str, str] = field(default_factory=dict)
    """Options of the file."""
    layer: Mapping[str, str] = field(default_factory=dict)
    """Options of the layer."""


FORMATS: Mapping[str, Format] = {
    "gpkg": Format("GeoPackage", "GPKG"),
    "fgb": Format("FlatGeobuf", "FlatGeobuf"),
    "geojson": Format("GeoJSON (RFC 7946)", "GeoJSON", layer={"RFC7946": "YES", "WRITE_NAME": "NO"}),
    "pmtiles": Format("PMTiles", "PMTiles", dataset={"MINZOOM": "0", "MAXZOOM": "14"}),
    "parquet": Format("GeoParquet 2.0", None),
}
"""By file ending."""


def export_objects(store: Store, file: str, request: ExportRequest) -> dict[str, object]:
    """Write the file completely or not at all: under a temporary name first, which is then renamed.

    Args:
        store: the output folder.
        file: path of the local file.
        request: what goes into it.

    Returns:
        The file, its format, its number of objects and its size in bytes.

    Raises:
        RequestError: the format, the question or the condition is wrong, or the file cannot be written,
            or the folder holds no published run.
        OSError: the storage refuses.
    """
    path = own_file(store, file)
    kind = _format(path, request.format)
    _check_simplify(request, kind)
    return again(lambda: _export(store, path, kind, request))


def _export(store: Store, path: Path, kind: Format, request: ExportRequest) -> dict[str, object]:
    sql = _sql(store, request, native=kind.driver is None)
    with (
        open_dataset(store, unfinished=request.unfinished, sql=sql) as connection,
        in_place(path) as unfinished,
    ):
        rows = select(connection, sql)
        if kind.driver is None:
            count = _write_parquet(rows, unfinished)
        else:
            count = _write_layer(rows, unfinished, request, kind)
        size = unfinished.stat().st_size
    return {"file": str(path), "format": kind.name, "objects": count, "bytes": size}


def _format(path: Path, named: str | None) -> Format:
    ending = (named or path.suffix).removeprefix(".").lower()
    if ending not in FORMATS:
        known = ", ".join(f"{key} ({kind.name})" for key, kind in FORMATS.items())
        raise RequestError(
            "format", f"{ending or path.name!r} is not a format that can be written", f"choose {known}"
        )
    return FORMATS[ending]


def _check_simplify(request: ExportRequest, kind: Format) -> None:
    """Refuse what cannot be simplified."""
    if request.simplify_m is None:
        return
    if not 0 < request.simplify_m < math.inf:
        raise RequestError("simplify", f"{request.simplify_m} m is not a tolerance", "give metres above 0")
    if kind.driver is None or request.geometry is not Shape.GEOMETRY:
        raise RequestError(
            "simplify", "only outlines in files of one geometry are simplified",
            "choose another format than parquet, and --geometry geometry",
        )  # fmt: skip


def _sql(store: Store, request: ExportRequest, *, native: bool) -> str:
    lists = [f"array_to_string({name}, ' ') AS {name}" for name in LISTS]
    shape = f"ST_AsWKB(ST_Multi({request.geometry})) AS geometry"
    columns = ["*"] if native else [*PLAIN_COLUMNS, *lists, shape]
    return f"SELECT {', '.join(columns)} FROM objects{filtered(store, request)}"


def filtered(store: Store, request: ExportRequest) -> str:
    """The WHERE clause that selects the requested objects, empty if all are requested.

    Raises:
        RequestError: the question was not asked.
    """
    conditions = [f"query_id = '{_slug(store, request)}'"] if request.query is not None else []
    conditions += (
        [f"(\n{request.where}\n)"] if request.where is not None else []
    )  # a line break ends the condition, whose last line may be a comment
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _slug(store: Store, request: ExportRequest) -> str:
    """The slug of the question that is given by its slug or its text."""
    files = view_files(store, unfinished=request.unfinished)[OBJECTS]
    known = sorted({name.split("/")[1].removeprefix("query=") for name in files})
    asked = request.query or ""
    for slug in (asked, Query(asked).id):
        if slug in known:
            return slug
    raise RequestError("query", f"{asked!r} was not asked", f"choose {' or '.join(known)}")


def _write_parquet(rows: duckdb.DuckDBPyRelation, path: Path) -> int:
    target = str(path).replace("'", "''")
    with plain_errors():
        rows.query("chosen", f"COPY chosen TO '{target}' ({_PARQUET})")
        count = int(pq.read_metadata(path).num_rows)
        if not count:  # DuckDB writes the GeoParquet metadata only if there is a geometry
            rows.query(
                "chosen", f"COPY chosen TO '{target}' ({_PARQUET}, KV_METADATA {{geo: '{_EMPTY_GEO}'}})"
            )
    return count


def _write_layer(rows: duckdb.DuckDBPyRelation, path: Path, request: ExportRequest, kind: Format) -> int:
    with plain_errors():
        reader = rows.to_arrow_reader(ROW_BATCH)
    counts: Counter[str] = Counter()
    if request.simplify_m is not None:
        reader = _simplified(reader.read_all(), request.simplify_m).to_reader(ROW_BATCH)
    batches = pa.RecordBatchReader.from_batches(reader.schema, _counted(reader, counts))
    many = "MultiLineString" if request.geometry is Shape.CONTOUR else "MultiPolygon"
    try:
        pyogrio.write_arrow(
            batches, path, layer=EXPORT_LAYER, driver=kind.driver, geometry_name="geometry",
            geometry_type=many, crs=FORMAT_CRS, dataset_options=dict(kind.dataset),
            layer_options=dict(kind.layer),
        )  # fmt: skip
    except DataSourceError as error:
        raise _unwritten(kind, counts["objects"], error) from error
    return counts["objects"]


def _simplified(table: pa.Table, tolerance_m: float) -> pa.Table:
    """The table with simpler outlines; it is all in memory because neighbours are simplified together."""
    place = table.column_names.index("geometry")
    shapes = shapely.from_wkb(table.column(place).to_numpy())
    column = pa.array(shapely.to_wkb(simplified(shapes, tolerance_m)), pa.binary())
    return table.set_column(place, table.field(place).with_type(pa.binary()), column)


def _counted(reader: pa.RecordBatchReader, counts: Counter[str]) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        counts["objects"] += batch.num_rows
        yield batch


def _unwritten(kind: Format, count: int, error: Exception) -> RequestError:
    if count:
        return RequestError("file", f"{kind.name} could not be written ({error})", "check the free space")
    return RequestError("file", f"there are no objects, and {kind.name} needs one", "choose another format")
