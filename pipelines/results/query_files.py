"""The files of a result as one question sees them: each of them one version, whoever replaces it meanwhile.

DuckDB opens a file anew for its footer and for its rows. Locally a file is therefore opened once and kept
open; on object storage the listing's ETags go with every request, which fails where they no longer hold.
"""

import io
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fsspec import AbstractFileSystem

from tiling.storage import Store, remembering, with_retry

PROTOCOL = "result"
MAX_OPEN_FILES = 512
"""Local files kept open from the beginning; those beyond are opened anew, and refused if another file stands
there."""
REPLACED = "was replaced while it was read"
READ_BYTES = 1 << 16
"""Read at a time from object storage at least; DuckDB itself knows what to read ahead."""


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
        """The other is the same file, unchanged."""
        mine, theirs = ((each.number, each.size, each.written_ns) for each in (self, other))
        return mine == theirs


class LocalFiles(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A local result for reading, under names relative to its folder; close it to let its files go.

    DuckDB asks for every file several times and from several threads. So that these do not wait for one
    another, files are opened before it asks, and what it asks of them is remembered.
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
        """Let all files go."""
        while self._kept:
            os.close(self._kept.popitem()[1].descriptor)

    def open(self, path: str, mode: str = "rb", **_: Any) -> io.RawIOBase:
        """A file for reading.

        Raises:
            FileNotFoundError: it is not there.
            OSError: another file has taken its place since it was first opened.
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
        """An open file, and whether it is to be closed after use."""
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
    """A place in an open file; several handles share its descriptor."""

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
    """The file system of a result on object storage, its folders listed once: sizes and ETags are those.

    Raises:
        StorageError: the storage refuses, or is away.
    """

    def listed() -> AbstractFileSystem:
        system, path = remembering(store.root, block_bytes=READ_BYTES)
        for folder in folders:
            system.find(f"{path}/{folder}")
        return system

    return with_retry(store.root, listed, retry_policy=store.retry_policy)
