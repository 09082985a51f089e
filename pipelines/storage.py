"""The output folder, local or on object storage: whole files, written atomically. Knows no file's meaning."""

import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fsspec
from botocore.exceptions import BotoCoreError, ClientError
from fsspec.asyn import sync
from fsspec.core import url_to_fs

from pipelines.errors import StorageError
from tiling.storage import storage_options

WRITER = "writer"
"""Metadata key of a conditional PUT: which attempt the object comes from."""
LOST = {409, 412}
"""HTTP status of a conditional PUT whose condition does not hold, or that another one overtook."""
TMP_MARK = ".tmp-"
ATTEMPTS = 3
"""Of one request of the S3 client."""


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
        _set_down(final, data).replace(final)

    def create(self, name: str, data: bytes) -> bool:
        """Put a whole file in place only if there is none: of many that try at once, one makes it.

        Returns:
            Whether this call made the file; False where one was there.

        Raises:
            OSError: the storage refuses.
        """
        if not self.is_local:
            return self._put_if(name, data, {"IfNoneMatch": "*"})
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
            return self._put_if(name, data, {"IfMatch": version})
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
        """Bytes of a file and their version, from one look at it; None where there is no file.

        Raises:
            OSError: the storage refuses.
        """
        try:
            if self.is_local:
                data = self.read(name)
                return Versioned(data, hashlib.sha256(data).hexdigest())
            with self._remote(name) as (fs, path):
                return Versioned(*sync(fs.loop, _get, fs, path))
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

    def _put_if(self, name: str, data: bytes, condition: Mapping[str, str]) -> bool:
        """One conditional PUT; whether it went through.

        A PUT whose answer got lost is repeated and then finds its own object: the writer's mark tells.
        """
        mark = secrets.token_hex(8)
        with self._remote(name) as (fs, path):
            bucket, key, _ = fs.split_path(path)
            where = {"Bucket": bucket, "Key": key}
            try:
                fs.call_s3("put_object", **where, Body=data, Metadata={WRITER: mark}, **condition)
            except FileNotFoundError:
                if "IfMatch" in condition:
                    return False
                raise
            except OSError as error:
                if http_status(error) not in LOST:
                    raise
                return _writer(fs, where) == mark
        return True

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


def http_status(error: BaseException) -> int:
    """Status of the HTTP answer behind an error, 0 where there was none."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ClientError):
        cause = cause.__cause__
    return int(cause.response["ResponseMetadata"]["HTTPStatusCode"]) if cause is not None else 0


def _writer(fs: fsspec.AbstractFileSystem, where: Mapping[str, str]) -> str:
    """Mark of the conditional PUT that an object comes from, empty where there is none."""
    try:
        return str(fs.call_s3("head_object", **where)["Metadata"].get(WRITER, ""))
    except FileNotFoundError:
        return ""


async def _get(fs: fsspec.AbstractFileSystem, path: str) -> tuple[bytes, str]:
    """Bytes and ETag from one answer."""
    bucket, key, _ = fs.split_path(path)
    answer = await fs._call_s3("get_object", Bucket=bucket, Key=key)
    async with answer["Body"] as body:
        return await body.read(), str(answer["ETag"]).strip('"')


def _set_down(final: Path, data: bytes) -> Path:
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
