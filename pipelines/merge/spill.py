"""Arrow files between the steps of a merge: in one folder, gone when the merge ends."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tiling import Transform
from tiling.geo import Rings, polygon_column, polygon_rings, rings_to_pixels
from tiling.merge import Outlines, Things, all_things, outlines_of
from tiling.storage import Store

FOLDER = "merge"
"""In the output folder; what a killed merge left there goes with the next one."""


@contextmanager
def scratch_of(store: Store, *, shared: bool) -> Iterator[Store]:
    """A folder for a block that merges; empty at its beginning, gone at its end.

    Args:
        store: the output folder.
        shared: machines of a cluster work on it together. If not, and the output lies on object storage, the
            folder is a local one.
    """
    if not (store.is_local or shared):
        with TemporaryDirectory(prefix="remotereasoner-") as folder:
            yield Store(str(Path(folder)))
        return
    store.remove_folder(FOLDER)
    try:
        yield Store(store.path(FOLDER), store.patience)
    finally:
        store.remove_folder(FOLDER)


def put(scratch: Store, name: str, table: pa.Table) -> None:
    """Put a table aside; nobody reads it before the step that does so has ended.

    Raises:
        OSError: the storage refuses.
    """
    if scratch.is_local:
        Path(scratch.root).mkdir(parents=True, exist_ok=True)
        final = Path(scratch.path(name))
        unfinished = final.with_name(f"{final.name}.new")
        with pa.OSFile(str(unfinished), "wb") as sink:
            _write(sink, table)
        unfinished.replace(final)  # the table may be a view of the file it takes the place of
        return
    sink = pa.BufferOutputStream()
    _write(sink, table)
    scratch.write(name, sink.getvalue())


def _write(sink: pa.NativeFile, table: pa.Table) -> None:
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def get(scratch: Store, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """A table that was put aside; of a local one only those pages are read that are looked at.

    Raises:
        OSError: the storage refuses.
    """
    local = scratch.is_local
    source = pa.memory_map(scratch.path(name)) if local else pa.BufferReader(scratch.read(name))
    table = pa.ipc.open_file(source).read_all()
    return table if columns is None else table.select(list(columns))


_PLAIN = {
    "score": pa.float64(),
    "label": pa.string(),
    "seen_best": pa.string(),
    "largest": pa.float64(),
    "n_fragments": pa.int64(),
    "touches_scene_edge": pa.bool_(),
    "valid_fraction": pa.float64(),
}
_OUTLINES, _REGION, _BORDER = "outlines", "region", "border"
_SIDES = ("x0", "y0", "x1", "y1")
_THINKING = "thinking"


@dataclass(frozen=True, slots=True)
class Told:
    """Things with what the reasoner thought where each was seen best."""

    things: Things
    """The things."""
    thinking: NDArray[np.object_]
    """(n,) the reasoner's thinking."""


def put_open(
    scratch: Store, name: str, told: Told, *, windows: NDArray[np.int64], border: NDArray[np.bool_]
) -> None:
    """Put sightings aside for other steps.

    Args:
        scratch: where to.
        name: of the file.
        told: the sightings as things of their own.
        windows: (n, 4) x0, y0, x1, y1 of the tile each was seen in, work pixels.
        border: (n,) which a tile of another block may see too.

    Raises:
        OSError: the storage refuses.
    """
    sides = {side: pa.array(column) for side, column in zip(_SIDES, windows.T, strict=True)}
    put(scratch, name, pa.table({**_columns(told), _BORDER: pa.array(border), **sides}))


def put_told(scratch: Store, name: str, told: Told) -> None:
    """Put things aside for other steps.

    Raises:
        OSError: the storage refuses.
    """
    put(scratch, name, pa.table(_columns(told)))


def _columns(told: Told) -> dict[str, pa.Array]:
    things = told.things
    starts, names = pa.array(things.tile_starts, pa.int32()), pa.array(things.tile_ids, pa.string())
    return {
        _OUTLINES: polygon_column(things.outlines),
        _REGION: pa.FixedSizeListArray.from_arrays(pa.array(things.region.reshape(-1)), 10),
        **{field: pa.array(getattr(things, field), kind) for field, kind in _PLAIN.items()},
        "tile_ids": pa.ListArray.from_arrays(starts, names),
        _THINKING: pa.array(told.thinking, pa.string()),
    }


def get_told(scratch: Store, name: str, rows: NDArray[np.int64]) -> Told:
    """Some of the things that were put aside, in a given order.

    Raises:
        OSError: the storage refuses.
    """
    table = get(scratch, name).take(pa.array(rows))
    lists = table.column("tile_ids").combine_chunks()
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    columns: dict[str, Any] = {
        _OUTLINES: _rings(table),
        "region": table.column(_REGION).combine_chunks().flatten().to_numpy().reshape(-1, 5, 2),
        **{field: table.column(field).to_numpy() for field in _PLAIN},
    }
    things = Things(
        tile_ids=lists.flatten().to_numpy(zero_copy_only=False),
        tile_starts=np.concatenate(([0], np.cumsum(lengths))),
        **columns,
    )
    return Told(things, table.column(_THINKING).to_numpy())


def all_told(parts: Sequence[Told]) -> Told:
    """Things of several parts behind one another; one part at least."""
    return Told(
        all_things([part.things for part in parts]), np.concatenate([part.thinking for part in parts])
    )


def get_border(scratch: Store, name: str, transform: Transform) -> tuple[NDArray[np.int64], Outlines]:
    """The things of a file that other blocks' tiles may see: their rows and outlines.

    Raises:
        OSError: the storage refuses.
    """
    table = get(scratch, name, [_OUTLINES, _BORDER, *_SIDES])
    rows = np.flatnonzero(table.column(_BORDER).to_numpy())
    table = table.take(pa.array(rows))
    windows = np.column_stack([table.column(side).to_numpy() for side in _SIDES])
    return rows, outlines_of(rings_to_pixels(_rings(table), transform), windows)


def _rings(table: pa.Table) -> Rings:
    return polygon_rings(table.column(_OUTLINES).combine_chunks())


def told_of(things: Things, thinking: Mapping[str, str]) -> Told:
    """Things with what the reasoner thought, by tile, where each was seen best."""
    found = np.empty(len(things), dtype=object)
    found[:] = [thinking[name] for name in things.seen_best.tolist()]
    return Told(things, found)
