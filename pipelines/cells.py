"""The cells that objects are filed under: web-mercator quadkeys. Knows no object but its place."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import mercantile
import shapely

from pipelines.geoparquet import Bounds
from pipelines.storage import Store

MIN_ZOOM = 6
MAX_ZOOM = 12
MAX_OBJECTS = 100_000
"""Objects a cell should hold at most when the zoom is chosen."""
EMPTY_CELL = "0"
"""Cell of the empty file of a question that found nothing."""

_NAME = "objects/_cells.json"
_MAX_LATITUDE = 85.0


def quadkeys(geometries: Sequence[shapely.Geometry]) -> list[str]:
    """Quadkey at the deepest zoom of a point inside each geometry; its prefixes are the coarser cells."""
    points = shapely.point_on_surface(list(geometries))
    return [_quadkey(float(x), float(y)) for x, y in shapely.get_coordinates(points)]


def choose_zoom(counts: Mapping[str, int]) -> int:
    """Coarsest zoom at which no cell holds too many objects.

    Args:
        counts: objects per quadkey at the deepest zoom.
    """
    for zoom in range(MIN_ZOOM, MAX_ZOOM):
        if max(_coarser(counts, zoom).values(), default=0) <= MAX_OBJECTS:
            return zoom
    return MAX_ZOOM


def frozen_zoom(store: Store, counts: Mapping[str, int]) -> int:
    """Zoom of this output folder: chosen at the first merge, kept ever after."""
    if store.exists(_NAME):
        return int(json.loads(store.read(_NAME))["zoom"])
    zoom = choose_zoom(counts)
    store.write(_NAME, json.dumps({"zoom": zoom}).encode())
    return zoom


def cell_bounds(cell: str) -> Bounds:
    """West, south, east and north of a cell, degrees."""
    bounds = mercantile.bounds(mercantile.quadkey_to_tile(cell))
    return bounds.west, bounds.south, bounds.east, bounds.north


def _coarser(counts: Mapping[str, int], zoom: int) -> Counter[str]:
    total: Counter[str] = Counter()
    for key, count in counts.items():
        total[key[:zoom]] += count
    return total


def _quadkey(lon: float, lat: float) -> str:
    held = min(max(lat, -_MAX_LATITUDE), _MAX_LATITUDE)
    return str(mercantile.quadkey(mercantile.tile(lon, held, MAX_ZOOM)))
