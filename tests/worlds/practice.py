"""Scenes with exact truth in the practice layout, requests for the exact engines, and what they found."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.transform import Affine

from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from tiling.scene import Transform

LONLAT = "OGC:CRS84"
SHARED = Path(__file__).parents[3] / "shared"

CRS = "EPSG:32631"
NORTH_UP: Transform = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
"""Pixels of half a metre north of the Loire."""
TILED_PX, BLOCK_PX = 512, 64
"""Side of the tiled rasters and of their blocks, pixels."""


@dataclass(frozen=True, slots=True)
class World:
    """A folder with truth.parquet and questions.json, and scenes anywhere."""

    folder: Path
    """Holds truth.parquet and questions.json."""
    scenes: tuple[object, ...] = ()
    """Scenes as a request names them; empty for all below `folder`/scenes."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Further fields of its requests."""

    @property
    def oracle(self) -> str:
        """Name of the exact reasoner and segmenter."""
        return f"oracle:{self.folder}/truth.parquet"

    def questions(self, kinds: Sequence[str] | None = None) -> list[str]:
        """The first question of each class, of all classes if none is named."""
        known = json.loads((self.folder / "questions.json").read_text("utf-8"))
        return [known[kind]["ask"][0] for kind in (known if kinds is None else kinds)]

    def truth(self, kinds: Sequence[str] | None = None) -> gpd.GeoDataFrame:
        """The true objects of these classes, of all if none is named."""
        table = gpd.read_parquet(self.folder / "truth.parquet")
        return table if kinds is None else table[table["kind"].isin(list(kinds))]

    def config(self, out: Path, *, kinds: Sequence[str] | None = None, **fields: object) -> JobConfig:
        """A request for the exact engines in a plain loop; keywords replace its fields."""
        given: dict[str, object] = {
            "scenes": list(self.scenes) or [f"{self.folder}/scenes/*.tif"],
            "ask": self.questions(kinds),
            "out": str(out),
            "reasoner": self.oracle,
            "segmenter": self.oracle,
            "engine": "loop",
        }
        return load_config(None, {**given, **self.options, **fields})


def write_truth(folder: Path, rows: Sequence[tuple[str, str, shapely.Geometry]]) -> None:
    """Write truth.parquet and questions.json.

    Args:
        folder: where.
        rows: (kind, scene id, geometry in OGC:CRS84) per true object.
    """
    kinds, scenes, geometries = (list(column) for column in zip(*rows, strict=True))
    table = gpd.GeoDataFrame(
        {
            "id": [f"{scene}-{number:05d}" for number, scene in enumerate(scenes)],
            "kind": kinds,
            "scene_id": scenes,
            "datetime": pd.Series([None] * len(rows), dtype="datetime64[us, UTC]"),
        },
        geometry=geometries,
        crs=LONLAT,
    )
    table.to_parquet(folder / "truth.parquet", index=False, write_covering_bbox=True, schema_version="1.1.0")
    asked = {kind: {"ask": [f"where is a {kind}?"], "spare": []} for kind in dict.fromkeys(kinds)}
    (folder / "questions.json").write_text(json.dumps(asked), "utf-8")


def write_tiled(path: Path, *, count: int = 3, **profile: object) -> Path:
    """A noisy uint8 raster of 512 pixels in tiles of 64."""
    values = np.random.default_rng(0).integers(1, 255, (count, TILED_PX, TILED_PX)).astype(np.uint8)
    usual = {
        "driver": "GTiff", "width": TILED_PX, "height": TILED_PX, "count": count, "dtype": "uint8",
        "transform": Affine(*NORTH_UP), "tiled": True, "blockxsize": BLOCK_PX, "blockysize": BLOCK_PX,
        "compress": "deflate", "interleave": "pixel", "crs": CRS,
    }  # fmt: skip
    with rasterio.open(path, "w", **{**usual, **profile}) as target:
        target.write(values)
    return path


def to_lonlat(geometry: shapely.Geometry, transform: Transform, crs: str) -> shapely.Geometry:
    """Map a geometry from pixels to longitude and latitude, its edges cut to 20 pixels first."""
    a, b, c, d, e, f = transform
    way = pyproj.Transformer.from_crs(crs, LONLAT, always_xy=True)

    def moved(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[:, 0], points[:, 1]
        return np.column_stack(way.transform(a * x + b * y + c, d * x + e * y + f))

    return shapely.transform(shapely.segmentize(geometry, 20.0), moved)


def objects_of(out: Path) -> gpd.GeoDataFrame:
    """All objects of a finished run."""
    files = sorted((out / "objects").rglob("*.parquet"))
    return gpd.GeoDataFrame(pd.concat([gpd.read_parquet(file) for file in files], ignore_index=True))


def data_folder(*parts: str) -> Path:
    """A file or folder of the real imagery beside the project; the test is skipped where it is absent."""
    base = Path(os.environ.get("REMOTEREASONER_DATA", SHARED / "data"))
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not here: set REMOTEREASONER_DATA to a folder of real rasters")
    return path
