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
from shapely import affinity, box

from tests.worlds.practice import LONLAT, World, write_truth
from tests.worlds.truth import apart
from tiling.scene import Transform

KIND = "thing"
UTM = "EPSG:32631"
GROUND: Transform = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
"""Pixels in which the true objects are drawn."""
TURNED: Transform = (0.4, 0.3, 500_150.0, 0.3, -0.4, 5_399_900.0)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One scene to be written."""

    name: str
    """Its id."""
    transform: Transform
    """Pixel to world."""
    size: tuple[int, int]
    """Columns, rows."""
    crs: str = UTM
    """Of the world coordinates."""
    time: str | None = "2020:01:01 00:00:00"
    """Acquisition time as TIFF writes it."""
    data: shapely.Polygon | None = None
    """Where it holds data, pixels; None for everywhere."""

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


def moved(
    shapes: Sequence[shapely.Geometry], crs: str, target: str, *, near: float | None = None
) -> NDArray[np.object_]:
    """Shapes from one CRS to another, edges cut short first where they are metres.

    Longitudes lie within half a turn of `near`, or of the shape's first point, and may leave -180..180.
    """
    way = pyproj.Transformer.from_crs(crs, target, always_xy=True)

    def points(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = way.transform(xy[:, 0], xy[:, 1])
        if not pyproj.CRS(target).is_geographic:
            return np.column_stack((x, y))
        middle = x[0] if near is None else near
        return np.column_stack((x - 360.0 * np.round((x - middle) / 360.0), y))

    return np.array([shapely.transform(shapely.segmentize(shape, 20.0), points) for shape in shapes])


def write_sheets(
    folder: Path, sheets: Sequence[Sheet], objects: Sequence[shapely.Geometry], crs: str
) -> World:
    """Write scenes and their truth: every scene sees the same objects.

    Args:
        folder: where.
        sheets: the scenes.
        objects: the true objects, world coordinates of `crs`.
        crs: of the objects.
    """
    (folder / "scenes").mkdir(parents=True)
    rows = []
    for sheet in sheets:
        _write_sheet(folder / "scenes" / f"{sheet.name}.tif", sheet)
        local = moved(objects, crs, sheet.crs, near=sheet.transform[2])
        if sheet.data is not None:
            local = shapely.get_parts(shapely.intersection(local, on_ground(sheet.data, sheet.transform)))
        seen = shapely.intersects(sheet.footprint, local)
        rows += [(KIND, sheet.name, shape) for shape in _split(moved(local[seen], sheet.crs, LONLAT))]
    write_truth(folder, rows)
    table = gpd.GeoDataFrame(geometry=list(_split(moved(objects, crs, LONLAT))), crs=LONLAT)
    table.to_parquet(folder / "ground.parquet")
    return World(folder)


def true_objects(world: World) -> gpd.GeoDataFrame:
    """Every true object once."""
    return gpd.read_parquet(world.folder / "ground.parquet")


def _split(shapes: NDArray[np.object_]) -> list[shapely.Geometry]:
    """Cut at 180° what runs on past it."""
    return [shapely.union_all([_turned(shape, turn) for turn in (-360, 0, 360)]) for shape in shapes]


def _turned(shape: shapely.Geometry, turn: float) -> shapely.Geometry:
    inside = shapely.intersection(shape, shapely.box(turn - 180, -90, turn + 180, 90))
    return shapely.transform(inside, lambda p: p - (turn, 0))


def _write_sheet(path: Path, sheet: Sheet) -> None:
    width, height = sheet.size
    values = np.random.default_rng(0).integers(1, 255, (3, height, width)).astype(np.uint8)
    if sheet.data is not None:
        x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
        values[:, ~shapely.contains_xy(sheet.data, x, y)] = 0
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 3, "dtype": "uint8"}
    shape = {
        "transform": Affine(*sheet.transform),
        "crs": sheet.crs,
        "tiled": True,
        "compress": "deflate",
        "nodata": 0,
    }
    with rasterio.open(path, "w", **profile, **shape, blockxsize=128, blockysize=128) as target:
        target.write(values)
        if sheet.time:
            target.update_tags(TIFFTAG_DATETIME=sheet.time)


def scattered(width: int, height: int, seed: int = 0) -> NDArray[np.object_]:
    """Objects over the whole ground, in its pixels: strips, rings, twins 2 px apart every 70 px, boxes."""
    rng = np.random.default_rng(seed)
    strips = [
        affinity.rotate(box(20, height * 0.3, width - 20, height * 0.3 + 14), 7),
        box(10, height * 0.8, width - 10, height * 0.8 + 11),
    ]
    rings = [
        shapely.Point(x, height * 0.55)
        .buffer(44, 32)
        .difference(shapely.Point(x, height * 0.55).buffer(26, 32))
        for x in range(80, width - 60, 190)
    ]
    twins = [box(x + k * 16, 24, x + k * 16 + 14, 44) for x in range(30, width - 60, 70) for k in (0, 1)]
    boxes = [
        affinity.rotate(box(x, y, x + w, y + h), turn)
        for (x, y), (w, h), turn in zip(
            rng.uniform(0, (width, height), (300, 2)),
            rng.uniform(10, 40, (300, 2)),
            rng.uniform(0, 180, 300),
            strict=True,
        )
    ]
    inside = box(3, 3, width - 3, height - 3)
    return apart([shape for shape in [*strips, *rings, *twins, *boxes] if inside.covers(shape)], width)


def sheet_at(name: str, x: int, y: int, size: tuple[int, int], **fields: str) -> Sheet:
    """A scene on the pixels of the ground, its corner at one of them."""
    a, b, c, d, e, f = GROUND
    return Sheet(name, (a, b, c + a * x, d, e, f + e * y), size, **fields)


def seen_by(sheets: Sequence[Sheet], objects: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """What lies on the scenes' ground together; what they cut to a sliver is nobody's to find."""
    ground = shapely.union_all([moved([sheet.footprint], sheet.crs, crs)[0] for sheet in sheets])
    pieces = shapely.get_parts(shapely.intersection(objects, ground))
    whole = shapely.covers(shapely.buffer(ground, -1.0), pieces)
    return pieces[whole | (shapely.area(shapely.buffer(pieces, -2.0)) > 20.0)]


def made(folder: Path, sheets: Sequence[Sheet], size: tuple[int, int], seed: int = 0) -> World:
    """Write scenes with objects scattered over the ground they share."""
    objects = np.array([on_ground(shape, GROUND) for shape in scattered(*size, seed)])
    return write_sheets(folder, sheets, list(seen_by(sheets, objects, UTM)), UTM)


PAIR = (
    sheet_at("older", 0, 0, (600, 420), time="2020:01:01 00:00:00"),
    sheet_at("newer", 360, 0, (600, 420), time="2021:01:01 00:00:00"),
)
"""Two scenes that share 40 % of their ground."""
TRIPLE = (*PAIR, sheet_at("third", 200, 250, (560, 400), time="2019:01:01 00:00:00"))
ODD = (
    sheet_at("newer", 0, 0, (500, 420), time="2021:01:01 00:00:00"),
    Sheet("turned", TURNED, (560, 440), time="2020:01:01 00:00:00"),
    Sheet("coarse", (0.7, 0.0, 500_050.13, 0.0, -0.7, 5_399_890.27), (500, 300), time=None),
)
CASES = {"pair": (PAIR, (960, 420)), "triple": (TRIPLE, (960, 650)), "odd": (ODD, (1000, 800))}
