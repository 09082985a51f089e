"""The settings under which GDAL reads an address, and the faults that it must not pass over in silence."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.session import DummySession, Session

from tiling import SceneError
from tiling.storage import (
    confirm,
    explained,
    gdal_prefixes,
    in_bucket,
    is_local,
    is_signed,
    object_storage,
    signed,
)

RASTER_ERRORS = (
    RasterioError, CPLE_BaseError, OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError,
    MemoryError, AttributeError,
)  # fmt: skip
"""Everything a raster read has been seen to raise; GDAL's own errors are not only RasterioIOError."""

BLOCK_CACHE_BYTES = 256 << 20
"""GDAL's block cache; rasterio takes it in bytes (256 would be 256 bytes: reads 300 times slower). It
holds the row of blocks that two rows of chunks of a 10,000-pixel scene share."""

SIDECARS = (".msk", ".ovr", ".aux.xml")
"""Files beside a raster that change what it holds: masks, overviews, statistics."""

CUT_SHORT = "IO error"
"""In what libtiff says of a header tag that it could not read. It goes on without the tag, as if the file had
none: seen with a body that ended too early, where the CRS or the nodata value went missing."""


def gdal_options(uri: str, *, beside: tuple[str, ...] = SIDECARS, sign: str = "") -> dict[str, object]:
    """GDAL options for reading an address.

    Args:
        uri: The address.
        beside: Endings of the sidecar files that are asked for, where it is not local.
        sign: What signs the address when it is opened, empty for nothing.
    """
    options: dict[str, object] = {
        "GDAL_CACHEMAX": BLOCK_CACHE_BYTES,
        # Sidecar masks and overviews are looked for by name; folders of many files are not listed.
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
        # A damaged JPEG block is an error, not a grey square.
        "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
        # What a closed handle had fetched is forgotten: the next one sees the object as it is now.
        "CPL_VSIL_CURL_NON_CACHED": ":".join([*gdal_prefixes(), "/vsicurl/"]),
        "GDAL_HTTP_CONNECTTIMEOUT": 5,
        "GDAL_HTTP_TIMEOUT": 120,
        # A transfer that does not move at all is given up sooner.
        "GDAL_HTTP_LOW_SPEED_TIME": 20,
        "GDAL_HTTP_LOW_SPEED_LIMIT": 1,
        # Of one request; above it whole reads are tried again, with fresh handles.
        "GDAL_HTTP_MAX_RETRY": 3,
        "GDAL_HTTP_RETRY_DELAY": 0.2,
    }
    if is_signed(uri, sign):
        # The signature fits this one file, and often no HEAD request.
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
        options["CPL_VSIL_CURL_USE_HEAD"] = "NO"
    elif not is_local(uri):
        # Masks, overviews and statistics beside the file are asked for, nothing else: 5 requests, not 20.
        own = "." + uri.rsplit("/", 1)[-1].rsplit(".", 1)[-1]
        options["CPL_VSIL_CURL_ALLOWED_EXTENSIONS"] = ",".join([own, *beside])
    return options


@contextmanager
def gdal(uri: str, *, sign: str = "") -> Iterator[None]:
    """A block in which GDAL reads an address: options set, and everything it raises becomes SceneError.

    Args:
        uri: The unsigned address.
        sign: What signs it when it is opened, empty for nothing.

    Raises:
        SceneError: GDAL raised anything, or passed over a part of a header; the storage is well.
        StorageError: The storage refuses or is away.
    """
    try:
        with rasterio.Env(session=_session(uri), **gdal_options(uri, sign=sign)), _captured() as warnings:
            yield
            if not is_local(uri) and any(CUT_SHORT in message for message in warnings):
                raise SceneError(uri, f"its header cannot be read whole: {warnings[0]}")
    except SceneError:
        raise
    except RASTER_ERRORS as exc:
        if not is_local(uri):
            confirm(signed(uri, sign))
        raise SceneError(uri, f"cannot be read: {_message(exc)}") from exc


class _Given(Session):  # type: ignore[misc]
    """Credentials as they were found for all of object storage, in the words of GDAL."""

    def __init__(self, options: dict[str, str]) -> None:
        self._options = options

    def get_credential_options(self) -> dict[str, str]:
        return self._options


def _session(uri: str) -> Session:
    if not in_bucket(uri):
        return DummySession()
    try:
        return _Given(object_storage(uri).gdal_options())
    except Exception as error:  # the clients' own errors of profiles and settings
        raise explained(uri, error) from error


class _Warnings(logging.Filter):
    """Keeps what GDAL warns of from the terminal while somebody listens in the thread."""

    def __init__(self) -> None:
        super().__init__()
        self.captured = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        captured: list[str] | None = getattr(self.captured, "lines", None)
        if captured is None or record.levelno > logging.WARNING:
            return True
        captured.append(record.getMessage())
        return False


_warnings = _Warnings()
logging.getLogger("rasterio._env").addFilter(_warnings)


@contextmanager
def _captured() -> Iterator[list[str]]:
    """What GDAL warns of in this thread during the block."""
    before: list[str] | None = getattr(_warnings.captured, "lines", None)
    _warnings.captured.lines = [] if before is None else before
    try:
        yield _warnings.captured.lines
    finally:
        _warnings.captured.lines = before


def _message(exc: BaseException) -> str:
    """GDAL's message, with the cause behind rasterio's "see previous exception" included."""
    texts = [str(exc) or type(exc).__name__]
    if exc.__cause__ is not None:
        texts.append(str(exc.__cause__))
    return "; ".join(dict.fromkeys(texts))
