"""Encodes tables with geometries as GeoParquet 1.1, with the same bytes for the same rows; Hilbert order."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from io import BytesIO
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from pipelines.tables.schema import BBOX, Bounds
from tiling.geo import LONLAT

WORLD = (-180.0, -90.0, 180.0, 90.0)
"""West, south, east and north of everything, degrees."""
ROW_GROUP = 50_000
ZSTD_LEVEL = 1
"""Level 3 makes files 1 % smaller and takes 1.6 times as long to encode, 15 some ten times."""


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
    table = pa.table(plain, schema=fields)
    for name, box in coverings.items():
        if box not in table.column_names:
            table = table.append_column(box, boxes_of(shapes[name]))
    return bytes(encoded_table(table.select(schema.names).cast(schema), coverings))


def encoded_table(table: pa.Table, coverings: Mapping[str, str]) -> memoryview:
    """Encode a table whose geometry columns are WKB, with their covering boxes beside them.

    Args:
        table: all columns.
        coverings: geometry column to the column of its covering box, the primary geometry first.
    """
    # One chunk a column: the ends of chunks would change the pages of the file.
    return _encoded(table.combine_chunks(), _described(table, coverings), tuple(coverings))


def hilbert_distances(points: NDArray[np.float64], bounds: Bounds) -> NDArray[np.int64]:
    """Distances (n,) of points (n, 2) along a Hilbert curve over fixed bounds."""
    places = geopandas.GeoSeries(geopandas.points_from_xy(*points.T), crs=LONLAT)
    return np.asarray(places.hilbert_distance(total_bounds=bounds), dtype=np.int64)


def hilbert_order(
    geometries: Sequence[shapely.Geometry], bounds: Bounds, ids: Sequence[str]
) -> NDArray[np.int64]:
    """Order of points along a Hilbert curve over fixed bounds; ties are ordered by id."""
    points = shapely.get_coordinates(shapely.point_on_surface(np.asarray(geometries, dtype=object)))
    return np.lexsort((np.asarray(ids), hilbert_distances(points.reshape(-1, 2), bounds)))


def boxes_of(shapes: NDArray[np.object_]) -> pa.StructArray:
    """Covering boxes; null if there is no shape."""
    return box_column(shapely.bounds(shapes).reshape(-1, 4), missing=shapely.is_missing(shapes))


def box_column(bounds: NDArray[np.float64], *, missing: NDArray[np.bool_] | None = None) -> pa.StructArray:
    """Covering boxes of (n, 4) bounds; null where `missing` (n,) is true."""
    sides = [pa.array(np.ascontiguousarray(side)) for side in bounds.T]
    mask = None if missing is None else pa.array(missing)
    return pa.StructArray.from_arrays(sides, fields=list(BBOX), mask=mask)


def covered_by(boxes: pa.ChunkedArray) -> Bounds | None:
    """West, south, east and north around all covering boxes, None if there are none."""
    ends = [pc.min_max(pc.struct_field(boxes, name)) for name in BBOX.names]
    west, south, east, north = (
        end[which].as_py() for end, which in zip(ends, ("min", "min", "max", "max"), strict=True)
    )
    return None if west is None else (west, south, east, north)


def _described(table: pa.Table, coverings: Mapping[str, str]) -> dict[str, object]:
    """The metadata `geo` of a file: that of geopandas, with the types and bounds of these geometries."""
    geo: dict[str, Any] = json.loads(_geo_template(tuple(coverings)))
    for name, box in coverings.items():
        column = geo["columns"][name]
        column["geometry_types"] = _type_names(table.column(name))
        if (bounds := covered_by(table.column(box))) is not None:
            column["bbox"] = list(bounds)
        column["covering"] = {"bbox": {side: [box, side] for side in BBOX.names}}
    return geo


@cache
def _geo_template(names: tuple[str, ...]) -> str:
    """The metadata that geopandas writes for a table with these geometry columns and no rows."""
    frame = geopandas.GeoDataFrame({name: geopandas.GeoSeries([], crs=LONLAT) for name in names})
    raw = BytesIO()
    frame.set_geometry(names[0]).to_parquet(raw, index=False, schema_version="1.1.0")
    return str((pq.read_schema(raw).metadata or {})[b"geo"], "utf-8")


def _type_names(wkb: pa.ChunkedArray) -> list[str]:
    """Names of the geometry types in a column, as the WKB headers give them."""
    headers = pc.binary_slice(wkb, 0, _HEADER_BYTES)
    kinds = pc.unique(headers).drop_null()
    firsts = [wkb[pc.index(headers, kind).as_py()].as_py() for kind in kinds]
    return sorted(
        {shape.geom_type + " Z" * shape.has_z for shape in shapely.from_wkb(np.array(firsts, dtype=object))}
    )


_HEADER_BYTES = 5
"""Bytes of a WKB header: byte order and type."""


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    """Paths of the leaf columns of Parquet, and their types."""
    for field in schema:
        if pa.types.is_struct(field.type):
            yield from ((f"{field.name}.{child.name}", child.type) for child in field.type)
        elif pa.types.is_list(field.type):
            yield f"{field.name}.list.element", field.type.value_type
        else:
            yield field.name, field.type


def _encoding(schema: pa.Schema, geometries: Collection[str]) -> dict[str, Any]:
    """Options for writing columns: geometries have no use for dictionaries or minimum and maximum values."""
    leaves = list(_leaves(schema))
    return {
        "compression": "zstd",
        "compression_level": ZSTD_LEVEL,
        "use_dictionary": [path for path, kind in leaves if pa.types.is_string(kind) and path != "id"],
        "write_statistics": [path for path, _ in leaves if path not in geometries],
    }


def _encoded(table: pa.Table, geo: dict[str, object], geometries: Collection[str]) -> memoryview:
    """The file's bytes; of all metadata only that of GeoParquet is written."""
    noted = table.replace_schema_metadata({b"geo": json.dumps(geo)})
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, noted.schema, **_encoding(noted.schema, geometries)) as writer:
        if len(noted):  # a row group without rows would have no statistics
            writer.write_table(noted, row_group_size=ROW_GROUP)
    return memoryview(sink.getvalue())
