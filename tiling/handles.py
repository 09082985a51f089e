"""The one opener of rasters: limits first, one error type, a few handles kept open per thread."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.session import DummySession

from tiling.errors import SceneError
from tiling.header import Header, check_header, read_header
from tiling.limits import DEFAULT_LIMITS, Limits
from tiling.signing import signed
from tiling.storage import is_local, local_path, open_binary, s3_endpoint

RASTER_ERRORS = (
    RasterioError, CPLE_BaseError, OSError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError,
    MemoryError, AttributeError,
)  # fmt: skip
"""Everything a raster read has been seen to raise; GDAL's own errors are not only RasterioIOError."""

KEPT_OPEN = 32
"""Handles a thread keeps open: the files of a band set, or of a mosaic's items over one place."""

DECODE_THREADS = 2
"""Threads that decode one read's blocks; two took 0.19 s where one took 0.29 s, at equal CPU time."""

BLOCK_CACHE_BYTES = 256 << 20
"""GDAL's block cache; rasterio takes it in bytes (256 would be 256 bytes: reads 300 times slower). It
holds the row of blocks that two rows of chunks of a 10,000-pixel scene share."""


HTTP_REMEDY = "check the address; where it needs a signature, name what signs it with --sign"
"""What a user of http and https addresses can do."""


def gdal_options(uri: str, *, is_signed: bool = False) -> dict[str, object]:
    """GDAL options for reading an address; object storage is configured by the usual AWS_* variables.

    Args:
        uri: The unsigned address.
        is_signed: It is opened by a signed address, which fits this one file and often no HEAD request.
    """
    options: dict[str, object] = {
        "GDAL_CACHEMAX": BLOCK_CACHE_BYTES,
        # Sidecar masks and overviews are looked for by name; folders of many files are not listed.
        "GDAL_DISABLE_READDIR_ON_OPEN": "TRUE",
        # A damaged JPEG block is an error, not a grey square.
        "GDAL_ERROR_ON_LIBJPEG_WARNING": True,
        # What a closed handle had fetched is forgotten: the next one sees the object as it is now.
        "CPL_VSIL_CURL_NON_CACHED": "/vsis3/:/vsicurl/",
        "GDAL_HTTP_CONNECTTIMEOUT": 20,
        "GDAL_HTTP_TIMEOUT": 120,
        "GDAL_HTTP_MAX_RETRY": 4,
        "GDAL_HTTP_RETRY_DELAY": 0.5,
    }
    if is_signed:
        options["GDAL_DISABLE_READDIR_ON_OPEN"] = "EMPTY_DIR"
        options["CPL_VSIL_CURL_USE_HEAD"] = "NO"
    elif not is_local(uri):
        # Masks, overviews and statistics beside the file are asked for, nothing else: 5 requests, not 20.
        own = "." + uri.rsplit("/", 1)[-1].rsplit(".", 1)[-1]
        options["CPL_VSIL_CURL_ALLOWED_EXTENSIONS"] = f"{own},.msk,.ovr,.aux.xml"
    endpoint = s3_endpoint()
    if uri.startswith("s3://") and endpoint:
        scheme, _, host = endpoint.partition("://")
        options["AWS_S3_ENDPOINT"] = host.rstrip("/")
        options["AWS_HTTPS"] = "NO" if scheme == "http" else "YES"
        options["AWS_VIRTUAL_HOSTING"] = False
    return options


@contextmanager
def gdal(uri: str, limits: Limits) -> Iterator[None]:
    """A block in which GDAL reads an address: options set, and everything it raises becomes SceneError."""
    is_signed = bool(limits.sign) and not is_local(uri)
    try:
        with rasterio.Env(session=DummySession(), **gdal_options(uri, is_signed=is_signed)):
            yield
    except SceneError:
        raise
    except RASTER_ERRORS as exc:
        raise SceneError(uri, f"cannot be read: {_said(exc)}") from exc


def _said(exc: BaseException) -> str:
    """What GDAL said, the cause behind rasterio's "see previous exception" included."""
    texts = [str(exc) or type(exc).__name__]
    if exc.__cause__ is not None:
        texts.append(str(exc.__cause__))
    return "; ".join(dict.fromkeys(texts))


@contextmanager
def opened(uri: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[DatasetReader]:
    """Open a raster for reading, after a look at its header.

    Args:
        uri: Local path, or s3:// (http and https where the limits name the driver HTTP).
        limits: What it may declare.

    Raises:
        SceneError: It is not there, not allowed, or GDAL raised anything, here or inside the block.
    """
    with gdal(uri, limits), _open(uri, limits) as dataset:
        yield dataset


def _open(uri: str, limits: Limits) -> DatasetReader:
    address = signed(uri, limits.sign)
    header = Header("") if address.startswith(("http://", "https://")) else _header(address)
    check_header(uri, header, limits=limits)
    dataset = _first_that_opens(uri, vsi_path(address, limits), driver=header.driver, limits=limits)
    try:
        _check_dataset(uri, dataset, limits)
    except SceneError:
        dataset.close()
        raise
    return dataset


def _header(uri: str) -> Header:
    with open_binary(uri) as file:
        return read_header(uri, file)


def _first_that_opens(uri: str, path: str, *, driver: str, limits: Limits) -> DatasetReader:
    if driver:
        return rasterio.open(path, driver=driver, **_options(driver, path))
    last: Exception | None = None
    for name in (name for name in limits.drivers if name not in ("COG", "HTTP")):
        try:
            return rasterio.open(path, driver=name, **_options(name, path))
        except RasterioError as exc:
            last = exc
            if "HTTP response code" in str(exc):
                raise SceneError(uri, f"cannot be read: {exc}; {HTTP_REMEDY}") from exc
    raise SceneError(
        uri, f"is none of {', '.join(limits.drivers)}: convert it to a GeoTIFF or allow its GDAL driver"
    ) from last


def _options(driver: str, path: str) -> dict[str, str]:
    """Several decoding threads for a local TIFF only.

    With them GDAL 3.10 takes a range that the network refused for read: it prints "Request for … failed",
    raises nothing, and the pixels are another block's.
    """
    if driver != "GTiff" or path.startswith("/vsi"):
        return {}
    return {"NUM_THREADS": str(DECODE_THREADS)}


def vsi_path(uri: str, limits: Limits = DEFAULT_LIMITS) -> str:
    """The name GDAL knows an address by.

    Raises:
        SceneError: The address is of a kind that is not read, or http(s) without leave.
    """
    if is_local(uri):
        return local_path(uri)
    protocol, _, rest = uri.partition("://")
    if protocol == "s3":
        return f"/vsis3/{rest}"
    if protocol in ("http", "https"):
        if "HTTP" in limits.drivers:
            return f"/vsicurl/{uri}"
        raise SceneError(
            uri,
            "http and https addresses are off: allow the driver HTTP (--allow-driver HTTP), or copy the file",
        )
    raise SceneError(uri, f"{protocol}:// addresses are not read: use a local path or s3://")


def _check_dataset(uri: str, dataset: DatasetReader, limits: Limits) -> None:
    if not dataset.count:
        raise SceneError(uri, "has no band")
    rows, columns = dataset.block_shapes[0]
    header = Header(dataset.driver, dataset.width, dataset.height, dataset.count, rows * columns)
    check_header(uri, header, limits=limits)


class _Kept(threading.local):
    """Handles one thread keeps open, least recently used first."""

    def __init__(self) -> None:
        self.handles: OrderedDict[tuple[str, Limits, str], DatasetReader] = OrderedDict()


_kept = _Kept()


@contextmanager
def held(uri: str, limits: Limits, *, version: str) -> Iterator[DatasetReader]:
    """Open a raster and keep its handle for this thread's next reads of it; drop it if a read fails.

    Args:
        uri: The raster.
        limits: What it may declare.
        version: Identity of its content; another one opens the file anew.

    Raises:
        SceneError: As for any raster that is opened.
    """
    key = (uri, limits, version)
    with gdal(uri, limits), ExitStack() as on_error:
        dataset = _kept.handles.pop(key, None) or _open(uri, limits)
        on_error.callback(dataset.close)
        yield dataset
        on_error.pop_all()
        _kept.handles[key] = dataset
        while len(_kept.handles) > KEPT_OPEN:
            _kept.handles.popitem(last=False)[1].close()
