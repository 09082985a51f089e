"""Tables of places as GeoParquet 1.1 bytes, the same for the same rows. Knows no column's meaning."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

LONLAT = "OGC:CRS84"
ROW_GROUP = 50_000
BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
"""Type of the covering column."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north, degrees."""
Shapes = Mapping[str, NDArray[np.object_]]
"""Geometries of each geometry column, shapely objects or None."""


def geoparquet_bytes(
    columns: Mapping[str, Sequence[object]], schema: pa.Schema, coverings: Mapping[str, str]
) -> bytes:
    """Encode rows with longitude-latitude geometries, covering boxes and zstd.

    Args:
        columns: column name to values, without the covering boxes; geometries as shapely objects or None.
        schema: Arrow types and order of all columns, covering boxes among them.
        coverings: geometry column to the column of its covering box, the primary geometry first.
    """
    shapes = {name: np.asarray(columns[name], dtype=object) for name in coverings}
    plain = {
        name: shapely.to_wkb(shapes[name]) if name in shapes else list(columns[name]) for name in columns
    }
    fields = pa.schema([field for field in schema if field.name in columns])
    return encoded_table(pa.table(plain, schema=fields), shapes, schema=schema, coverings=coverings)


def encoded_table(
    table: pa.Table, shapes: Shapes, *, schema: pa.Schema, coverings: Mapping[str, str]
) -> bytes:
    """Encode a table whose geometry columns are WKB already.

    Args:
        table: all columns but the covering boxes.
        shapes: the same geometries as shapely objects.
        schema: Arrow types and order of all columns, covering boxes among them.
        coverings: geometry column to the column of its covering box, the primary geometry first.
    """
    for name, box in coverings.items():
        if box not in table.column_names:
            table = table.append_column(box, _boxes(shapes[name]))
    # One chunk a column: where the chunks end would show in the pages of the file.
    whole = table.select(schema.names).cast(schema).combine_chunks()
    return _encoded(whole, _described(shapes, coverings))


def hilbert_order(
    geometries: Sequence[shapely.Geometry], bounds: Bounds, ids: Sequence[str]
) -> NDArray[np.int64]:
    """Order of places along a Hilbert curve over fixed bounds; ties stand by id."""
    points = geopandas.GeoSeries(shapely.point_on_surface(np.asarray(geometries, dtype=object)), crs=LONLAT)
    distance = points.hilbert_distance(total_bounds=bounds).to_numpy()
    return np.lexsort((np.asarray(ids), distance))


def _boxes(shapes: NDArray[np.object_]) -> pa.StructArray:
    """Covering boxes; null where there is no shape."""
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    sides = [pa.array(side) for side in bounds.T]
    return pa.StructArray.from_arrays(sides, fields=list(BBOX), mask=pa.array(shapely.is_missing(shapes)))


def _described(shapes: Shapes, coverings: Mapping[str, str]) -> dict[str, object]:
    """The note `geo` of a file: geopandas' own, with the types and bounds of these geometries."""
    geo: dict[str, Any] = json.loads(_geo_template(tuple(coverings)))
    for name, box in coverings.items():
        column = geo["columns"][name]
        there = shapes[name][~shapely.is_missing(shapes[name])]
        column["geometry_types"] = _type_names(there)
        if len(there := there[~shapely.is_empty(there)]):
            column["bbox"] = shapely.total_bounds(there).tolist()
        column["covering"] = {"bbox": {side: [box, side] for side in BBOX.names}}
    return geo


@cache
def _geo_template(names: tuple[str, ...]) -> str:
    """What geopandas notes of a table with these geometry columns and no rows."""
    frame = geopandas.GeoDataFrame({name: geopandas.GeoSeries([], crs=LONLAT) for name in names})
    raw = BytesIO()
    frame.set_geometry(names[0]).to_parquet(raw, index=False, schema_version="1.1.0")
    return str((pq.read_schema(raw).metadata or {})[b"geo"], "utf-8")


def _type_names(shapes: NDArray[np.object_]) -> list[str]:
    kinds = np.unique(np.stack([shapely.get_type_id(shapes), shapely.has_z(shapes)], axis=1), axis=0)
    return sorted(_TYPE_NAMES[kind] + (" Z" if has_z else "") for kind, has_z in kinds.tolist())


_TYPE_NAMES = (
    *("Point", "LineString", "LinearRing", "Polygon"),
    *("MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"),
)
"""By shapely's type ids."""


def _encoded(table: pa.Table, geo: dict[str, object]) -> bytes:
    """The file's bytes; of all notes only GeoParquet's own stay."""
    noted = table.replace_schema_metadata({b"geo": json.dumps(geo)})
    sink = BytesIO()
    with pq.ParquetWriter(sink, noted.schema, compression="zstd", compression_level=15) as writer:
        if len(noted):  # a row group without rows would have no statistics
            writer.write_table(noted, row_group_size=ROW_GROUP)
    return sink.getvalue()
