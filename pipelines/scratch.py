"""Tables a merge puts aside until their turn comes: in one folder, gone when the merge ends."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa

from pipelines.storage import Store

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
