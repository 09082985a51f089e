"""The storage that an address names: this machine's disk, a scheme of the table, or whatever fsspec knows.

A new scheme is a subclass of `ObjectStorage` in a file beside this one, and a line in `SCHEMES`.
"""

import asyncio
import os
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.exceptions import FSTimeoutError

ConditionalPut = Callable[[AbstractFileSystem, str], bool]
"""Puts a file at a path if its condition holds, and returns whether it did; it may be repeated."""

_OUTAGES = (asyncio.TimeoutError, FSTimeoutError, ConnectionError, TimeoutError)
_MARKS = ("ETag", "etag", "LastModified", "updated", "mtime")


class ObjectStorage:
    """What storage does for the addresses of its scheme; this class does what fsspec can do for any.

    A subclass knows its scheme: conditional writes, the names and credentials of GDAL, what errors mean.
    """

    gdal_prefix: str = ""
    """What GDAL writes in place of the scheme; empty where rasters are not read from there."""
    settings: tuple[str, ...] = ()
    """Environment variables that say which storage an address means, and hold no secret."""
    forwarded_names: tuple[str, ...] = ()
    """Environment variables that `credentials_to_forward` may give."""
    remedy: str = "check the address"
    """What a user can do where a file is not found."""

    def filesystem(self, uri: str) -> tuple[AbstractFileSystem, str]:
        """The file system behind an address, which remembers no listing, and the path on it.

        Raises:
            ValueError: the kind of address is unknown.
            Exception: a setting is wrong, in the words of the storage's client.
        """
        fs, path = url_to_fs(uri)
        return fs, str(path)

    def snapshot(self, uri: str, *, block_bytes: int) -> tuple[AbstractFileSystem, str]:
        """A file system that lists a folder once, and refuses a file that is another than the listed one.

        Args:
            uri: the address.
            block_bytes: minimum size of a read.

        Raises:
            ValueError: the kind of address is unknown.
            Exception: a setting is wrong, in the words of the storage's client.
        """
        return self.filesystem(uri)

    def check_bucket(self, uri: str) -> None:
        """Ask for the bucket of an address; storage without buckets asks for nothing.

        Raises:
            FileNotFoundError: there is no such bucket.
            Exception: whatever else the client raises: the storage is away, or does not list buckets.
        """

    def sidecars(self, uri: str, endings: Sequence[str]) -> tuple[str, ...]:
        """Which files with further endings lie beside a file; all of them where that cannot be listed.

        Args:
            uri: address of the file.
            endings: what may follow its name.

        Raises:
            FileNotFoundError: there is no such file or bucket.
            Exception: whatever else the client raises.
        """
        return tuple(endings)

    def content_mark(self, info: Mapping[str, Any]) -> str:
        """What tells a file's content from another content at its place, from the client's listing."""
        mark = next((info[name] for name in _MARKS if info.get(name)), "")
        return f"{info.get('size')}-{str(mark).strip(chr(34))}"

    def read_versioned(self, fs: AbstractFileSystem, path: str) -> tuple[bytes, str]:
        """Content of a file and its version, from one answer.

        Raises:
            FileNotFoundError: it is not there.
            NotImplementedError: this kind of storage has no versions.
        """
        raise NotImplementedError(
            f"{type(fs).__name__} has no conditional writes: use a local folder or s3://"
        )

    def conditional_put(self, data: bytes, *, version: str | None) -> ConditionalPut:
        """A PUT that goes through only in the place of a version, or only where there is no file.

        Args:
            data: content of the file.
            version: of the content to be replaced; None where there must be none.

        Raises:
            NotImplementedError: this kind of storage has no conditional writes.
        """
        raise NotImplementedError("this storage has no conditional writes: use a local folder or s3://")

    def gdal_options(self) -> dict[str, str]:
        """GDAL's options for such addresses: endpoint, region, credentials.

        Raises:
            Exception: the credentials cannot be had, in the words of the storage's client.
        """
        return {}

    def credentials(self) -> object:
        """The credentials in use, to be compared with those of another time; None where there are none."""
        return None

    def forget(self) -> None:
        """Ask for credentials and open connections anew from now on."""

    def credentials_to_forward(self) -> dict[str, str]:
        """Environment variables that give another process this one's access as of now, secrets among them.

        Raises:
            Exception: the credentials cannot be had, in the words of the storage's client.
        """
        return {}

    def has_credentials(self) -> bool:
        """Whether this process can reach the storage by itself."""
        return True

    def status(self, error: BaseException) -> int:
        """Status of the HTTP answer behind an error, 0 where there was none."""
        return int(getattr(error, "status", 0) or 0)

    def code(self, error: BaseException) -> str:
        """The storage's own code for an error, empty where it has none."""
        return ""

    def is_refusal(self, error: BaseException) -> bool:
        """Whether the storage does not accept the credentials, or there are none."""
        return False

    def is_outage(self, error: BaseException) -> bool:
        """Whether the connection broke, so that another try may succeed."""
        return isinstance(error, (*_OUTAGES, *_http_client_errors()))


SCHEMES = {"s3": "tiling.storage.s3:S3"}
"""Where the class of each scheme stands; it is imported with its client when an address needs it."""


def is_local(uri: str) -> bool:
    """Whether an address is a path on this machine."""
    return "://" not in uri or uri.startswith("file://")


def in_bucket(uri: str) -> bool:
    """Whether an address names object storage of the table."""
    return uri.partition("://")[0] in SCHEMES and "://" in uri


def object_storage(uri: str) -> ObjectStorage:
    """The storage of an address; where the table does not have it, what fsspec can do."""
    return _storage(uri.partition("://")[0] if in_bucket(uri) else "")


def filesystem(uri: str) -> tuple[AbstractFileSystem, str]:
    """The file system behind an address and the path on it; one client a process and environment.

    Listings are not remembered between calls.

    Raises:
        ValueError: a setting is wrong, or the kind of address is unknown.
        Exception: a setting is wrong, in the words of the storage's client.
    """
    return object_storage(uri).filesystem(uri)


def gdal_prefixes() -> tuple[str, ...]:
    """What GDAL puts before the names of buckets, for all schemes of the table."""
    return tuple(storage.gdal_prefix for storage in map(_storage, SCHEMES) if storage.gdal_prefix)


def storage_settings() -> tuple[str, ...]:
    """Environment variables without secrets that say which storage an address means, for all schemes."""
    return tuple(name for storage in map(_storage, SCHEMES) for name in storage.settings)


def credentials_to_forward() -> dict[str, str]:
    """Environment variables that give another process this one's access as of now; secrets among them.

    Raises:
        Exception: the credentials cannot be had, in the words of the storage's client.
    """
    return {
        name: value
        for storage in map(_storage, SCHEMES)
        for name, value in storage.credentials_to_forward().items()
    }


def use_forwarded(forwarded: Mapping[str, str]) -> None:
    """Use another process's access where this one has no credentials of its own."""
    for storage in map(_storage, SCHEMES):
        own = {name: value for name, value in forwarded.items() if name in storage.forwarded_names}
        if own and not storage.has_credentials():
            os.environ.update({name: value for name, value in own.items() if name not in os.environ})


@lru_cache
def _storage(scheme: str) -> ObjectStorage:
    if scheme not in SCHEMES:
        return ObjectStorage()
    made = pkgutil.resolve_name(SCHEMES[scheme])()
    assert isinstance(made, ObjectStorage)
    return made


@lru_cache
def _http_client_errors() -> tuple[type[BaseException], ...]:
    """Imported when an error is met: aiohttp takes a fifth of a second to import."""
    import aiohttp

    return (aiohttp.ClientError,)
