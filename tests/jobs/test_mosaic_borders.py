"""Claim: an object across the border of two UTM zones, or across 180 degrees, comes once from a mosaic."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from pipelines.jobs.run import run_job
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from pipelines.plan.planning import make_plan
from tests.worlds.practice import World, objects_of, write_truth
from tiling.geo.crs import to_lonlat, to_world

SIDE = 300
OBJECTS = [
    shapely.box(x, y, x + 40, y + 16) for x, y in ((130, 40), (128, 150), (20, 40), (240, 200), (135, 230))
]
"""In pixels of the scene, the border passing near column 150: through three of them."""


def scene_across(path: Path, lon: float, crs: str) -> Affine:
    """A noisy scene of one metre whose middle lies on a meridian; its geotransform."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, 52.0)
    place = Affine(1, 0, round(x) - SIDE // 2, 0, -1, round(y) + SIDE // 2)
    values = np.random.default_rng(1).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
    profile = {
        "driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": crs,
        "transform": place, "photometric": "rgb",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
    return place


@pytest.mark.skipif(
    "scene_overlap" not in JobConfig.model_fields, reason="scenes that overlap are each answered on their own"
)
@pytest.mark.parametrize(("lon", "zones"), [(6.0, (31, 32)), (180.0, (60, 1))])
def test_what_passes_a_border_is_one_object(tmp_path: Path, lon: float, zones: tuple[int, int]) -> None:
    crs = f"EPSG:{32600 + zones[0]}"
    place = scene_across(tmp_path / "a.tif", lon, crs)
    options = {
        "mosaic": {"composite": "first-valid", "grid": 200},
        "tile": 64,
        "scenes": [f"{tmp_path}/a.tif"],
    }
    null = {"reasoner": "null", "segmenter": "null", "ask": ["x"], "out": "none"}
    cells = make_plan(load_config(None, {**options, **null})).scenes
    assert {cell.scene.scene_id[:5] for cell in cells} == {f"utm{zone:02d}" for zone in zones}
    ground = to_lonlat(to_world(OBJECTS, tuple(place)[:6]), crs)
    write_truth(tmp_path, [("box", cell.scene.scene_id, each) for cell in cells for each in ground])
    run_job(World(tmp_path, (), options).config(tmp_path / "out"))
    found = gpd.GeoSeries(list(objects_of(tmp_path / "out").geometry), crs="OGC:CRS84").to_crs(crs)
    pixels = [shapely.transform(shape, lambda p: np.column_stack(~place @ tuple(p.T))) for shape in found]
    pixels = [shapely.union_all([shape], grid_size=1 / 4096) for shape in pixels]
    assert len(pixels) == len(OBJECTS)
    for each in OBJECTS:
        best = max(shape.intersection(each).area / shape.union(each).area for shape in pixels)
        assert best > 0.93
