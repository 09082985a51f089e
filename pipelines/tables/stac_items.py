"""The STAC Item that is written beside the file of a cell, with the same bytes for the same rows."""

import hashlib
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc
import pystac
import shapely
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.table import TableExtension

from pipelines.tables.schema import OBJECT_COLUMNS, Bounds, Column
from tiling.geo import LONLAT

ITEM_FILE = "_item.json"
"""Name of the item; readers of whole folders skip names that begin with an underscore."""
PARQUET = "application/vnd.apache.parquet"
_COLLECTION = "../../../collection.json"
_SHA256_MULTIHASH = "1220"
"""Prefix of a SHA-256 digest of 32 bytes in a multihash."""
_EVER = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
"""Interval of scenes without a time: STAC requires an interval, and items must not have an open one."""


def item_bytes(data: memoryview, *, name: str, cell: Bounds, rows: pa.Table, bounds: Bounds) -> bytes:
    """The item beside a cell's file.

    Args:
        data: the file's bytes.
        name: id of the item.
        cell: west, south, east and north of the cell, degrees.
        rows: the objects; of their values those of `datetime` are read.
        bounds: west, south, east and north of the objects, degrees; an object may reach out of its cell.
    """
    first, last = _interval(rows)
    times = (
        {"datetime": first}
        if first == last
        else {"datetime": None, "start_datetime": first, "end_datetime": last}
    )
    outline = json.loads(shapely.to_geojson(shapely.box(*cell)))
    item = pystac.Item(name, geometry=outline, bbox=list(cell), properties={}, **times)
    item.add_asset("objects", pystac.Asset("./objects.parquet", media_type=PARQUET, roles=["data"]))
    file = FileExtension.ext(item.assets["objects"], add_if_missing=True)
    file.apply(size=len(data), checksum=_SHA256_MULTIHASH + hashlib.sha256(data).hexdigest())
    place = ProjectionExtension.ext(item.assets["objects"], add_if_missing=True)
    place.apply(code=LONLAT, bbox=list(bounds))
    table = TableExtension.ext(item, add_if_missing=True)
    table.row_count, table.primary_geometry = len(rows), "geometry"
    item.properties["table:columns"] = table_columns()
    for relation in ("root", "parent"):
        item.add_link(pystac.Link(relation, _COLLECTION, media_type=pystac.MediaType.JSON))
    record = item.to_dict(include_self_link=False, transform_hrefs=False)
    return json.dumps(record, indent=2, sort_keys=True).encode()


def _interval(rows: pa.Table) -> tuple[datetime, datetime]:
    """Earliest and latest time of the rows; all times where one of them has none."""
    times = rows.column("datetime")
    if times.null_count or not len(times):
        return _EVER
    ends = pc.min_max(times).as_py()
    return ends["min"], ends["max"]


def table_columns() -> list[dict[str, str]]:
    """The columns of `objects` in the form of STAC's table extension."""
    return [_described(column) for column in OBJECT_COLUMNS]


def _described(column: Column) -> dict[str, str]:
    return {"name": column.name, "type": _type_name(column.type), "description": column.meaning}


def _type_name(kind: pa.DataType) -> str:
    return str(kind).replace("double", "float64")
