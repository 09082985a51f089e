"""Spatial SQL functions by shapely, which DuckDB itself has only in an extension from the network."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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
"""Functions of two geometries that give true or false."""
MEASURES: Mapping[str, Callable[[_Shapes], NDArray[np.float64]]] = {
    "ST_X": shapely.get_x,
    "ST_Y": shapely.get_y,
}
"""Functions of a point that give a number, degrees."""


def _multi(shapes: _Shapes) -> _Shapes:
    """Single geometries as collections of one part; collections stay as they are."""
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
"""Functions of a geometry that give a geometry."""
MACROS: Mapping[str, str] = {
    "in_box": "in_box(box, west, south, east, north) AS "
    "box.xmax >= west AND box.xmin <= east AND box.ymax >= south AND box.ymin <= north",
    "ST_GeomFromText": "ST_GeomFromText(wkt) AS wkt::GEOMETRY",
}
"""SQL macros; `in_box` lets DuckDB skip row groups, because it compares the sides of the covering box."""


_Column: TypeAlias = pa.ChunkedArray
_Function = Callable[..., pa.Array]


@dataclass(frozen=True, slots=True)
class _SqlFunction:
    """A function in Python, and the SQL macro that users call."""

    act: _Function
    """The function on columns of WKB or numbers."""
    takes: Sequence[str]
    """Types of its arguments."""
    gives: str
    """Type of its result."""
    macro: str
    """The macro's definition after its name; `{}` is replaced by the function's own name."""

    def to(self, connection: duckdb.DuckDBPyConnection, name: str) -> None:
        """Register it on a connection."""
        given: list[Any] = [duckdb.sqltype(kind) for kind in self.takes]
        gives = duckdb.sqltype(self.gives)
        connection.create_function(f"_{name}", self.act, given, gives, type=PythonUDFType.ARROW)
        connection.execute(f"CREATE MACRO {name}{self.macro.format(f'_{name}')}")


def add_functions(connection: duckdb.DuckDBPyConnection, sql: str = "") -> None:
    """Register the functions on a connection.

    Args:
        connection: the connection.
        sql: the query to be run; only functions that it names are registered, or all if it is empty.
    """
    for name, added in _functions().items():
        if named(name, sql):
            added.to(connection, name)
    for name, macro in MACROS.items():
        if named(name, sql):
            connection.execute(f"CREATE MACRO {macro}")


def named(name: str, sql: str) -> bool:
    """Whether SQL contains a name, or is empty."""
    return not sql or re.search(rf"\b{name}\b", sql, re.IGNORECASE) is not None


@cache
def _functions() -> Mapping[str, _SqlFunction]:
    blob = ["BLOB"]
    two, number = "(a, b) AS {}(ST_AsWKB(a), ST_AsWKB(b))", "(a) AS {}(ST_AsWKB(a))"
    shape, corners = "(a) AS ST_GeomFromWKB({}(ST_AsWKB(a)))", "west, south, east, north"
    return {
        **{name: _SqlFunction(_two(act), blob * 2, "BOOLEAN", two) for name, act in PREDICATES.items()},
        **{name: _SqlFunction(_number(act), blob, "DOUBLE", number) for name, act in MEASURES.items()},
        **{name: _SqlFunction(_shape(act), blob, "BLOB", shape) for name, act in MAKERS.items()},
        "ST_Point": _SqlFunction(
            _points, ["DOUBLE"] * 2, "BLOB", "(lon, lat) AS ST_GeomFromWKB({}(lon, lat))"
        ),
        "ST_MakeEnvelope": _SqlFunction(
            _boxes, ["DOUBLE"] * 4, "BLOB", f"({corners}) AS ST_GeomFromWKB({{}}({corners}))"
        ),
    }


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
