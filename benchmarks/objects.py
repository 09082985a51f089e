"""Makes a result of many objects over a country, for the benchmark `querying`; kept for the next call."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from benchmarks.settings import Settings
from pipelines.tables.cells import MAX_ZOOM, choose_zoom, quadkeys
from pipelines.tables.collection import COLLECTION_FILE
from pipelines.tables.geoparquet import ROW_GROUP, boxes_of
from pipelines.tables.objects import GEOMETRIES, PART_SCHEMA, POINT, row_bytes, write_cell
from pipelines.tables.schema import Bounds
from reasoner.query import Query
from tiling.storage.store import Store

COUNTRY: Bounds = (2.0, 45.0, 7.0, 50.0)
"""West, south, east and north of where the objects are, degrees."""
QUERY = Query("Where could a helicopter land?")
_CORNERS = 12
_METRE = 1 / 111_320
"""Degrees of latitude."""


def many_objects(settings: Settings) -> Path:
    """Folder of the published result; its objects lie evenly over the country."""
    folder = settings.out / f"objects-{settings.objects}-{ROW_GROUP}"
    store = Store(str(folder))
    if store.exists(COLLECTION_FILE):
        return folder
    names = [write_cell(store, QUERY.id, cell, part) for cell, part in _cells(settings.objects)]
    assets = {name: {"href": f"./{name}"} for name in names}
    store.write(COLLECTION_FILE, json.dumps({"assets": assets}).encode())
    return folder


def _cells(count: int) -> Iterator[tuple[str, pa.Table]]:
    """Cells and their rows."""
    draw = np.random.default_rng(0)
    west, south, east, north = COUNTRY
    places = np.column_stack([draw.uniform(west, east, count), draw.uniform(south, north, count)])
    keys = quadkeys(places).astype(np.str_)
    size = row_bytes(object_rows(places[:1000], keys[:1000]))
    zoom = choose_zoom({key: size * rows for key, rows in Counter(keys.tolist()).items()})
    cells = keys.astype(f"<U{min(zoom, MAX_ZOOM)}")
    order = np.argsort(cells, kind="stable")
    for chosen in np.split(order, np.flatnonzero(cells[order][1:] != cells[order][:-1]) + 1):
        yield str(cells[chosen[0]]), object_rows(places[chosen], keys[chosen])


def object_rows(places: NDArray[np.float64], keys: NDArray[np.str_]) -> pa.Table:
    """Rows of objects at these positions, in the form that the merge gives them."""
    count = len(places)
    draw = np.random.default_rng(count)
    outlines = _outlines(places, draw)
    shapes = {
        "geometry": outlines,
        "region": shapely.envelope(outlines),
        "contour": shapely.multilinestrings(shapely.get_exterior_ring(outlines), indices=np.arange(count)),
    }
    tiles = np.char.add("scene-0042/r", draw.integers(1000, 1400, count).astype(str))
    ones = np.arange(count + 1, dtype=np.int32)
    values: dict[str, object] = {
        "id": pa.array([f"{value:024x}" for value in draw.integers(0, 1 << 62, count).tolist()]),
        "query_id": [QUERY.id] * count,
        "query": [QUERY.text] * count,
        "label": [""] * count,
        "score": draw.uniform(0.5, 1.0, count),
        "area_m2": draw.uniform(100.0, 2_000.0, count),
        "n_fragments": draw.integers(1, 4, count),
        "tile_ids": pa.ListArray.from_arrays(pa.array(ones), pa.array(tiles.tolist())),
        "touches_scene_edge": draw.random(count) < 0.05,
        "valid_fraction": np.ones(count),
        "thinking": [f"flat, open ground of about {side} metres" for side in draw.integers(10, 60, count)],
        "scene_ids": pa.ListArray.from_arrays(pa.array(ones), pa.array(["scene-0042"] * count)),
        "datetime": pa.nulls(count, PART_SCHEMA.field("datetime").type),
        "run_id": ["0123456789abcdef"] * count,
        "cell": pa.array(keys.tolist()),
        "bbox": boxes_of(outlines),
        "region_bbox": boxes_of(outlines),
        **dict(zip(POINT, places.T, strict=True)),
        **{name: pa.array(shapely.to_wkb(shapes[name])) for name in GEOMETRIES},
    }
    columns = [pa.array(values[field.name]).cast(field.type) for field in PART_SCHEMA]
    return pa.Table.from_arrays(columns, schema=PART_SCHEMA)


def _outlines(places: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.object_]:
    """Irregular polygons of twelve corners around points."""
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radii = draw.uniform(8.0, 25.0, (len(places), _CORNERS)) * _METRE
    rings = np.stack([np.cos(angles) * radii * 1.5, np.sin(angles) * radii], axis=-1) + places[:, None, :]
    return np.asarray(shapely.polygons(rings), dtype=object)
