"""Polygon arrays to Arrow columns of well-known binary, and back; rings of equal length are written together.

Source: OGC Simple Feature Access, part 1 (06-103r4), section 8.2. Shapes of more than one ring are left to
shapely.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from tiling.geo.groups import group_by
from tiling.geo.polygon_array import PolygonArray, interleaved, polygons_from_rings, polygons_from_shapes

_LITTLE = b"\x01"
_POLYGON, _LINE, _LINES = (np.uint32(kind).tobytes() for kind in (3, 2, 5))
_ONE = np.uint32(1).tobytes()
_TO_THE_END = 2**31 - 1
"""End of a slice of values; Arrow 26 fails without one."""


def polygon_column(polygons: PolygonArray) -> pa.BinaryArray:
    """A column (n,) of polygons and multipolygons."""
    return _column(polygons, _LITTLE + _POLYGON + _ONE, lambda shapes: shapes)


def line_column(polygons: PolygonArray) -> pa.BinaryArray:
    """A column (n,) of the polygons' rings as multilinestrings."""
    return _column(polygons, _LITTLE + _LINES + _ONE + _LITTLE + _LINE, _lines)


def polygons_from_wkb(column: pa.BinaryArray) -> PolygonArray:
    """Polygons and multipolygons (n,) from a column without nulls."""
    before = _LITTLE + _POLYGON + _ONE
    simple = pc.equal(pc.binary_slice(column, 0, len(before)), before).to_numpy(zero_copy_only=False)
    if simple.all():
        return _plain_rings(column, len(before) + len(_ONE))
    some, others = np.flatnonzero(simple), np.flatnonzero(~simple)
    shapes = shapely.from_wkb(column.take(pa.array(others)).to_numpy(zero_copy_only=False))
    return interleaved(
        (polygons_from_wkb(column.take(pa.array(some))), some), (polygons_from_shapes(shapes), others)
    )


def _plain_rings(column: pa.BinaryArray, head: int) -> PolygonArray:
    """Polygons from values that hold the points of one ring after a header of `head` bytes."""
    _, ends, data = pc.binary_slice(column, head, _TO_THE_END).buffers()
    starts = np.frombuffer(ends, dtype=np.int32)[: len(column) + 1].astype(np.int64) // 16
    points = np.frombuffer(data or b"", dtype="<f8", count=2 * starts[-1])
    return polygons_from_rings(points.reshape(-1, 2), starts)


def _column(
    polygons: PolygonArray, before: bytes, make: Callable[[NDArray[np.object_]], NDArray[np.object_]]
) -> pa.BinaryArray:
    """One value per shape: the bytes before the count of points, the count, and the points."""
    simple = polygons.simple
    single, others = np.flatnonzero(simple), np.flatnonzero(~simple)
    whole = polygons if not len(others) else polygons.take(single)
    groups = list(group_by(np.diff(whole.starts)))
    arrays = [_equal(whole, group, before) for group in groups]
    if len(others):
        arrays.append(pa.array(shapely.to_wkb(make(polygons.take(others).shapes())), pa.binary()))
    if not arrays:
        return pa.array([], pa.binary())
    if len(arrays) == 1:
        return arrays[0]
    order = np.argsort(np.concatenate([*(single[group] for group in groups), others]))
    return pa.concat_arrays(arrays).take(pa.array(order))


def _equal(polygons: PolygonArray, group: NDArray[np.int64], before: bytes) -> pa.BinaryArray:
    """Values of shapes whose rings have the same number of points."""
    count = int(polygons.starts[group[0] + 1] - polygons.starts[group[0]])
    head = np.frombuffer(before + np.uint32(count).tobytes(), dtype=np.uint8)
    points = polygons.points[polygons.starts[group][:, None] + np.arange(count)]
    values = np.empty((len(group), len(head) + 16 * count), dtype=np.uint8)
    values[:, : len(head)] = head
    values[:, len(head) :] = np.ascontiguousarray(points).reshape(len(group), -1).view(np.uint8)
    ends = np.arange(len(group) + 1, dtype=np.int32) * values.shape[1]
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(group), [None, pa.py_buffer(ends), pa.py_buffer(values)]
    )


def _lines(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    linear_rings, polygon = shapely.get_rings(parts, return_index=True)
    return np.asarray(shapely.multilinestrings(linear_rings, indices=owner[polygon]), dtype=object).reshape(
        -1
    )
