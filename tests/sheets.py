"""Scenes that lie over one another on one true ground, in the practice layout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from tests.worlds import LONLAT, World, write_truth
from tiling.scene import Transform

KIND = "thing"


@dataclass(frozen=True, slots=True)
class Sheet:
    """One scene to be written."""

    name: str
    """Its id."""
    transform: Transform
    """Pixel to world."""
    size: tuple[int, int]
    """Columns, rows."""
    crs: str = "EPSG:32631"
    """Of the world coordinates."""
    time: str | None = "2020:01:01 00:00:00"
    """Acquisition time as TIFF writes it."""

    @property
    def footprint(self) -> shapely.Polygon:
        """Its ground in world coordinates."""
        width, height = self.size
        return on_ground(shapely.box(0, 0, width, height), self.transform)


def on_ground(shape: shapely.Geometry, transform: Transform) -> shapely.Polygon:
    """A shape in pixels, in world coordinates."""
    a, b, c, d, e, f = transform
    return shapely.transform(
        shape, lambda p: np.column_stack((a * p[:, 0] + b * p[:, 1] + c, d * p[:, 0] + e * p[:, 1] + f))
    )


def moved(shapes: Sequence[shapely.Geometry], crs: str, target: str) -> NDArray[np.object_]:
    """Shapes from one CRS to another, edges cut short first; longitudes run on past 180° in LONLAT."""
    way = pyproj.Transformer.from_crs(crs, target, always_xy=True)

    def points(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = way.transform(xy[:, 0], xy[:, 1])
        return np.column_stack((np.where((x < 0) & (np.ptp(x) > 180), x + 360, x), y))

    return np.array([shapely.transform(shapely.segmentize(shape, 20.0), points) for shape in shapes])


def write_sheets(
    folder: Path, sheets: Sequence[Sheet], things: Sequence[shapely.Geometry], crs: str
) -> World:
    """Write scenes and their truth: every scene sees the same things.

    Args:
        folder: where.
        sheets: the scenes.
        things: the true things, world coordinates of `crs`.
        crs: of the things.
    """
    (folder / "scenes").mkdir(parents=True)
    rows = []
    for sheet in sheets:
        _write_sheet(folder / "scenes" / f"{sheet.name}.tif", sheet)
        local = moved(things, crs, sheet.crs)
        seen = shapely.intersects(sheet.footprint, local)
        rows += [(KIND, sheet.name, shape) for shape in _split(moved(local[seen], sheet.crs, LONLAT))]
    write_truth(folder, rows)
    table = gpd.GeoDataFrame(geometry=list(_split(moved(things, crs, LONLAT))), crs=LONLAT)
    table.to_parquet(folder / "ground.parquet")
    return World(folder)


def true_things(world: World) -> gpd.GeoDataFrame:
    """Every true thing once."""
    return gpd.read_parquet(world.folder / "ground.parquet")


def _split(shapes: NDArray[np.object_]) -> list[shapely.Geometry]:
    """Cut at 180° what runs on past it."""
    west, east = shapely.box(-180, -90, 180, 90), shapely.box(180, -90, 540, 90)
    return [
        shapely.union_all(
            [
                shapely.intersection(shape, west),
                shapely.transform(shapely.intersection(shape, east), lambda p: p - (360, 0)),
            ]
        )
        for shape in shapes
    ]


def _write_sheet(path: Path, sheet: Sheet) -> None:
    width, height = sheet.size
    values = np.random.default_rng(0).integers(1, 255, (3, height, width)).astype(np.uint8)
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    shape = {"transform": Affine(*sheet.transform), "crs": sheet.crs, "tiled": True, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **shape, blockxsize=128, blockysize=128) as target:
        target.write(values)
        if sheet.time:
            target.update_tags(TIFFTAG_DATETIME=sheet.time)
