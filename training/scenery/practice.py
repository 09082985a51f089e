"""Practice scenes on disk: georeferenced scenes, the truth about them, and the questions.

Called by the command `practice`; the scenes themselves are drawn by `training.scenery.world`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from tiling import Transform
from tiling.raster import write_cog
from tiling.storage import delivered, files_below
from training import PracticeError
from training.data import questions
from training.scenery.world import PracticeScene, draw_scene

PIXEL_M = 0.5
GAP_M = 200.0
"""Minimum distance between two scenes, metres."""
ZONE_SPAN_M = 400_000.0
"""Scenes stay in this stretch about the central meridian, inside their zone up to 55 degrees of latitude."""
NORTH_M, SOUTH_M = 5_400_000.0, 6_300_000.0
"""Northing of the first row of scenes: about 48.7 degrees north, 33.4 degrees south."""
EDGE_PX = 100.0
"""Edges are cut to this length before they are reprojected, so that long ones bend as the ground does."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and when one scene was taken."""

    scene_id: str
    """File stem, `scene-0000` and so on."""
    crs: str
    """A UTM zone."""
    transform: Transform
    """Affine (a, b, c, d, e, f), north-up, metres."""
    taken: datetime
    """Acquisition time, UTC, whole seconds."""


def write_practice(
    out: str,
    *,
    scenes: int,
    size_px: int,
    seed: int,
    empty: int = 0,
    crs: Sequence[str] = ("EPSG:32631",),
    nodata_collar: bool = False,
    density: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write `scenes/scene-0000.tif` onward, `truth.parquet` and `questions.json`; one seed, one set of bytes.

    Args:
        out: Folder, local or s3://; made if missing.
        scenes: How many; they do not overlap on the ground.
        size_px: Side of each in pixels of 0.5 m.
        seed: Not negative.
        empty: So many of the first scenes hold ground and clutter only.
        crs: UTM zones, taken in turn.
        nodata_collar: Leave a tilted frame without data (0) about each scene.
        density: Objects per 75 by 75 pixels.
        progress: Called with scenes done and scenes in all after each scene.

    Raises:
        PracticeError: If a number is out of range, a CRS is not a UTM zone, or the folder holds other scenes.
        StorageError: Object storage refuses or is away.
    """
    if scenes < 1 or not 0 <= empty <= scenes:
        raise PracticeError(f"scenes={scenes}, empty={empty}: give scenes >= 1 and 0 <= empty <= scenes")
    settings = list(_settings(scenes, size_px, seed, crs))
    _refuse_orphans(f"{out}/scenes", settings)
    with delivered(out) as folder:
        (folder / "scenes").mkdir(parents=True, exist_ok=True)
        truth = []
        for number, setting in enumerate(settings):
            scene = draw_scene(
                size_px,
                seed=_scene_seed(seed, number),
                empty=number < empty,
                nodata_collar=nodata_collar,
                density=density,
            )
            _write_scene(folder / "scenes", scene, setting)
            truth.append(_truth_of(scene, setting))
            if progress is not None:
                progress(number + 1, scenes)
        _write_truth(folder / "truth.parquet", truth)
        (folder / "questions.json").write_text(json.dumps(questions(), indent=2) + "\n", encoding="utf-8")


def _scene_seed(seed: int, number: int) -> int:
    """Give each scene a seed of its own, unrelated to its neighbours'."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])


def _refuse_orphans(scenes: str, settings: Sequence[Setting]) -> None:
    """Refuse a folder that holds scenes which would not be replaced."""
    found = {name.removesuffix(".tif") for name in files_below(scenes) if name.endswith(".tif")}
    orphans = found - {setting.scene_id for setting in settings}
    if orphans:
        raise PracticeError(f"{scenes} already holds {min(orphans)}.tif: empty it or choose another folder")


def _settings(scenes: int, size_px: int, seed: int, crs: Sequence[str]) -> Iterator[Setting]:
    """Lay scenes out in rows within each zone, all taken in one week that the seed chooses."""
    if seed < 0:
        raise PracticeError(f"seed is {seed}: give a whole number from 0 up")
    tops = [_top_m(each) for each in crs]
    if not tops:
        raise PracticeError("crs is empty: name at least one UTM zone, such as EPSG:32631")
    start = datetime(2024, 1, 1, 10, 30, tzinfo=UTC) + timedelta(days=seed % 700)
    side_m = size_px * PIXEL_M
    columns = int(max(1, min(20, ZONE_SPAN_M // (side_m + GAP_M))))
    for number in range(scenes):
        row, column = divmod(number // len(crs), columns)
        west = 500_000.0 + (column - columns / 2) * (side_m + GAP_M)
        north = tops[number % len(crs)] - row * (side_m + GAP_M)
        transform = (PIXEL_M, 0.0, round(west), 0.0, -PIXEL_M, round(north))
        taken = start + timedelta(days=number % 7, seconds=97 * (number // 7 % 60))
        yield Setting(f"scene-{number:04d}", crs[number % len(crs)], transform, taken)


def _top_m(crs: str) -> float:
    """Choose the northing of the first row from the zone's hemisphere."""
    try:
        zone = pyproj.CRS.from_user_input(crs).utm_zone
    except pyproj.exceptions.CRSError as error:
        raise PracticeError(f"crs {crs!r} is unknown to PROJ: {error}") from error
    if zone is None:
        raise PracticeError(f"crs {crs!r} is not a UTM zone: give one such as EPSG:32631")
    return NORTH_M if zone.endswith("N") else SOUTH_M


def _write_scene(folder: Path, scene: PracticeScene, setting: Setting) -> None:
    write_cog(
        str(folder / f"{setting.scene_id}.tif"),
        scene.pixels,
        transform=setting.transform,
        crs=setting.crs,
        nodata=None if scene.valid.all() else 0,
        datetime=setting.taken.isoformat(),
    )


def _truth_of(scene: PracticeScene, setting: Setting) -> gpd.GeoDataFrame:
    """Give a scene's objects as rows in longitude and latitude."""
    a, b, c, d, e, f = setting.transform
    lonlat = pyproj.Transformer.from_crs(setting.crs, "OGC:CRS84", always_xy=True)

    def to_world(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points[:, 0], points[:, 1]
        return np.column_stack(lonlat.transform(a * x + b * y + c, d * x + e * y + f))

    outlines = [shapely.segmentize(one.polygon, EDGE_PX) for one in scene.objects]
    return gpd.GeoDataFrame(
        {
            "id": pd.Series([f"{setting.scene_id}-{i:05d}" for i in range(len(outlines))], dtype="string"),
            "kind": pd.Series([one.class_name for one in scene.objects], dtype="string"),
            "scene_id": pd.Series([setting.scene_id] * len(outlines), dtype="string"),
            "datetime": pd.Series([setting.taken] * len(outlines), dtype="datetime64[us, UTC]"),
        },
        geometry=[shapely.orient_polygons(shapely.transform(each, to_world)) for each in outlines],
        crs="OGC:CRS84",
    )


def _write_truth(path: Path, parts: Sequence[gpd.GeoDataFrame]) -> None:
    table = gpd.GeoDataFrame(pd.concat(parts, ignore_index=True), geometry="geometry", crs="OGC:CRS84")
    table.to_parquet(path, index=False, write_covering_bbox=True, compression="zstd", schema_version="1.1.0")
