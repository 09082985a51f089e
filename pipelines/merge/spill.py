"""Arrow files that the merge spills between its steps, in one folder that is deleted when the merge ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import polygon_column, polygons_from_wkb, polygons_to_pixels
from tiling.merge import MergedObjects, OpenFragments, Outlines, outlines_of
from tiling.storage import Store

SPILL_FOLDER = "merge"
"""Name of that folder in the output folder; the next merge deletes what a killed one left in it."""

_BORDER = "border"
_SIDES = ("x0", "y0", "x1", "y1")
_SPECIAL = ("outlines", "region", "tile_ids", "tile_starts")
_PLAIN = tuple(field.name for field in fields(MergedObjects) if field.name not in _SPECIAL)
"""Columns of merged objects that hold one value each."""


@contextmanager
def spill_folder(store: Store, *, shared: bool) -> Iterator[Store]:
    """A folder of spill files for a block: empty at its beginning, deleted at its end.

    Args:
        store: the output folder.
        shared: several machines of a cluster use the folder. Otherwise, if the output is on object storage,
            the folder is a local one.
    """
    if not (store.is_local or shared):
        with TemporaryDirectory(prefix="remotereasoner-") as folder:
            yield Store(str(Path(folder)))
        return
    store.remove_folder(SPILL_FOLDER)
    try:
        yield Store(store.path(SPILL_FOLDER), store.retry_policy)
    finally:
        store.remove_folder(SPILL_FOLDER)


def write_table(spill: Store, name: str, table: pa.Table) -> None:
    """Spill a table; it may be read once the step that spills it has ended.

    Raises:
        OSError: the storage refuses.
    """
    if spill.is_local:
        Path(spill.root).mkdir(parents=True, exist_ok=True)
        final = Path(spill.path(name))
        unfinished = final.with_name(f"{final.name}.new")
        with pa.OSFile(str(unfinished), "wb") as sink:
            _write(sink, table)
        unfinished.replace(final)  # the table may be memory-mapped from the file that it replaces
        return
    sink = pa.BufferOutputStream()
    _write(sink, table)
    spill.write(name, sink.getvalue())


def _write(sink: pa.NativeFile, table: pa.Table) -> None:
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_spilled(spill: Store, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a spilled table; a local one is memory-mapped, so that only the pages used are read.

    Raises:
        OSError: the storage refuses.
    """
    local = spill.is_local
    source = pa.memory_map(spill.path(name)) if local else pa.BufferReader(spill.read(name))
    table = pa.ipc.open_file(source).read_all()
    return table if columns is None else table.select(list(columns))


def write_open(spill: Store, name: str, found: OpenFragments) -> None:
    """Spill the open fragments of a block, which other blocks may affect.

    Raises:
        OSError: the storage refuses.
    """
    sides = {side: pa.array(column) for side, column in zip(_SIDES, found.windows.T, strict=True)}
    table = {**_columns(found.objects), _BORDER: pa.array(found.border), **sides}
    write_table(spill, name, pa.table(table))


def write_objects(spill: Store, name: str, objects: MergedObjects) -> None:
    """Spill merged objects.

    Raises:
        OSError: the storage refuses.
    """
    write_table(spill, name, pa.table(_columns(objects)))


def read_objects(spill: Store, name: str, rows: NDArray[np.int64]) -> MergedObjects:
    """Read some of the objects or open fragments of a file, in a given order.

    Raises:
        OSError: the storage refuses.
    """
    table = read_spilled(spill, name).take(pa.array(rows))
    lists = table.column("tile_ids").combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    plain: dict[str, Any] = {field: table.column(field).to_numpy() for field in _PLAIN}
    return MergedObjects(
        outlines=polygons_from_wkb(table.column("outlines").combine_chunks()),
        region=table.column("region").combine_chunks().flatten().to_numpy().reshape(-1, 5, 2),
        tile_ids=lists.flatten().to_numpy(zero_copy_only=False),
        tile_starts=np.concatenate(([0], np.cumsum(lengths))),
        **plain,
    )


def read_border(spill: Store, name: str, transform: Transform) -> tuple[NDArray[np.int64], Outlines]:
    """Read the fragments that other blocks' tiles may see: their row numbers, and outlines in working pixels.

    Raises:
        OSError: the storage refuses.
    """
    table = read_spilled(spill, name, ["outlines", _BORDER, *_SIDES])
    rows = np.flatnonzero(table.column(_BORDER).to_numpy())
    table = table.take(pa.array(rows))
    windows = np.column_stack([table.column(side).to_numpy() for side in _SIDES])
    outlines = polygons_from_wkb(table.column("outlines").combine_chunks())
    return rows, outlines_of(polygons_to_pixels(outlines, transform), windows)


def _columns(objects: MergedObjects) -> dict[str, pa.Array]:
    starts, names = pa.array(objects.tile_starts, pa.int32()), pa.array(objects.tile_ids, pa.string())
    return {
        "outlines": polygon_column(objects.outlines),
        "region": pa.FixedSizeListArray.from_arrays(pa.array(objects.region.reshape(-1)), 10),
        "tile_ids": pa.ListArray.from_arrays(starts, names),
        **{field: _plain_column(getattr(objects, field)) for field in _PLAIN},
    }


def _plain_column(values: NDArray[Any]) -> pa.Array:
    return pa.array(values, pa.string() if values.dtype == object else None)
