"""Tables of places as GeoParquet 1.1 bytes, the same for the same rows. Knows no column's meaning."""

from collections.abc import Mapping, Sequence
from io import BytesIO

import geopandas
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

LONLAT = "OGC:CRS84"
ROW_GROUP = 50_000
BBOX = pa.struct([(name, pa.float64()) for name in ("xmin", "ymin", "xmax", "ymax")])
"""Type of the covering column."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


def geoparquet_bytes(
    columns: Mapping[str, Sequence[object]], schema: pa.Schema, geometries: Sequence[str]
) -> bytes:
    """Encode rows with longitude-latitude geometries, bbox covering and zstd.

    Args:
        columns: column name to values; geometries as shapely objects.
        schema: Arrow types and order of all columns, a `bbox` among them.
        geometries: names of the geometry columns, the primary one first.
    """
    plain = {name: pd.Series(list(values), dtype=object) for name, values in columns.items()}
    frame = geopandas.GeoDataFrame(plain)
    for name in geometries:
        frame[name] = geopandas.GeoSeries(list(columns[name]), crs=LONLAT)
    frame = frame.set_geometry(geometries[0])
    raw = BytesIO()
    frame.to_parquet(raw, index=False, write_covering_bbox=True, schema_version="1.1.0", compression=None)
    return _with_schema(raw, schema)


def hilbert_order(
    geometries: Sequence[shapely.Geometry], bounds: Bounds, ids: Sequence[str]
) -> NDArray[np.int64]:
    """Order of places along a Hilbert curve over fixed bounds; ties stand by id."""
    points = geopandas.GeoSeries(shapely.point_on_surface(np.asarray(geometries, dtype=object)), crs=LONLAT)
    distance = points.hilbert_distance(total_bounds=bounds).to_numpy()
    return np.lexsort((np.asarray(ids), distance))


def _with_schema(raw: BytesIO, schema: pa.Schema) -> bytes:
    """Give columns their declared types (an empty or all-null column has none) and drop pandas' notes."""
    table = pq.read_table(raw)
    geo = (table.schema.metadata or {})[b"geo"]
    typed = table.select(schema.names).cast(schema).replace_schema_metadata({b"geo": geo})
    sink = BytesIO()
    pq.write_table(typed, sink, compression="zstd", compression_level=15, row_group_size=ROW_GROUP)
    return sink.getvalue()
