"""Files by address: listing, identity and first bytes, on disk or object storage."""

import glob
import hashlib
import os
import posixpath
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import BinaryIO, TypeVar

from fsspec import AbstractFileSystem

from tiling import Fault, SceneError, StorageError
from tiling.storage.retry import with_retry
from tiling.storage.schemes import filesystem, in_bucket, is_local, object_storage

RASTER_ENDINGS = (".tif", ".tiff", ".jp2")
"""What a folder is searched for, in any case."""

READ_AHEAD_BYTES = 1 << 16
"""Fetched from object storage at a time where only a header is wanted."""

Address = str | os.PathLike[str]
"""A local path or an address such as s3://, as callers in Python give it."""

T = TypeVar("T")


def local_path(uri: str) -> str:
    """The absolute path behind a local address."""
    return os.path.abspath(uri.removeprefix("file://"))


def full_address(uri: str) -> str:
    """The address with local paths made absolute, so that it means the same in every process."""
    return local_path(uri) if is_local(uri) else uri


def address_below(base: str, *parts: str) -> str:
    """The address of something below a folder."""
    return "/".join([base.rstrip("/"), *parts])


def resolved_address(base: str, href: str) -> str:
    """An address that stands in a file at `base`: absolute ones stay, relative ones start at its folder."""
    if "://" in href or os.path.isabs(href):
        return href
    # Stores of objects know no way up: the steps are taken here.
    scheme, mark, place = base.rpartition("://")
    return f"{scheme}{mark}{posixpath.normpath(posixpath.join(posixpath.dirname(place), href))}"


def read_part(uri: str, rendering: Callable[[BinaryIO], T]) -> T:
    """Open a file, let a function read a few bytes of it, and close it.

    Raises:
        SceneError: There is no such file, or it may not be read, or the function raises it.
        StorageError: The storage refuses or is away.
    """

    def opened() -> T:
        fs, path = filesystem(uri)
        # Object stores are read ahead by 50 MB unless told otherwise.
        with fs.open(path, "rb", block_size=READ_AHEAD_BYTES) as file:
            return rendering(file)

    def opened_here() -> T:
        with open(local_path(uri), "rb") as file:
            return rendering(file)

    return _asked(uri, opened_here if is_local(uri) else opened)


def read_bytes(uri: str, *, limit: int) -> bytes:
    """The whole content of a small file.

    Raises:
        SceneError: It is not there, or larger than `limit` bytes.
        StorageError: The storage refuses or is away.
    """
    content = read_part(uri, lambda file: file.read(limit + 1))
    if len(content) > limit:
        raise SceneError(uri, f"is larger than {limit} bytes")
    return content


def identity(uris: Iterable[str]) -> str:
    """Digest of what tells these files' contents apart: ETag, or size and modification time, of each.

    Args:
        uris: Addresses that open as they are.

    Raises:
        SceneError: One of them is not there.
        StorageError: The storage refuses or is away.
    """
    marks = [_asked(uri, partial(_mark, uri)) for uri in uris]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]


def confirm(uri: str) -> None:
    """Make sure that a file is there and that its storage is well.

    Raises:
        SceneError: It is not there.
        StorageError: The storage refuses or is away.
    """
    _asked(uri, lambda: _mark(uri))


def sidecars_of(uri: str, endings: tuple[str, ...]) -> tuple[str, ...]:
    """Which of these endings files beside a file have: those found in a bucket, elsewhere all there could be.

    Raises:
        SceneError: The file is not there.
        StorageError: The storage refuses or is away.
    """
    if not in_bucket(uri):
        return endings
    try:
        return _asked(uri, lambda: object_storage(uri).sidecars(uri, endings))
    except StorageError as error:
        if error.fault is not Fault.REFUSED:
            raise
        return endings  # files may be read here but not listed


def _mark(uri: str) -> str:
    if is_local(uri):
        stat = os.stat(local_path(uri))
        return f"{stat.st_size}-{stat.st_mtime_ns}"
    fs, path = filesystem(uri)
    return object_storage(uri).content_mark(fs.info(path))


def list_sources(patterns: Sequence[str]) -> list[str]:
    """Addresses of all rasters and STAC items that patterns name.

    Args:
        patterns: Files, folders (searched below for *.tif, *.tiff, *.jp2) and globs, local or s3://.

    Returns:
        Addresses without repetition: the patterns in their order, the files of each sorted.

    Raises:
        SceneError: A pattern names nothing.
        StorageError: The storage refuses or is away.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = _local(pattern) if is_local(pattern) else _remote(pattern)
        if not names:
            raise SceneError(pattern, _not_found(pattern))
        found.update(dict.fromkeys(names))
    return list(found)


def _local(pattern: str) -> list[str]:
    path = pattern.removeprefix("file://")
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        walked = (os.path.join(top, name) for top, _, names in os.walk(path) for name in names)
        return _rasters(pattern, walked)
    return sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))


def _remote(pattern: str) -> list[str]:
    protocol = pattern.split("://", 1)[0]
    if protocol in ("http", "https"):
        return [pattern]
    return _asked(pattern, lambda: _listed(pattern, protocol))


def _listed(pattern: str, protocol: str) -> list[str]:
    fs, path = filesystem(pattern)
    if any(mark in path for mark in "*?["):
        found = sorted(fs.glob(path))
        if not found:
            raise FileNotFoundError(path)
        return [f"{protocol}://{name}" for name in found]
    if _is_file(fs, path):
        return [pattern]
    below = fs.find(path)
    if not below:
        raise FileNotFoundError(path)
    return _rasters(pattern, (f"{protocol}://{name}" for name in below))


def _is_file(fs: AbstractFileSystem, path: str) -> bool:
    """Whether there is such a file; the file system's own question takes every error for a no."""
    try:
        return bool(fs.info(path)["type"] == "file")
    except FileNotFoundError:
        return False


def _rasters(folder: str, names: Iterable[str]) -> list[str]:
    rasters = sorted(name for name in names if name.lower().endswith(RASTER_ENDINGS))
    if not rasters:
        wanted = ", ".join("*" + end for end in RASTER_ENDINGS)
        raise SceneError(folder, f"holds no {wanted}: name the files, or another folder")
    return rasters


def _asked(uri: str, act: Callable[[], T]) -> T:
    """What a file's storage says; what it raises becomes SceneError or StorageError."""
    try:
        return with_retry(uri, act)
    except (SceneError, StorageError):
        raise
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise SceneError(uri, _not_found(uri)) from exc
    except OSError as exc:
        raise SceneError(uri, f"cannot be read: {type(exc).__name__}: {exc}") from exc


def _not_found(uri: str) -> str:
    return "no such file: check the path" if is_local(uri) else f"no such file: {object_storage(uri).remedy}"
