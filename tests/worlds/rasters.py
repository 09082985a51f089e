"""Small rasters written for the tests, and the folder of real ones where there is one."""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from tiling.geo.geobox import WorkingGrid, working_grid
from tiling.grid import Grid
from tiling.raster.chunks import ChunkPixels, read_chunk
from tiling.raster.describe import describe_scene
from tiling.raster.scaling import Scaling
from tiling.scene import Scene

BESIDE = Path(__file__).parents[3] / "shared" / "data"
DATA = Path(os.environ.get("REMOTEREASONER_DATA", BESIDE))

UTM = Affine(0.5, 0.0, 500_000.0, 0.0, -0.5, 5_000_000.0)


def real(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not here: set REMOTEREASONER_DATA to a folder of real rasters")
    return path


def noise(
    bands: int = 3, height: int = 300, width: int = 400, *, seed: int = 0, dtype: str = "uint8"
) -> NDArray[np.generic]:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=(bands, height, width)).astype(dtype)
    return rng.integers(1, 250, size=(bands, height, width)).astype(dtype)


def write(path: Path, array: NDArray[np.generic], **profile: object) -> Path:
    options = {
        "driver": "GTiff", "crs": "EPSG:32633", "transform": UTM, "dtype": array.dtype.name,
        "count": array.shape[0], "height": array.shape[1], "width": array.shape[2],
    }  # fmt: skip
    with rasterio.open(path, "w", **{**options, **profile}) as dataset:
        dataset.write(array)
    return path


def read_all(
    scene: Scene, *, tile: int = 96, overlap: int = 24, chunk: int = 200, gsd_m: float | None = None,
    scaling: Scaling | None = None,
) -> tuple[Grid, WorkingGrid, list[ChunkPixels]]:  # fmt: skip
    work = working_grid(scene, gsd_m=gsd_m)
    grid = Grid(scene.scene_id, work.width, work.height, tile, overlap, chunk)
    return grid, work, [read_chunk(scene, work, c, scaling=scaling) for c in grid.chunks()]


def put_together(work: WorkingGrid, images: list[ChunkPixels]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The scene as the tiles of all chunks show it; where chunks overlap they must agree."""
    pixels = np.zeros((work.height, work.width, 3), dtype=np.uint8)
    valid = np.zeros((work.height, work.width), dtype=bool)
    seen = np.zeros((work.height, work.width), dtype=bool)
    for image in images:
        for tile in image.chunk.tiles:
            part, part_valid = image.tile(tile)
            w = tile.window
            place = np.s_[w.y0 : min(w.y1, work.height), w.x0 : min(w.x1, work.width)]
            rows, columns = seen[place].shape
            part, part_valid = part[:rows, :columns], part_valid[:rows, :columns]
            assert (pixels[place][seen[place]] == part[seen[place]]).all()
            pixels[place], valid[place], seen[place] = part, part_valid, True
    assert seen.all()
    return pixels, valid


def described(path: Path, **options: object) -> Scene:
    return describe_scene(str(path), **{"bands": None, "assume_crs": None, **options})
