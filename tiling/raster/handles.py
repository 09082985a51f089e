"""The one opener of rasters: limits first, one error type, a few handles kept open per thread."""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import rasterio
from rasterio.enums import MaskFlags
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from tiling import SceneError
from tiling.raster.gdal import SIDECARS, gdal, gdal_options
from tiling.raster.header import DEFAULT_OPTIONS, Header, OpenOptions, check_header, read_header
from tiling.storage import (
    SCHEMES,
    in_bucket,
    is_local,
    is_signed,
    local_path,
    object_storage,
    read_part,
    sidecars_of,
    signed,
)

KEPT_OPEN = 32
"""Handles a thread keeps open: the files of a band set, or of a mosaic's items over one place."""

DECODE_THREADS = 2
"""Threads that decode one read's blocks; two took 0.19 s where one took 0.29 s, at equal CPU time."""

HTTP_REMEDY = "check the address; where it needs a signature, name what signs it with --sign"
"""What a user of http and https addresses can do."""


@contextmanager
def opened(uri: str, options: OpenOptions = DEFAULT_OPTIONS) -> Iterator[DatasetReader]:
    """Open a raster for reading, after its header has been checked.

    Args:
        uri: Local path, or s3:// (http and https where the limits name the driver HTTP).
        options: What it may declare.

    Raises:
        SceneError: It is not there, not allowed, or GDAL raised anything, here or inside the block.
        StorageError: The storage refuses or is away.
    """
    with gdal(uri, sign=options.sign), _open(uri, options) as dataset:
        yield dataset


def _open(uri: str, options: OpenOptions) -> DatasetReader:
    address = signed(uri, options.sign)
    path = vsi_path(address, options)
    header = Header("") if address.startswith(("http://", "https://")) else _header(address)
    check_header(uri, header, limits=options.limits)
    # A signature fits one file: none is asked for beside it.
    beside = () if is_signed(uri, options.sign) else sidecars_of(uri, SIDECARS)
    with rasterio.Env(**gdal_options(uri, beside=beside, sign=options.sign)):
        dataset = _first_that_opens(uri, path, driver=header.driver, options=options)
        try:
            _check_dataset(uri, dataset, options)
            _check_sidecars(uri, dataset, beside)
        except BaseException:
            dataset.close()
            raise
    return dataset


def _header(uri: str) -> Header:
    return read_part(uri, lambda file: read_header(uri, file))


def _check_sidecars(uri: str, dataset: DatasetReader, beside: tuple[str, ...]) -> None:
    """Refuse a handle without the mask or overviews that lie beside the file.

    GDAL goes on without them where asking for them fails, and its pixels are then other ones.
    """
    if not in_bucket(uri):
        return
    # Both are asked for here, while GDAL knows which files there are: later it would look for all.
    masks, overviews = dataset.mask_flag_enums[0], dataset.overviews(1)
    if ".msk" in beside and MaskFlags.per_dataset not in masks:
        raise SceneError(uri, "the mask beside it cannot be read: put a whole one there, or remove it")
    if ".ovr" in beside and not overviews:
        raise SceneError(uri, "the overviews beside it cannot be read: put whole ones there, or remove them")


def _first_that_opens(uri: str, path: str, *, driver: str, options: OpenOptions) -> DatasetReader:
    if driver:
        return rasterio.open(path, driver=driver, **_options(driver, path))
    last: Exception | None = None
    for name in (name for name in options.limits.drivers if name not in ("COG", "HTTP")):
        try:
            return rasterio.open(path, driver=name, **_options(name, path))
        except RasterioError as exc:
            last = exc
            if "HTTP response code" in str(exc):
                raise SceneError(uri, f"cannot be read: {exc}; {HTTP_REMEDY}") from exc
    raise SceneError(
        uri,
        f"is none of {', '.join(options.limits.drivers)}: convert it to a GeoTIFF or allow its GDAL driver",
    ) from last


def _options(driver: str, path: str) -> dict[str, str]:
    """Several decoding threads for a local TIFF only.

    With them GDAL 3.10 takes a range that the network refused for read: it prints "Request for … failed",
    raises nothing, and the pixels are another block's.
    """
    if driver != "GTiff" or path.startswith("/vsi"):
        return {}
    return {"NUM_THREADS": str(DECODE_THREADS)}


def vsi_path(uri: str, options: OpenOptions = DEFAULT_OPTIONS) -> str:
    """The name GDAL knows an address by.

    Raises:
        SceneError: The address is of a kind that is not read, or http(s) without leave.
    """
    if is_local(uri):
        return local_path(uri)
    protocol, _, rest = uri.partition("://")
    if prefix := object_storage(uri).gdal_prefix:
        return f"{prefix}{rest}"
    if protocol in ("http", "https"):
        if "HTTP" in options.limits.drivers:
            return f"/vsicurl/{uri}"
        raise SceneError(
            uri,
            "http and https addresses are off: allow the driver HTTP (--allow-driver HTTP), or copy the file",
        )
    buckets = " or ".join(f"{scheme}://" for scheme in SCHEMES)
    raise SceneError(uri, f"{protocol}:// addresses are not read: use a local path or {buckets}")


def _check_dataset(uri: str, dataset: DatasetReader, options: OpenOptions) -> None:
    if not dataset.count:
        raise SceneError(uri, "has no band")
    rows, columns = dataset.block_shapes[0]
    header = Header(dataset.driver, dataset.width, dataset.height, dataset.count, rows * columns)
    check_header(uri, header, limits=options.limits)


class _Kept(threading.local):
    """The open handles of one thread, in the order of their last use."""

    def __init__(self) -> None:
        self.handles: OrderedDict[tuple[str, OpenOptions, str], DatasetReader] = OrderedDict()


_kept = _Kept()


@contextmanager
def held(uri: str, options: OpenOptions, *, version: str) -> Iterator[DatasetReader]:
    """Open a raster and keep its handle for this thread's next reads of it; drop it if a read fails.

    Args:
        uri: The raster.
        options: What it may declare.
        version: Identity of its content; another one opens the file anew.

    Raises:
        SceneError: As for any raster that is opened.
        StorageError: The storage refuses or is away.
    """
    key = (uri, options, version)
    with gdal(uri, sign=options.sign), ExitStack() as on_error:
        dataset = _kept.handles.pop(key, None) or _open(uri, options)
        on_error.callback(dataset.close)
        yield dataset
        on_error.pop_all()
        _kept.handles[key] = dataset
        while len(_kept.handles) > KEPT_OPEN:
            _kept.handles.popitem(last=False)[1].close()
