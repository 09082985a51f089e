"""Reads pixels of a mosaic's cell, composed of its items by odc-stac, xarray and dask.

Pixels are computed in whole blocks of a fixed lattice of the zone, so that a pixel has the same value in
every chunk and cell that contains it. odc-stac gets the georeferences that the plan found in the files, and
every pixel is read by this project's own opener, with its limits, masks and signatures.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, floor
from typing import Any

import dask
import numpy as np
import odc.stac
import pystac
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox as OdcGeoBox
from odc.loader.types import RasterBandMetadata, RasterGroupMetadata
from pystac.extensions.projection import ProjectionExtension
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.warp import reproject

from tiling import Composite, Kernel, Mosaic, Scene, Transform
from tiling.geo import GeoBox, inverse, moved, transformer
from tiling.raster.header import OpenOptions
from tiling.raster.native_window import Area, Valid, Values, read_with_retry

ON_GRID_WITHIN_PX = 1e-3
"""Distance, pixels, up to which the pixels of two grids count as the same and are not resampled."""

KERNEL_PX = 4
"""Pixels around a pixel that a kernel may use."""

STEPS = 9
"""Points per side of a target that are projected to find its extent in the scene's pixels."""


BLOCK_PX = 512
"""Side of the blocks in which pixels are computed; a median holds a block of all items in memory."""

PIXELS = "pixels"
"""The one band odc-stac sees: all display bands of an item together."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def read_mosaic(scene: Scene, area: Area, *, options: OpenOptions) -> tuple[Values, Valid]:
    """Read an area of a mosaic's cell.

    Args:
        scene: The cell.
        area: Where, and at which size; another size takes the nearest pixels.
        options: What the items' files may declare.

    Returns:
        Values (bands, height, width) in the scene's dtype, zero where invalid, and validity (height, width).

    Raises:
        SceneError: A file of an item cannot be opened or read.
    """
    left, top, right, bottom = floor(area.left), floor(area.top), ceil(area.right), ceil(area.bottom)
    made = _composed(scene, (left, top, right, bottom), options)
    if (area.width, area.height) != (right - left, bottom - top):
        across = _picked(area.left - left, area.right - left, area.width)
        down = _picked(area.top - top, area.bottom - top, area.height)
        made = made[:, down[:, None], across[None, :]]
    valid = np.isfinite(made).all(axis=0)
    dtype = np.dtype(scene.dtype)
    filled = np.where(valid, made, 0)
    if dtype.kind in "iu":
        filled = np.clip(np.rint(filled), np.iinfo(dtype).min, np.iinfo(dtype).max)
    return filled.astype(dtype), valid


def _picked(first: float, last: float, count: int) -> NDArray[np.int64]:
    """Indexes of the pixels at the middles of `count` equal parts of an interval."""
    places = first + (np.arange(count) + 0.5) * (last - first) / count
    return np.clip(np.floor(places).astype(np.int64), 0, ceil(last) - 1)


def _composed(scene: Scene, window: tuple[int, int, int, int], options: OpenOptions) -> NDArray[np.floating]:
    """Floats (bands, height, width) of a window of the cell, NaN where no item has a valid pixel."""
    assert scene.mosaic is not None
    blocks = _blocks_over(scene.transform, window)
    driver = _Driver(scene.mosaic, scene.crs, len(scene.bands), options)
    geobox = blocks.geobox(scene)
    loaded = odc.stac.load(
        driver.documents(geobox),
        bands=[PIXELS],
        geobox=geobox,
        chunks={"x": BLOCK_PX, "y": BLOCK_PX, "time": -1},
        groupby=_together if scene.mosaic.composite is Composite.FIRST_VALID else "id",
        preserve_original_order=True,
        driver=driver,
    )
    stacked = loaded[PIXELS].data[:, :, *blocks.part]  # (time, bands, y, x)
    if scene.mosaic.composite is Composite.MEDIAN:
        layer = stacked.map_blocks(_median, drop_axis=0, dtype=stacked.dtype)
    else:
        layer = stacked[0]
    # In this thread: every core has a worker process already, so more threads would only compete.
    with dask.config.set(scheduler="synchronous"):
        made: NDArray[np.floating] = np.asarray(layer.compute())
    return made


def _together(item: object, parsed: object, index: int) -> int:
    """The same group for all items, in which odc-stac puts earlier items over later ones."""
    return 0


def _median(stack: NDArray[np.floating]) -> NDArray[np.floating]:
    """Median over the first axis of what is not NaN; NaN where nothing is.

    numpy's nanmedian gives the same bits and takes four times as long (8 items, 3 x 512 x 512).
    """
    ordered = np.sort(stack, axis=0)  # NaN last
    count = np.isfinite(ordered).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(count // 2, len(ordered) - 1)[None], axis=0)[0]
    middle: NDArray[np.floating] = (low + high) / 2
    return middle


@dataclass(frozen=True, slots=True)
class _Blocks:
    """Whole blocks of the zone's lattice over a window, and the window in them."""

    left: int
    """First column in the zone, pixels from its origin."""
    top: int
    """First row in the zone, pixels from its origin downwards."""
    width: int
    height: int
    part: tuple[slice, slice]
    """Rows and columns of the window."""

    def geobox(self, scene: Scene) -> OdcGeoBox:
        size = scene.transform[0]
        matrix = Affine(size, 0.0, self.left * size, 0.0, -size, -self.top * size)
        return OdcGeoBox((self.height, self.width), matrix, scene.crs)


def _blocks_over(transform: Transform, window: tuple[int, int, int, int]) -> _Blocks:
    size, _, left, _, _, top = transform
    columns, rows = round(left / size), round(-top / size)
    x0, y0, x1, y1 = (v + o for v, o in zip(window, (columns, rows, columns, rows), strict=True))
    bx0, by0 = x0 // BLOCK_PX * BLOCK_PX, y0 // BLOCK_PX * BLOCK_PX
    bx1, by1 = -(-x1 // BLOCK_PX) * BLOCK_PX, -(-y1 // BLOCK_PX) * BLOCK_PX
    return _Blocks(bx0, by0, bx1 - bx0, by1 - by0, np.s_[y0 - by0 : y1 - by0, x0 - bx0 : x1 - bx0])


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one item for odc-stac."""

    scene: Scene
    crs: str
    mosaic: Mosaic
    options: OpenOptions

    def read(
        self, cfg: Any, dst_geobox: OdcGeoBox, *, dst: Any = None, selection: Any = None
    ) -> tuple[tuple[slice, slice], NDArray[np.floating]]:
        height, width = dst_geobox.shape
        target = GeoBox(self.crs, tuple(dst_geobox.transform)[:6], width, height)
        pixels = warped(self.scene, target, kernel=self.mosaic.kernel, options=self.options)
        return np.s_[0:height, 0:width], pixels


@dataclass(frozen=True, slots=True)
class _Driver:
    """Gives odc-stac documents and pixels; implements its ReaderDriver and its MDParser."""

    mosaic: Mosaic
    crs: str
    n_bands: int
    options: OpenOptions

    def documents(self, geobox: OdcGeoBox) -> list[pystac.Item]:
        """The items from the uppermost to the lowest: newest first.

        Each document states that the item covers the whole geobox, in its own CRS: the plan has found out
        from the files which items meet the cell, and footprints in degrees would fail at 180°.
        """
        return [self._document(number, geobox) for number in reversed(range(len(self.mosaic.items)))]

    def _document(self, number: int, geobox: OdcGeoBox) -> pystac.Item:
        # The times only define the order, so that items without a time have a position too.
        moment = _EPOCH + timedelta(seconds=number)
        extensions = [ProjectionExtension.get_schema_uri()]
        item = pystac.Item(f"{number:06d}", None, None, moment, {}, stac_extensions=extensions)
        place = {
            "proj:code": self.crs,
            "proj:shape": list(geobox.shape),
            "proj:transform": list(geobox.transform)[:6],
        }
        item.add_asset(PIXELS, pystac.Asset(f"/item-{number}", extra_fields=place))
        return item

    def extract(self, md: Any) -> RasterGroupMetadata:
        dtype = float_of(self.mosaic.items[0].dtype)
        band = RasterBandMetadata(dtype, float("nan"), dims=("band", "y", "x"))
        return RasterGroupMetadata({(PIXELS, 1): band}, extra_dims={"band": self.n_bands})

    def driver_data(self, md: pystac.Item, band_key: Any) -> int:
        return int(md.id)

    def new_load(self, geobox: OdcGeoBox, *, chunks: Any = None) -> None:
        return None

    def finalise_load(self, load_state: Any) -> Any:
        return load_state

    def capture_env(self) -> dict[str, Any]:
        return {}

    @contextmanager
    def restore_env(self, env: dict[str, Any], load_state: Any) -> Iterator[None]:
        yield None

    def open(self, src: Any, ctx: Any) -> _Reader:
        return _Reader(self.mosaic.items[src.driver_data], self.crs, self.mosaic, self.options)

    @property
    def md_parser(self) -> "_Driver":
        return self

    @property
    def dask_reader(self) -> None:
        return None

    @property
    def aux_reader(self) -> None:
        return None


def float_of(dtype: str) -> str:
    """The smallest float type that represents every value of a type."""
    return "float32" if np.can_cast(dtype, np.float32) else "float64"


def warped(scene: Scene, target: GeoBox, *, kernel: Kernel, options: OpenOptions) -> NDArray[np.floating]:
    """A scene's display bands on a target's pixels.

    Args:
        scene: A scene with files of its own.
        target: The pixels to compute.
        kernel: How to resample; pixels that coincide with those of the target are kept as they are.
        options: What its files may declare.

    Returns:
        (bands, height, width) floats that hold the stored values exactly, NaN in all bands where there is
        no valid pixel.

    Raises:
        SceneError: A file cannot be opened or read.
    """
    made = np.full((len(scene.bands), target.height, target.width), np.nan, float_of(scene.dtype))
    shift = _shift(scene, target)
    if shift is not None:
        _paste(made, scene, shift, options=options)
        return made
    window = _under(scene, target)
    if window is not None:
        values = _values(scene, window, options)
        _project(values, (scene, window), made, target=target, kernel=kernel)
    return made


def _shift(scene: Scene, target: GeoBox) -> tuple[int, int] | None:
    """Column and row of the target's first pixel in a scene on the same grid; None on another."""
    if scene.crs != target.crs:
        return None
    a, b, c, d, e, f = (Affine(*inverse(scene.transform)) @ Affine(*target.transform))[:6]
    if max(abs(a - 1) * target.width, abs(b) * target.height) > ON_GRID_WITHIN_PX:
        return None
    if max(abs(e - 1) * target.height, abs(d) * target.width) > ON_GRID_WITHIN_PX:
        return None
    if max(abs(c - round(c)), abs(f - round(f))) > ON_GRID_WITHIN_PX:
        return None
    return round(c), round(f)


def _paste(made: NDArray[np.floating], scene: Scene, shift: tuple[int, int], *, options: OpenOptions) -> None:
    left, top = max(0, shift[0]), max(0, shift[1])
    right = min(scene.width, shift[0] + made.shape[2])
    bottom = min(scene.height, shift[1] + made.shape[1])
    if left < right and top < bottom:
        part = np.s_[:, top - shift[1] : bottom - shift[1], left - shift[0] : right - shift[0]]
        made[part] = _values(scene, (left, top, right, bottom), options)


def _under(scene: Scene, target: GeoBox) -> tuple[int, int, int, int] | None:
    """Columns and rows of the scene's pixels that may contribute to the target; None if there are none."""
    across, down = np.meshgrid(
        np.linspace(0, target.width, STEPS), np.linspace(0, target.height, STEPS), indexing="xy"
    )
    world = moved(np.column_stack((across.ravel(), down.ravel())), target.transform)
    way = transformer(target.crs, scene.crs)
    x, y = way.transform(world[:, 0], world[:, 1])
    pixels = moved(np.column_stack((x, y)), inverse(scene.transform))
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    if not len(pixels):
        return None
    (x0, y0), (x1, y1) = pixels.min(axis=0), pixels.max(axis=0)
    # A kernel widens when pixels get larger; between the projected points an edge may bulge a little.
    shrink = max((x1 - x0) / target.width, (y1 - y0) / target.height, 1.0)
    reach = ceil(KERNEL_PX * shrink)
    left, top = max(0, floor(x0) - reach), max(0, floor(y0) - reach)
    right, bottom = min(scene.width, ceil(x1) + reach), min(scene.height, ceil(y1) + reach)
    return (left, top, right, bottom) if left < right and top < bottom else None


def _values(scene: Scene, window: tuple[int, int, int, int], options: OpenOptions) -> NDArray[np.floating]:
    left, top, right, bottom = window
    area = Area(left, top, right, bottom, bottom - top, right - left)
    values, valid = read_with_retry(scene, area, options=options)
    floats: NDArray[np.floating] = values.astype(float_of(scene.dtype))
    floats[:, ~valid] = np.nan
    return floats


def _project(
    values: NDArray[np.floating], source: tuple[Scene, tuple[int, int, int, int]], made: NDArray[np.floating],
    *, target: GeoBox, kernel: Kernel,
) -> None:  # fmt: skip
    scene, (left, top, _, _) = source
    reproject(
        values,
        made,
        src_transform=Affine(*scene.transform) @ Affine.translation(left, top),
        src_crs=scene.crs,
        src_nodata=np.nan,
        dst_transform=Affine(*target.transform),
        dst_crs=target.crs,
        dst_nodata=np.nan,
        resampling=Resampling[kernel.value],
        # Exact: GDAL's default approximation of an eighth of a pixel depends on the requested window.
        tolerance=0.0,
    )
