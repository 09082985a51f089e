"""File systems through which a query reads one version of each file, even if files are replaced meanwhile.

DuckDB opens a file once for its footer and again for its rows. A local file is therefore opened once and kept
open. On object storage every request states the ETag of the listing and fails if the file has another one.
"""

import io
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from tiling.storage import Store, object_storage, with_retry

PROTOCOL = "result"
MAX_OPEN_FILES = 512
"""Local files that are opened at the beginning and kept open; further files are opened for each read, which
fails if the file has been replaced."""
REPLACED = "was replaced while it was read"
READ_BYTES = 1 << 16
"""Minimum bytes of a read from object storage; DuckDB itself decides what to read ahead."""


@dataclass(frozen=True, slots=True)
class _Version:
    """A file that was opened."""

    descriptor: int
    """Open for reading."""
    number: int
    """Its inode."""
    size: int
    """Bytes."""
    written_ns: int
    """When it was written, nanoseconds since 1970."""

    def same(self, other: "_Version") -> bool:
        """Whether the other is the same file, unchanged."""
        mine, theirs = ((each.number, each.size, each.written_ns) for each in (self, other))
        return mine == theirs


class LocalFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A local result for reading, under names relative to its folder; its files are open until it is closed.

    DuckDB asks for every file several times and from several threads. Files are opened in advance and their
    attributes cached, so that the threads do not wait for one another.
    """

    protocol = PROTOCOL
    cachable = False

    def __init__(self, root: str, names: Sequence[str]) -> None:
        super().__init__()
        self._root = root
        self._kept: dict[str, _Version] = {}
        self._marks: dict[str, _Version] = {}
        self._lock = threading.Lock()
        try:
            for name in names[:MAX_OPEN_FILES]:
                self._kept[name] = self._opened(name)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close all files."""
        while self._kept:
            os.close(self._kept.popitem()[1].descriptor)

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        """A file for reading.

        Raises:
            FileNotFoundError: there is no such file.
            OSError: the file was replaced since it was first opened.
        """
        if mode != "rb":
            raise OSError(f"{path} is for reading only")
        version, own = self._version(self._strip_protocol(path))
        return _Handle(version, own)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Size and time of the version that is read."""
        version, own = self._version(self._strip_protocol(path))
        if own:
            os.close(version.descriptor)
        return {"name": path, "size": version.size, "type": "file", "mtime": version.written_ns / 1e9}

    def glob(self, path: str, **_: Any) -> list[str]:
        """The path itself: names are given in full."""
        return [path]

    def modified(self, path: str) -> datetime:
        """When the version that is read was written."""
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    def _version(self, name: str) -> tuple[_Version, bool]:
        """An open version of a file, and whether to close it after use."""
        if kept := self._kept.get(name):
            return kept, False
        with self._lock:
            version = self._opened(name)
            if not self._marks.setdefault(name, version).same(version):
                os.close(version.descriptor)
                raise OSError(f"{name} {REPLACED}")
            return version, True

    def _opened(self, name: str) -> _Version:
        descriptor = os.open(os.path.join(self._root, name), os.O_RDONLY)
        stat = os.fstat(descriptor)
        return _Version(descriptor, stat.st_ino, stat.st_size, stat.st_mtime_ns)


class _Handle(io.RawIOBase):
    """A read position in an open file; several handles share one descriptor."""

    def __init__(self, version: _Version, own: bool) -> None:
        super().__init__()
        self._version, self._own, self._at = version, own, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._at, self._version.size)[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        wanted = size if size >= 0 else self._version.size - self._at
        data = os.pread(self._version.descriptor, wanted, self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        if self._own and not self.closed:
            os.close(self._version.descriptor)
        super().close()


def remote_files(store: Store, folders: Sequence[str]) -> AbstractFileSystem:
    """The file system of a result on object storage; sizes and ETags are those of one listing per folder.

    Raises:
        StorageError: the storage refuses, or is away.
    """

    def listed() -> AbstractFileSystem:
        system, path = object_storage(store.root).snapshot(store.root, block_bytes=READ_BYTES)
        for folder in folders:
            system.find(f"{path}/{folder}")
        return system

    return with_retry(store.root, listed, retry_policy=store.retry_policy)
