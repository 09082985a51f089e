"""Rings as columns of well-known binary. Most shapes are one ring: all of a length are written at once.

Source: OGC Simple Feature Access, part 1 (06-103r4), section 8.2; shapely writes whatever is not one ring.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from tiling.ragged import runs_of
from tiling.rings import Rings

_LITTLE = b"\x01"
_POLYGON, _LINE, _LINES = (np.uint32(kind).tobytes() for kind in (3, 2, 5))
_ONE = np.uint32(1).tobytes()

Written = Callable[[NDArray[np.object_]], NDArray[np.object_]]
"""Makes geometries of polygons and multipolygons."""


def polygon_column(rings: Rings) -> pa.BinaryArray:
    """Polygons and multipolygons (n,) of the rings."""
    return _column(rings, _LITTLE + _POLYGON + _ONE, lambda shapes: shapes)


def line_column(rings: Rings) -> pa.BinaryArray:
    """Multilinestrings (n,) of the rings."""
    return _column(rings, _LITTLE + _LINES + _ONE + _LITTLE + _LINE, _lines)


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
