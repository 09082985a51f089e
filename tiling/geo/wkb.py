"""Rings as columns of well-known binary. Most shapes are one ring: all of a length are written at once.

Source: OGC Simple Feature Access, part 1 (06-103r4), section 8.2; shapely writes whatever is not one ring.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from tiling.geo.groups import runs_of
from tiling.geo.polygon_array import Rings, in_places, one_ring_each, rings_of

_LITTLE = b"\x01"
_POLYGON, _LINE, _LINES = (np.uint32(kind).tobytes() for kind in (3, 2, 5))
_ONE = np.uint32(1).tobytes()
_TO_THE_END = 2**31 - 1
"""Of values; Arrow 26 fails without an end."""

Written = Callable[[NDArray[np.object_]], NDArray[np.object_]]
"""Makes geometries of polygons and multipolygons."""


def polygon_column(rings: Rings) -> pa.BinaryArray:
    """Polygons and multipolygons (n,) of the rings."""
    return _column(rings, _LITTLE + _POLYGON + _ONE, lambda shapes: shapes)


def line_column(rings: Rings) -> pa.BinaryArray:
    """Multilinestrings (n,) of the rings."""
    return _column(rings, _LITTLE + _LINES + _ONE + _LITTLE + _LINE, _lines)


def polygon_rings(column: pa.BinaryArray) -> Rings:
    """The rings of polygons and multipolygons (n,) of a column without nulls."""
    before = _LITTLE + _POLYGON + _ONE
    simple = pc.equal(pc.binary_slice(column, 0, len(before)), before).to_numpy(zero_copy_only=False)
    if simple.all():
        return _plain_rings(column, len(before) + len(_ONE))
    some, others = np.flatnonzero(simple), np.flatnonzero(~simple)
    shapes = shapely.from_wkb(column.take(pa.array(others)).to_numpy(zero_copy_only=False))
    return in_places((polygon_rings(column.take(pa.array(some))), some), (rings_of(shapes), others))


def _plain_rings(column: pa.BinaryArray, head: int) -> Rings:
    """Rings of values that are points only, behind a head of so many bytes."""
    _, ends, data = pc.binary_slice(column, head, _TO_THE_END).buffers()
    starts = np.frombuffer(ends, dtype=np.int32)[: len(column) + 1].astype(np.int64) // 16
    points = np.frombuffer(data or b"", dtype="<f8", count=2 * starts[-1])
    return one_ring_each(points.reshape(-1, 2), starts)


def _column(rings: Rings, before: bytes, make: Written) -> pa.BinaryArray:
    """One value per shape: what stands before the count of points, the count, and the points."""
    simple = rings.simple
    single, others = np.flatnonzero(simple), np.flatnonzero(~simple)
    whole = rings if not len(others) else rings.take(single)
    groups = list(runs_of(np.diff(whole.starts)))
    arrays = [_equal(whole, group, before) for group in groups]
    if len(others):
        arrays.append(pa.array(shapely.to_wkb(make(rings.take(others).shapes())), pa.binary()))
    if not arrays:
        return pa.array([], pa.binary())
    if len(arrays) == 1:
        return arrays[0]
    order = np.argsort(np.concatenate([*(single[group] for group in groups), others]))
    return pa.concat_arrays(arrays).take(pa.array(order))


def _equal(rings: Rings, group: NDArray[np.int64], before: bytes) -> pa.BinaryArray:
    """Values of shapes whose rings have the same number of points."""
    count = int(rings.starts[group[0] + 1] - rings.starts[group[0]])
    head = np.frombuffer(before + np.uint32(count).tobytes(), dtype=np.uint8)
    points = rings.points[rings.starts[group][:, None] + np.arange(count)]
    values = np.empty((len(group), len(head) + 16 * count), dtype=np.uint8)
    values[:, : len(head)] = head
    values[:, len(head) :] = np.ascontiguousarray(points).reshape(len(group), -1).view(np.uint8)
    ends = np.arange(len(group) + 1, dtype=np.int32) * values.shape[1]
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(group), [None, pa.py_buffer(ends), pa.py_buffer(values)]
    )


def _lines(shapes: NDArray[np.object_]) -> NDArray[np.object_]:
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings, polygon = shapely.get_rings(parts, return_index=True)
    return np.asarray(shapely.multilinestrings(rings, indices=owner[polygon]), dtype=object).reshape(-1)
