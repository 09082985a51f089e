"""Claim: a mosaic job is a job like any other: frozen, resumed, the same by Ray; each object is found once.

Two dates over one ground, each with clouds where the other has none; rectangles of known place, some of them
across the borders of cells.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from rasterio.transform import Affine

from pipelines.errors import RequestError
from pipelines.jobs.run import run_job
from pipelines.map.page import write_map
from pipelines.plan.config import JobConfig
from pipelines.plan.load_request import load_config
from pipelines.plan.plan_files import read_plan
from pipelines.plan.planning import make_plan
from tests.commands import NULL, assert_refused, command
from tests.worlds.fixtures import file_bytes
from tests.worlds.practice import World, objects_of, to_lonlat, write_truth
from tests.worlds.stac import COLLECTION, item_of, stac_api, write_collection
from tiling.scene import Composite
from tiling.storage.store import Store

CRS = "EPSG:32631"
PLACE = Affine(1, 0, 500_130, 0, -1, 5_000_420)
SIDE = 420
CELL = {"composite": "median", "grid": 200}
CLOUDS = (np.s_[0:200, :], np.s_[260:, 100:])
OBJECTS = [
    shapely.box(x, y, x + 22, y + 14)
    for x, y in ((30, 30), (150, 120), (260, 210), (262, 330), (60, 215), (340, 60), (330, 300), (100, 380))
] + [shapely.box(200, 100, 212, 340)]
"""In pixels of the scenes; the last one passes the borders of cells."""


def write_date(path: Path, number: int) -> Path:
    values = np.random.default_rng(number).integers(1, 250, (3, SIDE, SIDE)).astype(np.uint8)
    values[:, *CLOUDS[number]] = 0
    profile = {
        "driver": "GTiff", "width": SIDE, "height": SIDE, "count": 3, "dtype": "uint8", "crs": CRS,
        "transform": PLACE, "nodata": 0, "photometric": "rgb", "tiled": True, "blockxsize": 128,
        "blockysize": 128,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.write(values)
        target.update_tags(TIFFTAG_DATETIME=f"2024:05:0{number + 1} 10:00:00")
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Both dates as an ItemCollection, and the truth for every cell of their mosaic."""
    folder = tmp_path_factory.mktemp("world")
    dates = [write_date(folder / f"date-{number}.tif", number) for number in range(2)]
    items = write_collection(folder / "items.json", [item_of(path) for path in dates])
    options = {"mosaic": CELL, "tile": 64, "chunk": 400}
    null = {"reasoner": "null", "segmenter": "null", "ask": ["x"], "out": "none"}
    cells = make_plan(load_config(None, {"scenes": [str(items)], **options, **null})).scenes
    ground = [to_lonlat(each, tuple(PLACE)[:6], CRS) for each in OBJECTS]
    write_truth(folder, [("box", cell.scene.scene_id, each) for cell in cells for each in ground])
    return World(folder, (str(items),), options)


@pytest.fixture(scope="module")
def whole(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    report = run_job(world.config(out))
    assert report.failed == report.malformed == 0
    assert report.nodata > 0
    return out


class KilledError(Exception):
    """Represents a kill."""


def killed_after_one_chunk(config: JobConfig) -> None:
    def listener(event: object) -> None:
        if type(event).__name__ == "ChunkDone":
            raise KilledError

    with pytest.raises(KilledError):
        run_job(config, listener=listener)


def test_a_mosaic_is_planned_on_its_grid_and_frozen(world: World, whole: Path) -> None:
    plan = read_plan(Store(str(whole)))
    assert plan == make_plan(plan.config)
    assert len(plan.scenes) == 9
    cells = [item.scene for item in plan.scenes]
    assert {cell.scene_id for cell in cells} >= {"utm31n-2501-25001", "utm31n-2502-25000"}
    assert {cell.width for cell in cells} == {200 + 64}
    assert all(cell.mosaic and len(cell.mosaic.items) == 2 for cell in cells)
    decoded = sum(ref.window.width * ref.window.height * 3 for ref in plan.chunks)
    assert 0 < plan.read_bytes != decoded


def test_a_killed_mosaic_resumes_to_the_same_bytes(world: World, whole: Path, tmp_path: Path) -> None:
    config = world.config(tmp_path / "out")
    killed_after_one_chunk(config)
    report = run_job(config)
    assert 0 < report.chunks_done < report.chunks_planned
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(whole / "objects")


def test_a_mosaic_of_a_search_resumes_while_the_api_is_down(
    world: World, whole: Path, tmp_path: Path
) -> None:
    with stac_api(Path(str(world.scenes[0]))) as url:
        config = world.config(tmp_path / "out", scenes=(), stac={"url": url, "collections": [COLLECTION]})
        killed_after_one_chunk(config)
    run_job(config)
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(whole / "objects")


@pytest.mark.ray
@pytest.mark.slow
def test_ray_gives_the_same_bytes(world: World, whole: Path, tmp_path: Path) -> None:
    run_job(world.config(tmp_path / "out", engine="ray", workers=1))
    assert file_bytes(tmp_path / "out" / "objects") == file_bytes(whole / "objects")


def test_another_mosaic_of_the_same_scenes_is_another_job(world: World, whole: Path) -> None:
    for change in ({"composite": "first-valid"}, {"kernel": "bilinear"}):
        with pytest.raises(RequestError, match="another job"):
            run_job(world.config(whole, mosaic={**CELL, **change}))


def pixel_bounds(out: Path) -> list[tuple[float, ...]]:
    """Bounds of every object in pixels of the scenes, rounded, sorted."""
    import pyproj

    way = pyproj.Transformer.from_crs("OGC:CRS84", CRS, always_xy=True)
    world = [
        shapely.transform(shape, lambda p: np.column_stack(way.transform(*p.T)))
        for shape in objects_of(out).geometry
    ]
    back = [
        shapely.transform(shape, lambda p: np.column_stack(~PLACE @ (p[:, 0], p[:, 1]))) for shape in world
    ]
    return sorted(tuple(float(v) for v in np.round(shape.bounds, 0)) for shape in back)


def test_what_is_seen_lies_where_it_was_drawn(whole: Path) -> None:
    found = pixel_bounds(whole)
    inside = [each.bounds for each in OBJECTS[:-1]]
    assert set(inside) <= set(found)


@pytest.mark.skipif(
    "scene_overlap" not in JobConfig.model_fields, reason="scenes that overlap are each answered on their own"
)
def test_what_passes_from_cell_to_cell_is_one_object(whole: Path) -> None:
    assert pixel_bounds(whole) == sorted(each.bounds for each in OBJECTS)


def test_the_map_shows_the_composed_pixels(whole: Path) -> None:
    page = Path(write_map(Store(str(whole)), read_plan(Store(str(whole))))).read_text("utf-8")
    assert page.count("data:image/webp") >= 9


def test_flags_make_a_mosaic_too(world: World) -> None:
    asked = ("plan", str(world.scenes[0]), "--ask", "x", *NULL, "--tile", "64", "--json")
    result = command(*asked, "--mosaic", "first-valid", "--resolution", "2")
    facts = json.loads(result.out)
    assert (result.code, facts["gsd"], facts["scenes"]) == (0, pytest.approx(2.0, rel=1e-2), 1)
    assert json.loads(command(*asked).out)["scenes"] == 2


def a_date_of_another_resolution(folder: Path) -> list[str]:
    with rasterio.open(folder / "a.tif") as source:
        profile = {**source.profile, "transform": PLACE @ Affine.scale(2)}
        values = source.read()
    with rasterio.open(folder / "b.tif", "w", **profile) as target:
        target.write(values)
    return ["--mosaic", "median"]


BAD: dict[str, tuple[Callable[[Path], list[str]], list[str]]] = {
    "items differ": (a_date_of_another_resolution, ["1 m in a, 2 m in b", "--resolution"]),
    "no composite": (lambda folder: ["--resolution", "2"], ["mosaic.composite", "median", "--mosaic"]),
    "an unknown composite": (lambda folder: ["--mosaic", "mean"], ["mosaic.composite", "first-valid"]),
    "no size": (lambda folder: ["--mosaic", "median", "--resolution", "0"], ["mosaic.resolution", "metres"]),
    "gsd too": (lambda folder: ["--mosaic", "median", "--gsd", "2"], ["gsd", "mosaic.resolution"]),
}


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_mosaic_costs_one_sentence(
    make: Callable[[Path], list[str]], words: list[str], tmp_path: Path
) -> None:
    write_date(tmp_path / "a.tif", 0)
    flags, out = make(tmp_path), tmp_path / "out"
    result = command("run", f"{tmp_path}/*.tif", "--ask", "x", *NULL, *flags, "--out", str(out))
    assert_refused(result, words)
    assert not out.exists()


def test_every_composite_is_a_choice_of_the_request() -> None:
    for composite in Composite:
        config = load_config(
            None, {"scenes": ["a"], "ask": ["x"], "out": "o", "mosaic": {"composite": str(composite)}}
        )
        assert config.mosaic is not None
        assert config.mosaic.composite is composite
