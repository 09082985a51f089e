"""The cells that objects are stored in: web-mercator quadkeys of points, and the choice of their zoom."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import mercantile
import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from pipelines.tables.schema import Bounds
from tiling.geo import LONLAT, PolygonArray, contain
from tiling.storage import Store

MIN_ZOOM = 6
MAX_ZOOM = 12
CELL_BYTES = 100_000_000
"""Maximum bytes of well-known binary in a cell when the zoom is chosen; the cell's file, compressed and with
all other columns, takes some 85 % of that."""
EMPTY_CELL = "0"
"""Cell of the empty file of a question that found nothing."""

_NAME = "objects/_cells.json"
_SIDE = 2**MAX_ZOOM
"""Deepest cells from west to east."""
_MAX_LATITUDE = 85.0


@dataclass(frozen=True, slots=True)
class CellPoints:
    """Points by which objects are assigned to cells and ordered."""

    points: NDArray[np.float64]
    """(n, 2) longitude and latitude of a point inside each, degrees."""
    cells: NDArray[np.object_]
    """(n,) quadkey at the deepest zoom of that point; its prefixes are the coarser cells."""


def cell_points(rings: PolygonArray, bounds: NDArray[np.float64]) -> CellPoints:
    """A point inside each shape, and the deepest cell that contains it.

    The point is the middle of the shape's bounding box if that is inside the shape, else any point inside.

    Args:
        rings: polygons and multipolygons, longitude and latitude, degrees.
        bounds: (n, 4) west, south, east and north of each, degrees.
    """
    points = (bounds[:, :2] + bounds[:, 2:]) / 2
    outside = np.flatnonzero(~contain(rings, points))
    if len(outside):
        found = shapely.point_on_surface(rings.take(outside).shapes())
        points[outside] = shapely.get_coordinates(found)
    return CellPoints(points, quadkeys(points))


def quadkeys(points: NDArray[np.float64]) -> NDArray[np.object_]:
    """Quadkeys (n,) at the deepest zoom of points (n, 2), longitude and latitude, degrees."""
    x, y = _tiles(points).T
    numbers, which = np.unique(y * _SIDE + x, return_inverse=True)
    keys = np.empty(len(numbers), dtype=object)
    keys[:] = [mercantile.quadkey(int(number % _SIDE), int(number // _SIDE), MAX_ZOOM) for number in numbers]
    return keys[which]


def _tiles(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """(n, 2) column and row of the deepest cells, from the left and from the top."""
    latitude = np.clip(points[:, 1], -_MAX_LATITUDE, _MAX_LATITUDE)
    x, y = _mercator().transform(points[:, 0], latitude)
    half = float(_mercator().transform(180.0, 0.0)[0])
    share = np.column_stack((x + half, half - y)) / (2 * half)
    return np.asarray(np.clip(np.floor(share * _SIDE), 0, _SIDE - 1), dtype=np.int64)


@cache
def _mercator() -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(LONLAT), CRS.from_user_input("EPSG:3857"), always_xy=True)


def choose_zoom(sizes: Mapping[str, int]) -> int:
    """The coarsest zoom at which no cell holds too many bytes.

    Args:
        sizes: bytes of well-known binary per quadkey at the deepest zoom.
    """
    for zoom in range(MIN_ZOOM, MAX_ZOOM):
        if max(_coarser(sizes, zoom).values(), default=0) <= CELL_BYTES:
            return zoom
    return MAX_ZOOM


def frozen_zoom(store: Store, sizes: Mapping[str, int]) -> int:
    """The zoom of an output folder, chosen at its first merge and never changed."""
    if store.exists(_NAME):
        return int(json.loads(store.read(_NAME))["zoom"])
    zoom = choose_zoom(sizes)
    store.write(_NAME, json.dumps({"zoom": zoom}).encode())
    return zoom


def cell_bounds(cell: str) -> Bounds:
    """West, south, east and north of a cell, degrees."""
    bounds = mercantile.bounds(mercantile.quadkey_to_tile(cell))
    return bounds.west, bounds.south, bounds.east, bounds.north


def _coarser(sizes: Mapping[str, int], zoom: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, size in sizes.items():
        total[key[:zoom]] += size
    return total
