"""Makes the scenes of the benchmarks: a practice scene, mirrored and repeated to any size; made once."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window as RasterWindow

from benchmarks.settings import Settings
from tiling.raster.cog import write_cog
from training.scenery.world import PracticeScene, draw_scene

SEED = 1
BLOCK_PX = 512
PLACE = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
CRS = "EPSG:32631"

Pixels = NDArray[np.uint8]
"""(3, height, width) red, green, blue."""


@cache
def drawn(size_px: int) -> PracticeScene:
    """The practice scene that all sizes repeat."""
    return draw_scene(size_px, seed=SEED)


def small_scene(settings: Settings) -> Path:
    """The scene that is read: a COG, deflate with predictor, 3 bands of uint8, with overviews and noise."""
    size = settings.size_px
    return _kept(settings, size, lambda path: _write_cog(path, size, settings.pattern_px))


def large_scene(settings: Settings) -> Path:
    """The scene that is many times larger, in the blocks of a COG.

    It is written by rows of blocks, which takes little memory, with 16 grey levels, which takes little disk,
    and without overviews, which are not used by reads at full resolution.
    """
    size = settings.large_px
    return _kept(settings, size, lambda path: _write_rows(path, size, settings.pattern_px))


def _kept(settings: Settings, size: int, write: Callable[[Path], None]) -> Path:
    path = settings.out / "scenes" / f"scene-{size}-of-{settings.pattern_px}.tif"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part.tif")
        write(unfinished)
        unfinished.rename(path)
    return path


def _mirrored(pattern_px: int) -> Pixels:
    """The practice scene and its mirror images, which repeat without visible edges: (3, 2 sides, 2 sides)."""
    pixels = drawn(pattern_px).pixels
    across = np.concatenate([pixels, pixels[:, :, ::-1]], axis=2)
    return np.concatenate([across, across[:, ::-1]], axis=1)


def _wide(pattern_px: int, size: int) -> Pixels:
    """One period of rows, as wide as the scene: (3, 2 sides, size)."""
    cell = _mirrored(pattern_px)
    return np.tile(cell, (1, 1, -(-size // cell.shape[2])))[:, :, :size]


def _write_cog(path: Path, size: int, pattern_px: int) -> None:
    wide = _wide(pattern_px, size)
    pixels = np.tile(wide, (1, -(-size // wide.shape[1]), 1))[:, :size]
    write_cog(str(path), pixels, transform=PLACE, crs=CRS, nodata=None, block_px=BLOCK_PX)


def _write_rows(path: Path, size: int, pattern_px: int) -> None:
    wide = (_wide(pattern_px, size) & 0xF0) + np.uint8(8)
    profile = {
        "driver": "GTiff", "width": size, "height": size, "count": 3, "dtype": "uint8", "crs": CRS,
        "transform": rasterio.Affine(*PLACE), "photometric": "rgb", "interleave": "pixel", "tiled": True,
        "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX, "compress": "deflate", "predictor": 2, "zlevel": 1,
        "num_threads": "all_cpus", "bigtiff": "if_safer",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        for top in range(0, size, BLOCK_PX):
            rows = np.arange(top, min(top + BLOCK_PX, size)) % wide.shape[1]
            target.write(wide[:, rows], window=RasterWindow(0, top, size, len(rows)))
