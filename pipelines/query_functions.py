"""Spatial functions that DuckDB has only with an extension from a network, by shapely. Knows no table."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import shapely
from duckdb.func import PythonUDFType
from numpy.typing import NDArray

_Shapes = NDArray[np.object_]

PREDICATES: Mapping[str, Callable[[_Shapes, _Shapes], NDArray[np.bool_]]] = {
    "ST_Intersects": shapely.intersects,
    "ST_Contains": shapely.contains,
    "ST_Within": shapely.within,
    "ST_Touches": shapely.touches,
    "ST_Overlaps": shapely.overlaps,
    "ST_Disjoint": shapely.disjoint,
}
"""Two geometries to true or false."""
MEASURES: Mapping[str, Callable[[_Shapes], NDArray[np.float64]]] = {
    "ST_X": shapely.get_x,
    "ST_Y": shapely.get_y,
}
"""A point to a number, degrees."""


def _multi(shapes: _Shapes) -> _Shapes:
    """Single parts as collections of one; what is a collection stays."""
    several = shapes.copy()
    kinds = shapely.get_type_id(shapes)
    for kind, collect in (
        (0, shapely.multipoints),
        (1, shapely.multilinestrings),
        (3, shapely.multipolygons),
    ):
        chosen = np.flatnonzero(kinds == kind)
        several[chosen] = collect(shapes[chosen], indices=np.arange(len(chosen))) if len(chosen) else []
    return several


MAKERS: Mapping[str, Callable[[_Shapes], _Shapes]] = {
    "ST_Centroid": shapely.centroid,
    "ST_PointOnSurface": shapely.point_on_surface,
    "ST_Envelope": shapely.envelope,
    "ST_ConvexHull": shapely.convex_hull,
    "ST_Boundary": shapely.boundary,
    "ST_MakeValid": shapely.make_valid,
    "ST_Multi": _multi,
}
"""A geometry to a geometry."""
MACROS = (
    "in_box(box, west, south, east, north) AS "
    "box.xmax >= west AND box.xmin <= east AND box.ymax >= south AND box.ymin <= north",
    "ST_Point(lon, lat) AS ST_GeomFromWKB(_ST_Point(lon, lat))",
    "ST_MakeEnvelope(west, south, east, north) AS ST_GeomFromWKB(_ST_MakeEnvelope(west, south, east, north))",
    "ST_GeomFromText(wkt) AS wkt::GEOMETRY",
)
"""SQL macros; `in_box` is the one that prunes, because it names the sides of the covering box."""


def add_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection."""
    add = partial(_add, connection)
    for name, predicate in PREDICATES.items():
        add(name, _two(predicate), takes=["BLOB", "BLOB"], gives="BOOLEAN")
        connection.execute(f"CREATE MACRO {name}(a, b) AS _{name}(ST_AsWKB(a), ST_AsWKB(b))")
    for name, measure in MEASURES.items():
        add(name, _number(measure), takes=["BLOB"], gives="DOUBLE")
        connection.execute(f"CREATE MACRO {name}(a) AS _{name}(ST_AsWKB(a))")
    for name, maker in MAKERS.items():
        add(name, _shape(maker), takes=["BLOB"], gives="BLOB")
        connection.execute(f"CREATE MACRO {name}(a) AS ST_GeomFromWKB(_{name}(ST_AsWKB(a)))")
    add("ST_Point", _points, takes=["DOUBLE"] * 2, gives="BLOB")
    add("ST_MakeEnvelope", _boxes, takes=["DOUBLE"] * 4, gives="BLOB")
    for macro in MACROS:
        connection.execute(f"CREATE MACRO {macro}")


_Column: TypeAlias = pa.ChunkedArray
_Function = Callable[..., pa.Array]


def _add(
    connection: duckdb.DuckDBPyConnection, name: str, act: _Function, *, takes: Sequence[str], gives: str
) -> None:
    given: list[Any] = [duckdb.sqltype(kind) for kind in takes]
    connection.create_function(f"_{name}", act, given, duckdb.sqltype(gives), type=PythonUDFType.ARROW)


def _shapes(column: _Column) -> _Shapes:
    return np.asarray(shapely.from_wkb(column.to_numpy()), dtype=object)


def _two(predicate: Callable[[_Shapes, _Shapes], NDArray[np.bool_]]) -> _Function:
    return lambda a, b: pa.array(predicate(_shapes(a), _shapes(b)), pa.bool_())


def _number(measure: Callable[[_Shapes], NDArray[np.float64]]) -> _Function:
    return lambda a: pa.array(measure(_shapes(a)), pa.float64())


def _shape(maker: Callable[[_Shapes], _Shapes]) -> _Function:
    return lambda a: pa.array(shapely.to_wkb(maker(_shapes(a))), pa.binary())


def _points(lon: _Column, lat: _Column) -> pa.Array:
    return pa.array(shapely.to_wkb(shapely.points(lon.to_numpy(), lat.to_numpy())), pa.binary())


def _boxes(west: _Column, south: _Column, east: _Column, north: _Column) -> pa.Array:
    boxes = shapely.box(west.to_numpy(), south.to_numpy(), east.to_numpy(), north.to_numpy())
    return pa.array(shapely.to_wkb(boxes), pa.binary())
