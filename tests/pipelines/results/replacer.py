"""Replaces the cells of a result, one after another, until it is ended; makes the rows of each version."""

import sys

import numpy as np
import pyarrow as pa
import shapely

from pipelines.tables.cells import cell_bounds
from pipelines.tables.geoparquet import boxes_of
from pipelines.tables.objects import GEOMETRIES, OBJECT_SCHEMA, as_part, write_cell
from tiling.storage.store import Store

CELLS = ["1202200", "1202201", "1202202"]
ROWS = (300, 900, 500)
"""Objects of a cell in each of its versions."""


def part(cell: str, *, version: int) -> pa.Table:
    """A cell's rows: the label is the cell, the thinking the version, the area one more than that."""
    count = ROWS[version]
    west, south, east, north = cell_bounds(cell)
    draw = np.random.default_rng(version)
    x, y = draw.uniform(west, east - 0.01, count), draw.uniform(south, north - 0.01, count)
    shapes = shapely.box(x, y, x + 0.005, y + 0.005)
    record: dict[str, object] = {
        "id": [f"{cell}-{version}-{number}" for number in range(count)],
        "label": [cell] * count,
        "thinking": [str(version)] * count,
        "area_m2": [version + 1.0] * count,
        "bbox": boxes_of(shapes),
        "region_bbox": boxes_of(shapes),
        **{name: shapely.to_wkb(shapes) for name in GEOMETRIES},
    }
    columns = [
        pa.array(record[field.name], field.type) if field.name in record else pa.nulls(count, field.type)
        for field in OBJECT_SCHEMA
    ]
    return as_part(pa.Table.from_arrays(columns, schema=OBJECT_SCHEMA))


def main(root: str) -> None:
    """Replace cell after cell, version after version."""
    store = Store(root)
    parts = {(cell, version): part(cell, version=version) for cell in CELLS for version in range(len(ROWS))}
    print("ready", flush=True)
    turn = 0
    while True:
        turn += 1
        for cell in CELLS:
            write_cell(store, "q", cell, parts[cell, (turn + CELLS.index(cell)) % len(ROWS)])


if __name__ == "__main__":
    main(sys.argv[1])
