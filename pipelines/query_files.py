"""The files of a result as one question sees them: each of them one version, whoever replaces it meanwhile.

DuckDB opens a file anew for its footer and for its rows. Locally a file is therefore opened once and kept
open; on object storage the listing's ETags go with every request, which fails where they no longer hold.
"""

import io
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from pipelines.storage import Store
from tiling.buckets import remembering
from tiling.patience import patiently

PROTOCOL = "result"
KEPT_OPEN = 512
"""Local files kept open; those beyond are opened anew, and refused if another file stands there."""
REPLACED = "was replaced while it was read"
BLOCK_BYTES = 1 << 16
"""Read at a time from object storage at least; DuckDB itself knows what to read ahead."""


class LocalFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A local result for reading, under names relative to its folder; close it to let its files go."""

    protocol = PROTOCOL
    cachable = False

    def __init__(self, root: str) -> None:
        super().__init__()
        self._root = root
        self._kept: dict[str, int] = {}
        self._marks: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let all files go."""
        while self._kept:
            os.close(self._kept.popitem()[1])

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        """A file for reading.

        Raises:
            FileNotFoundError: it is not there.
            OSError: another file has taken its place since it was first opened.
        """
        if mode != "rb":
            raise OSError(f"{path} is for reading only")
        return _Handle(*self._descriptor(self._strip_protocol(path)))

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and time of the version that is read."""
        with self.open(path) as handle:
            stat = os.fstat(handle.fileno())
        return {"name": path, "size": stat.st_size, "type": "file", "mtime": stat.st_mtime}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: names are given in full."""
        return [path]

    def modified(self, path: str) -> datetime:
        """When the version that is read was written."""
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    def _descriptor(self, name: str) -> tuple[int, bool]:
        """An open descriptor, and whether it is to be closed after use."""
        with self._lock:
            if name in self._kept:
                return self._kept[name], False
            descriptor = os.open(os.path.join(self._root, name), os.O_RDONLY)
            stat = os.fstat(descriptor)
            mark = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
            if self._marks.setdefault(name, mark) != mark:
                os.close(descriptor)
                raise OSError(f"{name} {REPLACED}")
            if len(self._kept) >= KEPT_OPEN:
                return descriptor, True
            self._kept[name] = descriptor
            return descriptor, False


class _Handle(io.RawIOBase):
    """A place in an open file; several handles share its descriptor."""

    def __init__(self, descriptor: int, own: bool) -> None:
        super().__init__()
        self._descriptor, self._own, self._at = descriptor, own, 0

    def fileno(self) -> int:
        return self._descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._at, os.fstat(self._descriptor).st_size)[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        wanted = size if size >= 0 else os.fstat(self._descriptor).st_size - self._at
        data = os.pread(self._descriptor, wanted, self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        if self._own and not self.closed:
            os.close(self._descriptor)
        super().close()


def remote_files(store: Store, folders: Sequence[str]) -> AbstractFileSystem:
    """The file system of a result on object storage, its folders listed once: sizes and ETags are those.

    Raises:
        StorageError: the storage refuses, or is away.
    """

    def listed() -> AbstractFileSystem:
        system, path = remembering(store.root, block_bytes=BLOCK_BYTES)
        for folder in folders:
            system.find(f"{path}/{folder}")
        return system

    return patiently(store.root, listed, patience=store.patience)
