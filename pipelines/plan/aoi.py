"""The area of interest: reads a vector file as one shape in longitude and latitude, for the plan."""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import geopandas
import numpy as np
import shapely

from pipelines import RequestError
from tiling import SceneError
from tiling.geo import LONLAT, parts_of, to_lonlat
from tiling.storage import Store

TABLES = (".parquet", ".geoparquet")
"""Endings of files that are read as GeoParquet; all others are left to GDAL."""

_UNREADABLE = (OSError, ValueError, RuntimeError)  # GDAL's own errors come as RuntimeError


def read_aoi(uri: str) -> shapely.Geometry:
    """Read an area of interest.

    Args:
        uri: a vector file of any format and CRS, local or s3://; the area is the union of its polygons.

    Returns:
        Polygon or MultiPolygon in OGC:CRS84, split at ±180°.

    Raises:
        RequestError: the file cannot be read, says no CRS, or holds no polygon.
    """
    table = _table(uri)
    if not isinstance(table, geopandas.GeoDataFrame) or not len(table):
        raise RequestError("aoi", f"{uri} holds no shapes", "give a file with a polygon")
    if table.crs is None:
        raise RequestError(
            "aoi", f"{uri} does not say its CRS", "assign one, for example with ogr2ogr -a_srs"
        )
    shapes = np.asarray(shapely.force_2d(table.geometry.dropna().to_numpy()), dtype=object)
    polygons = parts_of(shapely.make_valid(shapes, method="structure"))
    if not len(polygons):
        raise RequestError("aoi", f"{uri} holds no polygon", "give an area, not points or lines")
    try:
        placed = to_lonlat(polygons, table.crs.to_wkt())
    except SceneError as error:
        raise RequestError("aoi", f"{uri} cannot be placed ({error.reason})", "check its CRS") from error
    united: shapely.Geometry = shapely.union_all(shapely.make_valid(placed, method="structure"))
    return united


def aoi_bytes(aoi: shapely.Geometry) -> bytes:
    """The area as a GeoParquet file of one row."""
    sink = BytesIO()
    geopandas.GeoDataFrame(geometry=[aoi], crs=LONLAT).to_parquet(sink, index=False)
    return sink.getvalue()


def aoi_from(data: bytes) -> shapely.Geometry:
    """The area that such a file holds.

    Raises:
        ValueError: the bytes are not such a file.
    """
    shape: shapely.Geometry = geopandas.read_parquet(BytesIO(data)).geometry.iloc[0]
    return shape


def _table(uri: str) -> object:
    try:
        if uri.lower().endswith(TABLES):
            return geopandas.read_parquet(BytesIO(_bytes(uri)))
        if "://" not in uri:
            return geopandas.read_file(uri)
        with TemporaryDirectory(prefix="remotereasoner-") as folder:
            local = Path(folder) / uri.rpartition("/")[2]  # the ending says the format
            local.write_bytes(_bytes(uri))
            return geopandas.read_file(local)
    except _UNREADABLE as error:
        message = " ".join(str(error).split())
        raise RequestError(
            "aoi", f"{uri} cannot be read ({message})", "give a vector file such as area.geojson"
        ) from error


def _bytes(uri: str) -> bytes:
    folder, _, name = uri.rpartition("/")
    return Store(folder or ".").read(name)
