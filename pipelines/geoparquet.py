"""Tables of places as GeoParquet 1.1 bytes, the same for the same rows. Knows no column's meaning."""

import json
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
BBOX = pa.struct([(side, pa.float64()) for side in ("xmin", "ymin", "xmax", "ymax")])
"""Type of the covering column."""

Bounds = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


def geoparquet_bytes(
    columns: Mapping[str, Sequence[object]], schema: pa.Schema, coverings: Mapping[str, str]
) -> bytes:
    """Encode rows with longitude-latitude geometries, covering boxes and zstd.

    Args:
        columns: column name to values, without the covering boxes; geometries as shapely objects or None.
        schema: Arrow types and order of all columns, covering boxes among them.
        coverings: geometry column to the column of its covering box, the primary geometry first.
    """
    plain = {name: pd.Series(list(values), dtype=object) for name, values in columns.items()}
    frame = geopandas.GeoDataFrame(plain)
    for name in coverings:
        frame[name] = geopandas.GeoSeries(list(columns[name]), crs=LONLAT)
    raw = BytesIO()
    frame.set_geometry(next(iter(coverings))).to_parquet(raw, index=False, schema_version="1.1.0")
    table = pq.read_table(raw)
    geo = json.loads((table.schema.metadata or {})[b"geo"])
    for name, box in coverings.items():
        geo["columns"][name]["covering"] = {"bbox": {side: [box, side] for side in BBOX.names}}
        if box not in table.column_names:
            table = table.append_column(box, _boxes(columns[name]))
    return _encoded(table.select(schema.names).cast(schema), geo)


def hilbert_order(
    geometries: Sequence[shapely.Geometry], bounds: Bounds, ids: Sequence[str]
) -> NDArray[np.int64]:
    """Order of places along a Hilbert curve over fixed bounds; ties stand by id."""
    points = geopandas.GeoSeries(shapely.point_on_surface(np.asarray(geometries, dtype=object)), crs=LONLAT)
    distance = points.hilbert_distance(total_bounds=bounds).to_numpy()
    return np.lexsort((np.asarray(ids), distance))


def _boxes(shapes: Sequence[object]) -> pa.StructArray:
    """Covering boxes; null where there is no shape."""
    places = np.asarray(shapes, dtype=object)
    bounds = shapely.bounds(places).reshape(-1, 4)
    sides = [pa.array(side) for side in bounds.T]
    return pa.StructArray.from_arrays(sides, fields=list(BBOX), mask=pa.array(shapely.is_missing(places)))


def _encoded(table: pa.Table, geo: dict[str, object]) -> bytes:
    """The file's bytes; of all notes only GeoParquet's own stay."""
    noted = table.replace_schema_metadata({b"geo": json.dumps(geo)})
    sink = BytesIO()
    with pq.ParquetWriter(sink, noted.schema, compression="zstd", compression_level=15) as writer:
        if len(noted):  # a row group without rows would have no statistics
            writer.write_table(noted, row_group_size=ROW_GROUP)
    return sink.getvalue()
