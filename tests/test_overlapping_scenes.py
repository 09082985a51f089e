"""Claim: where scenes overlap each thing is one object, and shared ground is read once but for a band."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import affinity, box

from pipelines.plan import Plan
from pipelines.plan_files import read_plan
from pipelines.run_job import run_job
from pipelines.storage import Store
from tests.score import Score, score
from tests.sheets import Sheet, moved, on_ground, true_things, write_sheets
from tests.tiling.truth import apart
from tests.worlds import World, objects_of
from tiling.scene import Transform

TILE, OVERLAP = 128, 32
GROUND: Transform = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_400_000.0)
TURNED: Transform = (0.4, 0.3, 500_150.0, 0.3, -0.4, 5_399_900.0)


def scattered(width: int, height: int, seed: int = 0) -> NDArray[np.object_]:
    """Things over the whole ground, in its pixels: strips, rings, twins 2 px apart every 70 px, boxes."""
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
    a, b, c, d, e, f = GROUND
    return Sheet(name, (a, b, c + a * x, d, e, f + e * y), size, **fields)


def run(world: World, out: Path, **fields: object) -> tuple[Plan, gpd.GeoDataFrame]:
    given: dict[str, object] = {"tile": TILE, "overlap": OVERLAP, "chunk": 400, **fields}
    report = run_job(world.config(out, **given))
    assert report.failed == report.malformed == 0
    return read_plan(Store(str(out))), objects_of(out)


def seen_by(sheets: Sequence[Sheet], things: NDArray[np.object_], crs: str) -> NDArray[np.object_]:
    """The things that lie on the scenes' ground together, whole."""
    ground = shapely.union_all([moved([sheet.footprint], sheet.crs, crs)[0] for sheet in sheets])
    return things[shapely.covers(shapely.buffer(ground, -1.0), things)]


def made(folder: Path, sheets: Sequence[Sheet], size: tuple[int, int], seed: int = 0) -> World:
    crs = "EPSG:32631"
    things = np.array([on_ground(shape, GROUND) for shape in scattered(*size, seed)])
    return write_sheets(folder, sheets, list(seen_by(sheets, things, crs)), crs)


def result(world: World, found: gpd.GeoDataFrame) -> Score:
    return score(found, true_things(world))


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


@pytest.fixture(scope="module", params=CASES)
def case(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[World, Sequence[Sheet]]:
    sheets, size = CASES[request.param]
    return made(tmp_path_factory.mktemp(request.param), sheets, size), sheets


def test_each_true_thing_is_one_object(case: tuple[World, Sequence[Sheet]], tmp_path: Path) -> None:
    world, _ = case
    _, found = run(world, tmp_path / "out")
    assert result(world, found).is_exact, result(world, found)
    assert found["id"].is_unique


def test_keeping_all_gives_duplicates(case: tuple[World, Sequence[Sheet]], tmp_path: Path) -> None:
    world, _ = case
    plan, found = run(world, tmp_path / "out", scene_overlap="keep-all")
    assert plan.n_tiles == sum(item.grid.n_tiles for item in plan.scenes)
    assert len(found) > 1.2 * len(true_things(world))
    assert result(world, found).duplicates > 0
