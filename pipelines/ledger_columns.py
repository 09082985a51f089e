"""Ledger files as columns, for the merge: sightings and which tiles said nothing. Joins nothing."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.ledger import Status
from pipelines.storage import Store
from pipelines.wkb_columns import polygon_rings
from tiling.sightings import Sightings

UNREAD = (Status.FAILED, Status.MALFORMED)
"""Tiles that say nothing, although there may be something."""

_WINDOW = ("x0", "y0", "x1", "y1")
_COLUMNS = ["tile_id", "status", "thinking", *_WINDOW, "fragments"]
_PLAIN = (
    "score", "truncated", "touches_scene_edge", "edge_distance", "core_share", "label", "valid_fraction",
)  # fmt: skip
_READERS = 8
"""Files read at once from object storage."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What some chunks of one scene answered to one question."""

    sightings: Sightings
    """All fragments."""
    unread: NDArray[np.int64]
    """(k, 4) windows of tiles that failed or whose answer cannot be read, work pixels."""
    nodata: NDArray[np.int64]
    """(k, 4) windows of tiles without data, work pixels."""
    thinking: Mapping[str, str]
    """By tile, what the reasoner thought."""


def read_answers(store: Store, names: Sequence[str]) -> Answers:
    """Read ledger files of one scene and question.

    Args:
        store: the output folder.
        names: the files.

    Raises:
        FileNotFoundError: one is not there.
        pyarrow.ArrowInvalid: one is no whole Parquet file.
    """
    if store.is_local:
        table = pa.concat_tables(_columns_of(store.read(name)) for name in names)
    else:
        with ThreadPoolExecutor(_READERS) as pool:
            table = pa.concat_tables(pool.map(lambda name: _columns_of(store.read(name)), names))
    windows = np.column_stack([table.column(side).to_numpy() for side in _WINDOW])
    status = table.column("status").to_numpy()
    tile_ids, thinking = (table.column(name).to_numpy() for name in ("tile_id", "thinking"))
    return Answers(
        sightings=_sightings(table.column("fragments").combine_chunks(), windows, tile_ids),
        unread=windows[np.isin(status, [str(kind) for kind in UNREAD])],
        nodata=windows[status == str(Status.NODATA)],
        thinking=dict(zip(tile_ids.tolist(), thinking.tolist(), strict=True)),
    )


def _columns_of(data: bytes) -> pa.Table:
    return pq.ParquetFile(pa.BufferReader(data)).read(columns=_COLUMNS, use_threads=False)


def _sightings(lists: pa.ListArray, windows: NDArray[np.int64], tile_ids: NDArray[np.object_]) -> Sightings:
    fragments = lists.flatten()
    plain = {name: fragments.field(name).to_numpy(zero_copy_only=False) for name in _PLAIN}
    lengths = lists.value_lengths().to_numpy(zero_copy_only=False)
    return Sightings(
        outlines=polygon_rings(fragments.field("geometry")),
        box=polygon_rings(fragments.field("box")).points.reshape(-1, 5, 2),
        tile=np.repeat(np.arange(len(windows)), lengths),
        windows=windows,
        tile_ids=tile_ids,
        **plain,
    )
