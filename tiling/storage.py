"""Files by address: listing, identity and first bytes, on disk or object storage. Knows no raster."""

import glob
import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from fsspec.core import url_to_fs

from tiling.errors import SceneError

RASTER_ENDINGS = (".tif", ".tiff", ".jp2")
"""What a folder is searched for, in any case."""

READ_AHEAD_BYTES = 1 << 16
"""Fetched from object storage at a time where only a header is wanted."""

REMEDY = "check the address, the credentials and AWS_ENDPOINT_URL"
"""What a user of object storage can do."""


def is_local(uri: str) -> bool:
    """Whether an address is a path on this machine."""
    return "://" not in uri or uri.startswith("file://")


def local_path(uri: str) -> str:
    """The absolute path behind a local address."""
    return os.path.abspath(uri.removeprefix("file://"))


def full_address(uri: str) -> str:
    """The address with local paths made absolute, so that it means the same in every process."""
    return local_path(uri) if is_local(uri) else uri


def joined(base: str, href: str) -> str:
    """An address that stands in a file at `base`: absolute ones stay, relative ones start at its folder."""
    if "://" in href or os.path.isabs(href):
        return href
    # Stores of objects know no way up: the steps are taken here.
    scheme, mark, place = base.rpartition("://")
    return f"{scheme}{mark}{posixpath.normpath(posixpath.join(posixpath.dirname(place), href))}"


@contextmanager
def open_binary(uri: str) -> Iterator[BinaryIO]:
    """Open a file for reading a few bytes.

    Raises:
        SceneError: There is no such file, or it may not be read, or reading it in the block fails.
    """
    with _storage(uri):
        if is_local(uri):
            with open(local_path(uri), "rb") as file:
                yield file
        else:
            fs, path = url_to_fs(uri, **storage_options(uri))
            # Object stores are read ahead by 50 MB unless told otherwise.
            with fs.open(path, "rb", block_size=READ_AHEAD_BYTES) as file:
                yield file


def read_bytes(uri: str, *, limit: int) -> bytes:
    """The whole content of a small file.

    Raises:
        SceneError: It is not there, or larger than `limit` bytes.
    """
    with open_binary(uri) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise SceneError(uri, f"is larger than {limit} bytes")
    return content


def identity(uris: Iterable[str]) -> str:
    """Digest of what tells these files' contents apart: ETag, or size and modification time, of each.

    Args:
        uris: Addresses that open as they are.

    Raises:
        SceneError: One of them is not there.
    """
    marks = [_mark(uri) for uri in uris]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]


def _mark(uri: str) -> str:
    with _storage(uri):
        if is_local(uri):
            stat = os.stat(local_path(uri))
            return f"{stat.st_size}-{stat.st_mtime_ns}"
        fs, path = url_to_fs(uri, **storage_options(uri))
        info = fs.info(path)
    tag = info.get("ETag") or info.get("LastModified") or info.get("mtime") or ""
    return f"{info.get('size')}-{str(tag).strip(chr(34))}"


def list_sources(patterns: Sequence[str]) -> list[str]:
    """Addresses of all rasters and STAC items that patterns name.

    Args:
        patterns: Files, folders (searched below for *.tif, *.tiff, *.jp2) and globs, local or s3://.

    Returns:
        Addresses without repetition: the patterns in their order, the files of each sorted.

    Raises:
        SceneError: A pattern names nothing.
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
    with _storage(pattern):
        fs, path = url_to_fs(pattern, **storage_options(pattern))
        if any(mark in path for mark in "*?["):
            return [f"{protocol}://{name}" for name in sorted(fs.glob(path))]
        if fs.isfile(path):
            return [pattern]
        below = fs.find(path)
    return _rasters(pattern, (f"{protocol}://{name}" for name in below)) if below else []


def _rasters(folder: str, names: Iterable[str]) -> list[str]:
    rasters = sorted(name for name in names if name.lower().endswith(RASTER_ENDINGS))
    if not rasters:
        wanted = ", ".join("*" + end for end in RASTER_ENDINGS)
        raise SceneError(folder, f"holds no {wanted}: name the files, or another folder")
    return rasters


def s3_endpoint() -> str:
    """Address of the object store, empty for Amazon's own."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", "")


def storage_options(uri: str, *, attempts: int = 2) -> dict[str, object]:
    """Options of the file system behind an address.

    Listings are not remembered between calls, and an endpoint that is not there is said within seconds.

    Args:
        uri: The address.
        attempts: Of one request of the S3 client; the file system above it tries again by itself.
    """
    if not uri.startswith("s3://"):
        return {}
    client = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": attempts}}
    return {"use_listings_cache": False, "endpoint_url": s3_endpoint() or None, "config_kwargs": client}


@contextmanager
def _storage(uri: str) -> Iterator[None]:
    """A block that asks storage for something; whatever it raises becomes SceneError."""
    try:
        yield
    except SceneError:
        raise
    except (FileNotFoundError, IsADirectoryError) as exc:
        raise SceneError(uri, _not_found(uri)) from exc
    except Exception as exc:  # every protocol brings exceptions of its own (botocore's are no OSError)
        remedy = "" if is_local(uri) else f"; {REMEDY}"
        raise SceneError(uri, f"cannot be read: {type(exc).__name__}: {exc}{remedy}") from exc


def _not_found(uri: str) -> str:
    return "no such file: check the path" if is_local(uri) else f"no such file or bucket: {REMEDY}"
