"""The output folder, local or on object storage: whole files, written atomically. Knows no file's meaning."""

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.core import url_to_fs

from pipelines.errors import StorageError
from tiling.storage import storage_options

TMP_MARK = ".tmp-"
ATTEMPTS = 3
"""Of one request of the S3 client."""


@dataclass(frozen=True, slots=True)
class Store:
    """One output folder; every name given to it is relative, with forward slashes."""

    root: str
    """Local path or s3:// address of the folder."""

    @property
    def is_local(self) -> bool:
        """Whether the folder lies on a local file system."""
        return "://" not in self.root

    def path(self, name: str) -> str:
        """Full address of a file in the folder."""
        return f"{self.root.rstrip('/')}/{name}" if name else self.root.rstrip("/")

    def write(self, name: str, data: bytes) -> None:
        """Put a whole file in place at once: a rename locally, one PUT on object storage.

        Raises:
            OSError: the storage refuses.
        """
        if not self.is_local:
            with self._remote(name) as (fs, path):
                fs.pipe_file(path, data)
            return
        final = Path(self.path(name))
        final.parent.mkdir(parents=True, exist_ok=True)
        tmp = final.with_name(f"{final.name}{TMP_MARK}{secrets.token_hex(4)}")
        with tmp.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        tmp.replace(final)

    def read(self, name: str) -> bytes:
        """Bytes of a file.

        Raises:
            FileNotFoundError: it is not there.
            OSError: the storage refuses.
        """
        if self.is_local:
            return Path(self.path(name)).read_bytes()
        with self._remote(name) as (fs, path):
            return bytes(fs.cat_file(path))

    def exists(self, name: str) -> bool:
        """Whether the file is there, asked afresh.

        Raises:
            OSError: the storage does not answer.
        """
        if self.is_local:
            return Path(self.path(name)).is_file()
        try:
            with self._remote(name) as (fs, path):
                return bool(fs.info(path)["type"] == "file")
        except FileNotFoundError:
            return False

    def names(self, folder: str) -> list[str]:
        """Relative names of all finished files below a folder, sorted; temporary files are not among them."""
        return sorted(name for name in self._all_names(folder) if TMP_MARK not in name)

    def remove(self, names: Sequence[str]) -> None:
        """Delete files; a file that is not there is no error."""
        for name in names:
            if self.is_local:
                Path(self.path(name)).unlink(missing_ok=True)
            elif self.exists(name):
                with self._remote(name) as (fs, path):
                    fs.rm_file(path)

    def remove_folder(self, folder: str) -> None:
        """Delete a folder with all that is in it; a folder that is not there is no error."""
        if self.is_local:
            shutil.rmtree(self.path(folder), ignore_errors=True)
            return
        with self._remote(folder) as (fs, path):
            if fs.exists(path):
                fs.rm(path, recursive=True)

    def clear_temporary(self, folder: str) -> None:
        """Delete what a killed writer left half written below a local folder; a PUT leaves nothing."""
        if self.is_local:
            self.remove([name for name in self._all_names(folder) if TMP_MARK in name])

    def _all_names(self, folder: str) -> list[str]:
        if self.is_local:
            root = Path(self.root)
            return [
                path.relative_to(root).as_posix() for path in (root / folder).rglob("*") if path.is_file()
            ]
        with self._remote("") as (fs, base):
            below = f"{base.rstrip('/')}/{folder}".rstrip("/")
            return [str(found).removeprefix(base.rstrip("/") + "/") for found in fs.find(below)]

    @contextmanager
    def _remote(self, name: str) -> Iterator[tuple[fsspec.AbstractFileSystem, str]]:
        """File system and path of a name; what the S3 client raises in the block becomes StorageError."""
        address = self.path(name)
        fs, path = url_to_fs(address, **storage_options(address, attempts=ATTEMPTS))
        try:
            yield fs, str(path)
        except (BotoCoreError, ClientError) as error:
            raise StorageError(address, str(error)) from error
