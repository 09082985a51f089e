"""Rows of a result as data frames: the objects, and the answer to any SELECT."""

import duckdb
import geopandas
import pandas

from pipelines.results.export import filtered
from pipelines.results.export_request import ExportRequest
from pipelines.results.query import GEOMETRY_TYPE, again, open_dataset, plain_errors, select
from tiling.geo import LONLAT
from tiling.storage import Store


def objects_frame(store: Store, request: ExportRequest) -> geopandas.GeoDataFrame:
    """The objects of a result, or some of them, without the covering boxes that readers prune by.

    Args:
        store: the output folder.
        request: the question and the condition; options about files are ignored.

    Returns:
        A row for each object in the order of the files; `geometry`, which is active, `region` and `contour`
        are geometries in OGC:CRS84. Without objects it has the same columns and no rows.

    Raises:
        RequestError: the question or the condition is wrong, or the folder holds no published run.
        OSError: the storage refuses.
    """
    sql = f"SELECT * EXCLUDE (bbox, region_bbox) FROM objects{filtered(store, request)}"
    return geopandas.GeoDataFrame(query_frame(store, sql, unfinished=request.unfinished))


def query_frame(store: Store, sql: str, *, unfinished: bool = False) -> pandas.DataFrame:
    """The rows of one SELECT, in memory.

    Args:
        store: the output folder.
        sql: the statement; its views are objects, answers, texts and changes.
        unfinished: read what exists of a run that is not published.

    Returns:
        A GeoDataFrame where a column is a geometry, the first of which is active; else a DataFrame.

    Raises:
        RequestError: the statement is wrong, or the folder holds no published run.
        OSError: the storage refuses.
    """

    def answer() -> pandas.DataFrame:
        with open_dataset(store, unfinished=unfinished, sql=sql) as connection:
            return _frame(select(connection, sql))

    return again(answer)


def _frame(rows: duckdb.DuckDBPyRelation) -> pandas.DataFrame:
    with plain_errors():
        table = rows.to_arrow_table()
    kinds = dict(zip(rows.columns, map(str, rows.types), strict=True))
    if not any(kind.startswith("GEOMETRY") for kind in kinds.values()):
        plain: pandas.DataFrame = table.to_pandas()
        return plain
    frame: pandas.DataFrame = geopandas.GeoDataFrame.from_arrow(table)
    for name in (name for name, kind in kinds.items() if kind == GEOMETRY_TYPE):
        frame[name] = frame[name].set_crs(LONLAT, allow_override=True)  # names the CRS by its authority code
    return frame
