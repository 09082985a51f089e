"""Chunks of a mosaic's cell by this project's reader, and by odc-stac with the reader that it brings along.

Three scenes in three CRS over one ground, the newest on top. A pixel should have one value, whatever chunk
or cell it is read in; each way is asked for the same ground in one piece, in four, and from another cell.
"""

import pickle
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import dask
import numpy as np
import odc.stac
import pystac
import rasterio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pystac.extensions.projection import ProjectionExtension
from rasterio.transform import Affine
from rasterio.warp import transform_bounds

from benchmarks.measure import Aim, Row, divided, interleaved, timed
from benchmarks.range_server import address_of, range_server
from benchmarks.settings import Settings
from tiling.grid import Window
from tiling.raster.cog import write_cog
from tiling.raster.describe import describe_scene
from tiling.raster.header import DEFAULT_OPTIONS, Limits, OpenOptions
from tiling.raster.mosaic_grid import MosaicGrid, mosaic_cells
from tiling.raster.mosaic_read import BLOCK_PX, read_mosaic
from tiling.raster.native_window import Area
from tiling.scene import Composite, Kernel, Scene

NAME = "mosaic"
CELL = "utm33n-13-249"
RES, MIDDLE, IN_CELL = 10.0, (270_000.0, 4_990_000.0), 1064
"""Metres of a pixel; the cell's middle, metres in its zone and pixels in the cell."""

PLACES = {
    "oldest": ("EPSG:32633", (-0.1, 0.1), RES),
    "holes": ("EPSG:32632", (0.2, 0.2), RES),
    "newest": ("EPSG:3035", (-0.2, -0.1), 9.3),
}
"""Scenes, oldest first: CRS, where the middle lies (of a side, from that of the cell), metres of a pixel."""

ONCE = Aim(minimum=1.0, maximum=1.0)
"""A pixel has one value."""
BANDS = ("image.1", "image.2", "image.3")
OVER_HTTP = OpenOptions(Limits(drivers=("GTiff", "COG", "HTTP")))
NEXT_CELL_PX = 2000 % BLOCK_PX
"""By how much blocks that start at a cell's corner are shifted in the next cell."""

CHILD = "import pickle, sys; sys.stdout.buffer.write(pickle.dumps(pickle.load(sys.stdin.buffer)()))"
T = TypeVar("T")

Pixels = NDArray[np.generic]
"""(3, height, width), 0 where there is no data."""

Read = Callable[[Window], Pixels]
"""Reads a window of the cell."""


@dataclass(frozen=True, slots=True)
class _Mosaic:
    """One cell, for both readers."""

    cell: Scene
    documents: Sequence[pystac.Item]
    """What odc-stac is told of the items, newest first."""
    options: OpenOptions

    def ours(self, window: Window) -> Pixels:
        """This project's reader."""
        area = Area(window.x0, window.y0, window.x1, window.y1, window.height, window.width)
        return read_mosaic(self.cell, area, options=self.options)[0]

    def direct(self, window: Window) -> Pixels:
        """odc-stac, asked for the GeoBox of the window."""
        return _stacked(self._load(_part(self._geobox, window)))

    def lazy(self, window: Window) -> Pixels:
        """odc-stac, asked for a lazy array of the whole cell, of which the window is computed."""
        whole = self._load(self._geobox, chunks={"x": BLOCK_PX, "y": BLOCK_PX})
        return _stacked([band[window.y0 : window.y1, window.x0 : window.x1] for band in whole])

    def shifted(self, pixels: int) -> "_Mosaic":
        """The same ground in a cell that begins some pixels further left and up."""
        size, _, left, _, _, top = self.cell.transform
        moved = (size, 0.0, left - pixels * size, 0.0, -size, top + pixels * size)
        grown = {"width": self.cell.width + pixels, "height": self.cell.height + pixels}
        return replace(self, cell=replace(self.cell, transform=moved, **grown))  # type: ignore[arg-type]

    @property
    def _geobox(self) -> GeoBox:
        return GeoBox((self.cell.height, self.cell.width), Affine(*self.cell.transform), self.cell.crs)

    def _load(self, geobox: GeoBox, *, chunks: dict[str, int] | None = None) -> list[NDArray[np.generic]]:
        assert self.cell.mosaic is not None
        loaded = odc.stac.load(
            self.documents,
            bands=BANDS,
            geobox=geobox,
            chunks=chunks,  # type: ignore[arg-type]
            groupby=lambda item, parsed, index: 0,
            resampling=self.cell.mosaic.kernel.value,
            preserve_original_order=True,
        )
        return [loaded[band].data[0] for band in BANDS]


def measure(settings: Settings) -> list[Row]:
    """Equal pixels, time, requests and masks of both readers."""
    side = min(max(300, settings.size_px // 6), 2000) // 2 * 2
    folder = settings.out / "scenes" / f"mosaic-{side}"
    paths = [_scene(folder, name, side) for name in PLACES]
    rows: list[Row] = []
    for kernel in (Kernel.NEAREST, Kernel.BILINEAR):
        mosaic = _mosaic([str(path) for path in paths], kernel)
        rows += [*_equal_rows(mosaic, side), _time_row(mosaic, side, settings)]
    return [*rows, *_request_rows(folder, paths, side), *_mask_rows(folder, paths[0], side)]


def _scene(folder: Path, name: str, side: int) -> Path:
    """A COG of coarse squares and noise, 1 to 249, in which one scene has holes of nodata 0."""
    path = folder / f"{name}.tif"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    crs, shift, size = PLACES[name]
    rng = np.random.default_rng(len(name))
    coarse = rng.integers(1, 200, (3, side // 8 + 1, side // 8 + 1)).repeat(8, 1).repeat(8, 2)
    pixels = (coarse[:, :side, :side] + rng.integers(0, 50, (3, side, side))).astype(np.uint8)
    if name == "holes":
        pixels[:, side // 3 : side // 2, side // 4 : side // 2] = 0
    (x,), (y,) = rasterio.warp.transform("EPSG:32633", crs, *([part] for part in MIDDLE))
    left, top = (round(at + part * side * RES) for at, part in zip((x, y), shift, strict=True))
    place = (size, 0.0, left - size * side / 2, 0.0, -size, top + size * side / 2)
    when = f"2024-05-0{list(PLACES).index(name) + 1}T10:00:00Z"
    write_cog(
        str(path), pixels, transform=place, crs=crs, nodata=0 if name == "holes" else None, datetime=when
    )
    return path


def _mosaic(addresses: Sequence[str], kernel: Kernel, options: OpenOptions = DEFAULT_OPTIONS) -> _Mosaic:
    items = [describe_scene(address, options=options) for address in addresses]
    asked = MosaicGrid(Composite.FIRST_VALID, kernel, RES, None, overlap_px=128)
    (cell,) = (cell for cell in mosaic_cells(items, asked) if cell.scene_id == CELL)
    return _Mosaic(cell, [_document(item) for item in reversed(items)], options)


def _document(scene: Scene) -> pystac.Item:
    """A STAC Item as catalogs write it, with place, type and nodata value of the file."""
    right, bottom = Affine(*scene.transform) @ (scene.width, scene.height)
    bounds = (scene.transform[2], bottom, right, scene.transform[5])
    box = transform_bounds(scene.crs, "EPSG:4326", *bounds)
    extensions = [
        ProjectionExtension.get_schema_uri(),
        "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    ]
    shape = shapely.geometry.mapping(shapely.box(*box))
    moment = datetime(2024, 5, 1, tzinfo=UTC)
    item = pystac.Item(scene.scene_id, shape, list(box), moment, {}, stac_extensions=extensions)
    fields = {
        "proj:code": scene.crs,
        "proj:shape": [scene.height, scene.width],
        "proj:transform": list(scene.transform),
        "raster:bands": [{"data_type": scene.dtype, "nodata": 0}] * len(BANDS),
    }
    item.add_asset("image", pystac.Asset(scene.bands[0].uri, roles=["data"], extra_fields=fields))
    return item


def _part(geobox: GeoBox, window: Window) -> GeoBox:
    return geobox[window.y0 : window.y1, window.x0 : window.x1]


def _stacked(bands: Sequence[NDArray[np.generic]]) -> Pixels:
    with dask.config.set(scheduler="synchronous"):
        return np.stack([np.asarray(band) for band in bands])


def _whole(side: int, shift: int = 0) -> Window:
    low = IN_CELL - side // 2 + shift
    return Window(low, low, low + side, low + side)


def _quarters(side: int) -> list[Window]:
    whole, half = _whole(side), side // 2
    corners = [(whole.x0 + dx, whole.y0 + dy) for dy in (0, half) for dx in (0, half)]
    return [Window(x, y, x + half, y + half) for x, y in corners]


def _in_four(read: Read, side: int) -> Pixels:
    a, b, c, d = (read(window) for window in _quarters(side))
    return np.block([[[a, b], [c, d]]])


def _equal_rows(mosaic: _Mosaic, side: int) -> list[Row]:
    """How many pixels are the same in other chunks, in other cells, and by both readers."""
    kernel = mosaic.cell.mosaic.kernel.value if mosaic.cell.mosaic else ""
    other, there = mosaic.shifted(NEXT_CELL_PX), _whole(side, NEXT_CELL_PX)
    ours, direct, lazy = (read(_whole(side)) for read in (mosaic.ours, mosaic.direct, mosaic.lazy))
    return [
        _equal(f"{kernel}, one chunk and four: ours", ours, _in_four(mosaic.ours, side), ONCE),
        _equal(f"{kernel}, two cells: ours", ours, other.ours(there), ONCE),
        _equal(
            f"{kernel}, one chunk and four: odc-stac, GeoBox of the chunk",
            direct,
            _in_four(mosaic.direct, side),
        ),
        _equal(f"{kernel}, two cells: odc-stac, lazy array of the cell", lazy, other.lazy(there)),
        _equal(f"{kernel}, ours and odc-stac, GeoBox of the chunk", ours, direct),
        _equal(f"{kernel}, ours and odc-stac, lazy array of the cell", ours, lazy),
    ]


def _equal(what: str, one: Pixels, other: Pixels, aim: Aim | None = None) -> Row:
    same = (one == other).all(axis=0)
    data = ((one != 0) | (other != 0)).any(axis=0)
    far = np.abs(one.astype(int) - other).max(axis=0)[~same]
    detail = f"{far.size} of {np.count_nonzero(data)} pixels differ"
    if far.size:
        detail += f", by {np.median(far):g} (half of those) to {far.max()}"
    return Row(NAME, f"pixels equal: {what}", (float(same[data].mean()),), detail, aim)


def _time_row(mosaic: _Mosaic, side: int, settings: Settings) -> Row:
    kernel = mosaic.cell.mosaic.kernel.value if mosaic.cell.mosaic else ""
    ways = {
        name: partial(timed, partial(_all_of, read, side))
        for name, read in (("ours", mosaic.ours), ("direct", mosaic.direct))
    }
    for way in ways.values():
        way()
    found = interleaved(ways, settings)
    ours, direct = ([item.seconds / 4 for item in found[name]] for name in ways)
    detail = f"{statistics.median(ours) * 1e3:.0f} and {statistics.median(direct) * 1e3:.0f} ms a chunk"
    return Row(
        NAME, f"{kernel}: time a chunk over odc-stac, GeoBox of the chunk", divided(ours, direct), detail
    )


def _all_of(read: Read, side: int) -> None:
    for window in _quarters(side):
        read(window)


def _request_rows(folder: Path, paths: Sequence[Path], side: int) -> list[Row]:
    """What four chunks ask of a server, one after another, the look at the headers not counted."""
    counts = []
    for name in ("ours", "direct"):
        with range_server(folder) as (base, sent):
            addresses = [address_of(base, path.name) for path in paths]
            mosaic = _elsewhere(partial(_mosaic, addresses, Kernel.NEAREST, OVER_HTTP))
            before = sent.asked, sent.bytes
            _elsewhere(partial(_all_of, getattr(mosaic, name), side))
            counts.append((sent.asked - before[0], sent.bytes - before[1]))
    (asked, size), (their_asked, their_size) = counts
    what = "over odc-stac, GeoBox of the chunk: four chunks over HTTP"
    return [
        Row(NAME, f"requests {what}", (asked / their_asked,), f"{asked} and {their_asked}"),
        Row(NAME, f"bytes {what}", (size / their_size,), f"{size / 1e6:.1f} and {their_size / 1e6:.1f} MB"),
    ]


def _elsewhere(work: Callable[[], T]) -> T:
    """Do some work in a new process: GDAL opens files with Python's lock held; a server here would wait."""
    command = [sys.executable, "-c", CHILD]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, input=pickle.dumps(work), stdout=subprocess.PIPE, cwd=root, check=True)
    result: T = pickle.loads(done.stdout)
    return result


def _mask_rows(folder: Path, path: Path, side: int) -> list[Row]:
    """A scene whose left half an internal mask leaves out."""
    masked = folder / "masked.tif"
    with rasterio.open(path) as source:
        pixels, profile = source.read(), source.profile
    profile.update(driver="GTiff", interleave="pixel")
    valid = np.ones((side, side), dtype=bool)
    valid[:, : side // 2] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(masked, "w", **profile) as target:
        target.write(pixels)
        target.write_mask(valid)
    mosaic, plain = _mosaic([str(masked)], Kernel.NEAREST), _mosaic([str(path)], Kernel.NEAREST)
    window = _whole(side)
    truth = plain.ours(window)
    shift = round(-0.1 * side)  # of the scene from the cell's middle, pixels
    truth[:, :, : side // 2 + shift] = 0
    what = "an internal mask over half a scene"
    return [
        _equal(f"{what}: ours", truth, mosaic.ours(window), ONCE),
        _equal(f"{what}: odc-stac", truth, mosaic.direct(window)),
    ]
