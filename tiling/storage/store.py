"""The output folder, local or on object storage: whole files, written atomically."""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from fsspec import AbstractFileSystem as Files

from tiling.storage.retry import BRIEF, RetryPolicy, with_retry
from tiling.storage.schemes import filesystem, is_local, object_storage

TMP_MARK = ".tmp-"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Versioned:
    """A file's content, with what tells it from another content at the same place."""

    data: bytes
    """Its bytes."""
    version: str
    """ETag on object storage (unquoted, which every server takes back), a digest locally."""


@dataclass(frozen=True, slots=True)
class Store:
    """One output folder; every name given to it is relative, with forward slashes."""

    root: str
    """Local path or s3:// address of the folder."""
    retry_policy: RetryPolicy = BRIEF
    """How long an outage of object storage may last before it is an error."""

    @property
    def is_local(self) -> bool:
        """Whether the folder lies on a local file system."""
        return is_local(self.root)

    def path(self, name: str) -> str:
        """Full address of a file in the folder."""
        return f"{self.root.rstrip('/')}/{name}" if name else self.root.rstrip("/")

    def write(self, name: str, data: bytes | memoryview) -> None:
        """Put a whole file in place at once: a rename locally, one PUT on object storage.

        Raises:
            OSError: the storage refuses.
        """
        if not self.is_local:
            self._ask(name, lambda fs, path: fs.pipe_file(path, bytes(data)))
            return
        final = Path(self.path(name))
        _set_down(final, data).replace(final)

    def create(self, name: str, data: bytes) -> bool:
        """Put a whole file in place only if there is none: of many that try at once, one makes it.

        Returns:
            Whether this call made the file; False where one was there.

        Raises:
            OSError: the storage refuses.
        """
        if not self.is_local:
            return self._put_if(name, data, version=None)
        final = Path(self.path(name))
        tmp = _set_down(final, data)
        try:
            os.link(tmp, final)
        except FileExistsError:
            return False
        finally:
            tmp.unlink()
        return True

    def replace_if(self, name: str, data: bytes, *, version: str) -> bool:
        """Put a whole file in the place of one that has not changed since it was read.

        Args:
            name: the file.
            data: its new content.
            version: of the content to be replaced, as it was read.

        Returns:
            Whether this call replaced it; False where the file is gone or another one by now.

        Raises:
            OSError: the storage refuses.
        """
        if not self.is_local:
            return self._put_if(name, data, version=version)
        final = Path(self.path(name))
        if not final.parent.is_dir():
            return False
        with _only_one(final.parent):
            now = self.read_versioned(name)
            if now is None or now.version != version:
                return False
            self.write(name, data)
        return True

    def read_versioned(self, name: str) -> Versioned | None:
        """Bytes of a file and their version, from one request; None where there is no file.

        Raises:
            OSError: the storage refuses.
        """
        try:
            if self.is_local:
                data = self.read(name)
                return Versioned(data, hashlib.sha256(data).hexdigest())
            storage = object_storage(self.root)
            return self._ask(name, lambda fs, path: Versioned(*storage.read_versioned(fs, path)))
        except FileNotFoundError:
            return None

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the storage refuses.
        """
        if self.is_local:
            return Path(self.path(name)).read_bytes()
        return self._ask(name, lambda fs, path: bytes(fs.cat_file(path)))

    def exists(self, name: str) -> bool:
        """Whether the file is there, asked afresh.

        Raises:
            OSError: the storage does not answer.
        """
        if self.is_local:
            return Path(self.path(name)).is_file()
        try:
            return self._ask(name, lambda fs, path: bool(fs.info(path)["type"] == "file"))
        except FileNotFoundError:
            return False

    def names(self, folder: str) -> list[str]:
        """Relative names of all finished files below a folder, sorted; temporary files are not among them."""
        return sorted(name for name in self._all_names(folder) if TMP_MARK not in name)

    def times(self, folder: str) -> dict[str, float]:
        """When each finished file below a folder was written, seconds since 1970; from one listing."""
        return self._listed(folder, lambda info: info.st_mtime, _written)

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of each finished file below a folder; from one listing."""
        return self._listed(folder, lambda info: info.st_size, lambda info: int(info["size"]))

    def _listed(
        self, folder: str, local: Callable[[os.stat_result], T], remote: Callable[[Mapping[str, Any]], T]
    ) -> dict[str, T]:
        """One fact of each finished file below a folder, from one listing."""
        if self.is_local:
            found = {name: local(os.stat(self.path(name))) for name in self._all_names(folder)}
        else:
            base = f"{filesystem(self.path(''))[1]}/"
            listed = self._ask(folder, lambda fs, path: fs.find(path, detail=True))
            found = {str(name).removeprefix(base): remote(info) for name, info in listed.items()}
        return {name: fact for name, fact in found.items() if TMP_MARK not in name}

    def remove(self, names: Sequence[str]) -> None:
        """Delete files; a file that is not there is no error."""
        for name in names:
            if self.is_local:
                Path(self.path(name)).unlink(missing_ok=True)
            else:
                self._ask(name, _remove)

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it; a folder that is not there is no error."""
        if self.is_local:
            shutil.rmtree(self.path(folder), ignore_errors=True)
            return
        self._ask(folder, _remove_all)

    def clear_temporary(self, folder: str) -> None:
        """Delete what a killed writer left half written below a local folder; a PUT leaves nothing."""
        if self.is_local:
            self.remove([name for name in self._all_names(folder) if TMP_MARK in name])

    def _put_if(self, name: str, data: bytes, *, version: str | None) -> bool:
        """One conditional PUT; whether it went through."""
        put = object_storage(self.root).conditional_put(data, version=version)
        try:
            return self._ask(name, put)
        except FileNotFoundError:
            if version is None:
                raise
            return False

    def _all_names(self, folder: str) -> list[str]:
        if self.is_local:
            root = os.path.join(os.path.abspath(self.root), "")
            walk = os.walk(os.path.join(root, folder))
            found = [os.path.join(at, name) for at, _, names in walk for name in names]
            return [path.removeprefix(root).replace(os.sep, "/") for path in found]
        base = f"{filesystem(self.path(''))[1]}/"
        found = self._ask(folder, lambda fs, path: fs.find(path))
        return [str(name).removeprefix(base) for name in found]

    def _ask(self, name: str, act: Callable[[Files, str], T]) -> T:
        """What object storage says about a name; asked again where it is away, with handles of its own."""
        address = self.path(name)
        return with_retry(address, lambda: act(*filesystem(address)), retry_policy=self.retry_policy)


def _written(info: Mapping[str, Any]) -> float:
    """When a listed object was written; file systems name it differently."""
    at = info.get("LastModified") or info.get("created")
    return float(at.timestamp()) if isinstance(at, datetime) else 0.0


def _remove(fs: Files, path: str) -> None:
    with suppress(FileNotFoundError):
        fs.rm_file(path)


def _remove_all(fs: Files, path: str) -> None:
    with suppress(FileNotFoundError):
        fs.rm(path, recursive=True)


def _set_down(final: Path, data: bytes | memoryview) -> Path:
    """Write a whole file beside its place, so that it can be put there at once; its temporary path."""
    final.parent.mkdir(parents=True, exist_ok=True)
    tmp = final.with_name(f"{final.name}{TMP_MARK}{secrets.token_hex(4)}")
    with tmp.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    return tmp


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """A block that one process at a time is in, per folder; a process that dies leaves it."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
