"""Scenes of several dates over one ground, and what plain numpy makes of them on a zone's grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from tiling.grid import Grid
from tiling.raster.describe import describe_scene
from tiling.raster.header import DEFAULT_OPTIONS
from tiling.raster.mosaic_grid import MosaicGrid, mosaic_cells
from tiling.raster.native_window import Area
from tiling.scene import Composite, Kernel, Scene

RES = 10.0


@dataclass(frozen=True, slots=True)
class Drawn:
    """One scene as drawn."""

    path: Path
    values: NDArray[np.generic]
    """(bands, height, width)."""
    valid: NDArray[np.bool_]
    """(height, width)."""
    crs: str
    transform: Affine

    @property
    def floats(self) -> NDArray[np.float64]:
        return np.where(self.valid, self.values.astype(np.float64), np.nan)


def draw(
    path: Path, place: Affine, *, crs: str = "EPSG:32633", shape: tuple[int, int] = (150, 200), seed: int = 0,
    cloud: tuple[slice, slice] = np.s_[0:0, 0:0], mask: str = "nodata", dtype: str = "uint16", day: int = 1,
) -> Drawn:  # fmt: skip
    """A noisy scene with a drawn cloud: a hole of nodata 0, or one in a mask or an alpha band."""
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 250 if dtype == "uint8" else 9000, (3, *shape)).astype(dtype)
    valid = np.ones(shape, dtype=bool)
    valid[cloud] = False
    count = 4 if mask == "alpha" else 3
    profile = {
        "driver": "GTiff", "width": shape[1], "height": shape[0], "count": count, "dtype": dtype, "crs": crs,
        "transform": place, "tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate",
        "photometric": "rgb",
    }  # fmt: skip
    if mask == "nodata":
        values[:, ~valid] = 0
        profile["nodata"] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as target:
        target.write(values, [1, 2, 3])
        target.update_tags(TIFFTAG_DATETIME=f"2024:05:{day:02d} 10:00:00")
        if mask == "alpha":
            target.write(np.where(valid, np.iinfo(dtype).max, 0).astype(dtype), 4)
            target.colorinterp = [rasterio.enums.ColorInterp[n] for n in ("red", "green", "blue", "alpha")]
        elif mask == "mask":
            target.write_mask(valid)
    return Drawn(path, values, valid, crs, place)


def asked(composite: Composite = Composite.MEDIAN, **options: object) -> MosaicGrid:
    """A mosaic of small cells; keywords replace its options."""
    usual = {"kernel": Kernel.NEAREST, "resolution_m": None, "cell_m": 1000.0, "overlap_px": 40}
    return MosaicGrid(composite, **{**usual, **options})  # type: ignore[arg-type]


def cells_of(drawn: Sequence[Drawn], grid: MosaicGrid) -> list[Scene]:
    return mosaic_cells([describe_scene(str(item.path)) for item in drawn], grid)


def read_cell(cell: Scene, *, chunk: int = 10_000) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Values and validity of a whole cell, read chunk by chunk."""
    from tiling.raster.mosaic_read import read_mosaic

    values = np.zeros((len(cell.bands), cell.height, cell.width), dtype=cell.dtype)
    valid = np.zeros((cell.height, cell.width), dtype=bool)
    for part in Grid(cell.scene_id, cell.width, cell.height, 40, 10, chunk).chunks():
        w = part.window
        area = Area(w.x0, w.y0, w.x1, w.y1, w.height, w.width)
        values[:, w.y0 : w.y1, w.x0 : w.x1], valid[w.y0 : w.y1, w.x0 : w.x1] = read_mosaic(
            cell, area, options=DEFAULT_OPTIONS
        )
    return values, valid


def places_in(item: Drawn, cell: Scene) -> NDArray[np.float64]:
    """Column and row in an item, pixels, of the middle of every pixel of a cell: (2, height, width)."""
    rows, columns = np.mgrid[0 : cell.height, 0 : cell.width] + 0.5
    x, y = Affine(*cell.transform) @ (columns.ravel(), rows.ravel())
    way = pyproj.Transformer.from_crs(cell.crs, item.crs, always_xy=True)
    return np.array(~item.transform @ way.transform(x, y)).reshape(2, cell.height, cell.width)


def nearest(item: Drawn, cell: Scene) -> NDArray[np.float64]:
    """An item on a cell's pixels by pyproj and rounding alone: (bands, height, width), NaN where invalid."""
    col, row = np.floor(places_in(item, cell)).astype(int)
    height, width = item.valid.shape
    inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    made = np.full((3, cell.height, cell.width), np.nan)
    made[:, inside] = item.floats[:, row[inside], col[inside]]
    return made


def doubtful(items: Sequence[Drawn], cell: Scene) -> NDArray[np.bool_]:
    """Where a cell's pixel lies on the border of two pixels of an item, (height, width)."""
    places = np.stack([places_in(item, cell) for item in items])
    return np.asarray((np.abs(places - np.round(places)) < 1e-3).any(axis=(0, 1)))


def composed(items: Sequence[Drawn], cell: Scene, composite: Composite) -> NDArray[np.float64]:
    """What a cell must hold: (bands, height, width), NaN where no item has data. Items oldest first."""
    stack = np.stack([nearest(item, cell) for item in items])
    if composite is Composite.MEDIAN:
        made = np.full(stack.shape[1:], np.nan)
        some = np.isfinite(stack).any(axis=0)
        made[some] = np.nanmedian(stack[:, some], axis=0)
        return np.rint(made)
    made = stack[-1]
    for older in stack[-2::-1]:
        made = np.where(np.isfinite(made), made, older)
    return made
