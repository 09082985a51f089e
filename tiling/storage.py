"""Files by address: listing, identity and first bytes, on disk or object storage. Knows no raster."""

import glob
import hashlib
import os
from collections.abc import Iterable, Sequence
from typing import BinaryIO, cast

import fsspec
from fsspec.core import url_to_fs

from tiling.errors import SceneError

RASTER_ENDINGS = (".tif", ".tiff", ".jp2")
"""What a folder is searched for, in any case."""

NOT_FOUND = "no such file or bucket: check the address, the credentials and AWS_ENDPOINT_URL"
"""Said wherever an address leads to nothing."""


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
    folder = base.rsplit("/", 1)[0] if "/" in base else "."
    return f"{folder}/{href.removeprefix('./')}"


def open_binary(uri: str) -> BinaryIO:
    """Open a file for reading bytes; the caller closes it.

    Raises:
        SceneError: There is no such file, or it may not be read.
    """
    try:
        if is_local(uri):
            return open(local_path(uri), "rb")
        return cast(BinaryIO, fsspec.open(uri, "rb", **_fresh(uri)).open())
    except (OSError, ValueError, ImportError) as exc:
        raise SceneError(uri, _reason(exc)) from exc


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

    Raises:
        SceneError: One of them is not there.
    """
    marks = [_mark(uri) for uri in uris]
    return hashlib.sha256("\n".join(marks).encode()).hexdigest()[:32]


def _mark(uri: str) -> str:
    try:
        if is_local(uri):
            stat = os.stat(local_path(uri))
            return f"{stat.st_size}-{stat.st_mtime_ns}"
        fs, path = url_to_fs(uri, **_fresh(uri))
        info = fs.info(path)
    except (OSError, ValueError, ImportError) as exc:
        raise SceneError(uri, _reason(exc)) from exc
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
            raise SceneError(pattern, NOT_FOUND)
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
    try:
        fs, path = url_to_fs(pattern, **_fresh(pattern))
        if any(mark in path for mark in "*?["):
            return [f"{protocol}://{name}" for name in sorted(fs.glob(path))]
        if fs.isfile(path):
            return [pattern]
        below = fs.find(path)
    except (OSError, ValueError, ImportError) as exc:
        raise SceneError(pattern, _reason(exc)) from exc
    return _rasters(pattern, (f"{protocol}://{name}" for name in below)) if below else []


def _rasters(folder: str, names: Iterable[str]) -> list[str]:
    rasters = sorted(name for name in names if name.lower().endswith(RASTER_ENDINGS))
    if not rasters:
        raise SceneError(folder, f"holds no {', '.join('*' + end for end in RASTER_ENDINGS)}")
    return rasters


def _fresh(uri: str) -> dict[str, bool]:
    """Options that keep the listing of a bucket from being remembered between calls."""
    return {"use_listings_cache": False} if uri.startswith("s3://") else {}


def _reason(exc: Exception) -> str:
    if isinstance(exc, FileNotFoundError | IsADirectoryError):
        return NOT_FOUND
    return f"cannot be read: {type(exc).__name__}: {exc}"
