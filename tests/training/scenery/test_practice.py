"""The practice world is exact: what the truth says stands where it says, and one seed gives one world."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from training.data.classes import PRACTICE_CLASSES
from training.errors import PracticeError
from training.scenery.drawing import Sketch, coverage, paint, placed_sketch
from training.scenery.practice import write_practice
from training.scenery.world import PracticeScene, draw_scene

SEA = ("ship", "atoll")


@pytest.fixture(scope="module")
def scenes() -> list[PracticeScene]:
    """Ten small scenes, one of them with a collar; together they hold every kind."""
    return [draw_scene(448, seed=seed, nodata_collar=seed == 9) for seed in range(10)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("practice")
    write_practice(str(out), scenes=4, size_px=320, seed=3, empty=1, crs=("EPSG:32631", "EPSG:32733"))
    return out


@given(
    radii=st.lists(st.floats(2.0, 14.0), min_size=3, max_size=12),
    x=st.floats(16.0, 24.0),
    y=st.floats(16.0, 24.0),
    hole=st.booleans(),
)
# Always the same shapes: a pixel has four scan lines, so a horizontal edge may cost an eighth of its
# length, and among all small shapes some exceed this bound.
@settings(max_examples=60, deadline=None, derandomize=True)
def test_coverage_keeps_area_and_centre(radii: list[float], x: float, y: float, hole: bool) -> None:
    turn = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    star = np.column_stack([np.cos(turn), np.sin(turn)]) * np.array(radii)[:, None]
    middle = np.array([x, y])
    polygon = shapely.Polygon(star + middle, [star * 0.5 + middle] if hole else None)
    cover = coverage(polygon, (0, 0, 40, 40)).astype(np.float64)
    at = np.arange(40) + 0.5
    assert cover.sum() == pytest.approx(polygon.area, abs=0.02 * polygon.length)
    if polygon.is_valid and polygon.area > 20:
        centre = [(cover * at).sum() / cover.sum(), (cover * at[:, None]).sum() / cover.sum()]
        assert centre == pytest.approx([polygon.centroid.x, polygon.centroid.y], abs=0.1)


@given(cut_x=st.integers(-10, 50), cut_y=st.integers(-10, 50))
@settings(max_examples=40, deadline=None)
def test_a_window_sees_the_same_coverage_as_the_whole(cut_x: int, cut_y: int) -> None:
    polygon = shapely.Point(21.3, 18.8).buffer(13).difference(shapely.Point(20, 20).buffer(6))
    whole = np.pad(coverage(polygon, (0, 0, 40, 40)), 32)
    part = coverage(polygon, (cut_x, cut_y, cut_x + 17, cut_y + 11))
    np.testing.assert_allclose(part, whole[cut_y + 32 : cut_y + 43, cut_x + 32 : cut_x + 49], atol=1e-6)


def test_long_objects_painted_in_blocks_show_no_block_edges() -> None:
    canvas = np.zeros((600, 600, 3), dtype=np.float32)
    strip = Sketch("runway", shapely.box(-280, -20, 280, 20), (200.0, 200.0, 200.0))
    laid = placed_sketch(strip, 0.7, 300.0, 300.0)
    paint(canvas, laid, [laid.outline], np.zeros((600, 600), dtype=np.float32))
    assert canvas[..., 0].sum() / 200 == pytest.approx(laid.outline.area, rel=1e-3)
    assert canvas.max() == 200.0


def test_one_seed_one_scene_and_another_seed_another() -> None:
    first, again, other = draw_scene(200, seed=4), draw_scene(200, seed=4), draw_scene(200, seed=5)
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert [one.polygon.wkb for one in first.objects] == [one.polygon.wkb for one in again.objects]
    assert first.pixels.tobytes() != other.pixels.tobytes()


def test_every_class_of_the_catalogue_is_drawn_and_no_other(scenes: list[PracticeScene]) -> None:
    drawn = {one.class_name for scene in scenes for one in scene.objects}
    assert drawn == {each.name for each in PRACTICE_CLASSES}


def test_truth_is_valid_inside_the_valid_part_and_no_sliver(scenes: list[PracticeScene]) -> None:
    for scene in scenes:
        height, width = scene.valid.shape
        for one in scene.objects:
            assert one.polygon.is_valid
            assert one.polygon.area >= 60
            assert shapely.box(0, 0, width, height).covers(one.polygon)
            x, y = one.polygon.representative_point().coords[0]
            assert scene.valid[int(y), int(x)]


def test_objects_keep_their_distance(scenes: list[PracticeScene]) -> None:
    for scene in scenes:
        polygons = [one.polygon for one in scene.objects]
        near = shapely.STRtree(polygons).query(polygons, predicate="dwithin", distance=3.0)
        for i, j in near.T[near[0] < near[1]]:
            assert scene.objects[i].class_name == scene.objects[j].class_name == "greenhouse"
            assert polygons[i].distance(polygons[j]) >= 2.0


def test_rings_have_holes(scenes: list[PracticeScene]) -> None:
    whole = shapely.box(1, 1, 447, 447)
    rings = [t for scene in scenes[:9] for t in scene.objects if t.class_name in ("ring_road", "atoll")]
    inner = [one for one in rings if whole.contains(one.polygon)]
    assert {one.class_name for one in inner} == {"ring_road", "atoll"}
    assert all(len(one.polygon.interiors) == 1 for one in inner)


@pytest.mark.parametrize(
    "class_name", ["tank", "aircraft", "pool", "car_park", "greenhouse", "atoll", "runway"]
)
def test_pixels_change_at_the_outline(scenes: list[PracticeScene], class_name: str) -> None:
    contrasts = [
        _contrast(scene, one.polygon)
        for scene in scenes
        for one in scene.objects
        if one.class_name == class_name
    ]
    assert np.median(contrasts) > 25


def _contrast(scene: PracticeScene, polygon: shapely.Polygon) -> float:
    """Measure the colour step between the first pixel inside an outline and the second outside."""
    height, width = scene.valid.shape
    cover = coverage(polygon, (0, 0, width, height))
    inside = cover == 1
    rim = inside & ~ndimage.binary_erosion(inside, iterations=2)
    near = ndimage.binary_dilation(cover > 0) & ~(cover > 0)
    around = ndimage.binary_dilation(near) & ~(cover > 0) & scene.valid
    step = scene.pixels[:, rim].mean(axis=1) - scene.pixels[:, around].mean(axis=1)
    return float(np.abs(step).max())


def test_ships_and_atolls_float_and_the_rest_stands_dry() -> None:
    scene = draw_scene(512, seed=11)
    assert {one.class_name for one in scene.objects} & set(SEA) == set(SEA)
    near = {i: _blueness_around(scene, i) for i in range(len(scene.objects))}
    afloat = [near[i] for i, one in enumerate(scene.objects) if one.class_name in SEA]
    ashore = [near[i] for i, one in enumerate(scene.objects) if one.class_name not in SEA]
    assert min(afloat) > 15 > max(ashore)


def _blueness_around(scene: PracticeScene, number: int) -> float:
    """Measure how much bluer than red the pixels 7 px outside an object are, near neighbours excepted."""
    height, width = scene.valid.shape
    line = shapely.segmentize(scene.objects[number].polygon.buffer(7).exterior, 2.0)
    x, y = shapely.get_coordinates(line).T.astype(int)
    points = shapely.points(x + 0.5, y + 0.5)
    free = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    for other in scene.objects:
        free &= shapely.distance(other.polygon, points) > 4
    red, _, blue = np.median(scene.pixels[:, y[free], x[free]], axis=1)
    return float(blue - red)


def test_an_empty_scene_holds_nothing_and_a_collar_is_black() -> None:
    assert draw_scene(300, seed=2, empty=True).objects == ()
    collared = draw_scene(300, seed=2, nodata_collar=True)
    assert 0.4 < collared.valid.mean() < 0.98
    np.testing.assert_array_equal(collared.pixels.any(axis=0), collared.valid)


def test_density_is_one_object_per_75_px_square(scenes: list[PracticeScene]) -> None:
    count = np.mean([len(scene.objects) for scene in scenes[:9]])
    assert count == pytest.approx((448 / 75) ** 2, rel=0.3)
    assert len(draw_scene(448, seed=0, density=0.3).objects) < 0.6 * count


def test_files_are_repeatable_to_the_byte(written: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_practice(
        str(tmp_path),
        scenes=4,
        size_px=320,
        seed=3,
        empty=1,
        crs=("EPSG:32631", "EPSG:32733"),
        progress=lambda done, of: seen.append((done, of)),
    )
    assert _digests(tmp_path) == _digests(written)
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def _digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_truth_table_matches_the_scenes_in_their_crs(written: Path) -> None:
    table = gpd.read_parquet(written / "truth.parquet")
    assert pyproj.CRS(table.crs).equals(pyproj.CRS("OGC:CRS84"))
    assert list(table.columns) == ["id", "kind", "scene_id", "datetime", "geometry"]
    assert table.id.is_unique
    assert set(table.scene_id) == {"scene-0001", "scene-0002", "scene-0003"}
    for scene_id, rows in table.groupby("scene_id"):
        with rasterio.open(written / "scenes" / f"{scene_id}.tif") as raster:
            back = rows.to_crs(raster.crs).geometry
            inverse = ~raster.transform
            bounds, stamp = shapely.box(*raster.bounds), raster.tags()["TIFFTAG_DATETIME"]
        assert all(bounds.buffer(1e-3).covers(shape) for shape in back)
        assert set(rows.datetime.dt.strftime("%Y:%m:%d %H:%M:%S")) == {stamp}
        pixels = [
            shapely.transform(s, lambda p, i=inverse: np.column_stack(i @ (p[:, 0], p[:, 1]))) for s in back
        ]
        _same_places(pixels, scene_id)


def _same_places(pixels: list[shapely.Polygon], scene_id: str) -> None:
    seed = np.random.SeedSequence([3, int(scene_id[-4:])]).generate_state(1, np.uint64)[0]
    objects = draw_scene(320, seed=int(seed)).objects
    assert len(objects) == len(pixels)
    for one, shape in zip(objects, pixels, strict=True):
        assert one.polygon.symmetric_difference(shape).area < 0.01


def test_scenes_lie_in_their_zone_and_apart(written: Path) -> None:
    boxes = []
    for path in sorted((written / "scenes").glob("*.tif")):
        with rasterio.open(path) as raster:
            assert raster.transform.a == 0.5
            assert raster.transform.e == -0.5
            zone = pyproj.CRS.from_epsg(raster.crs.to_epsg())
            lonlat = pyproj.Transformer.from_crs(zone, "OGC:CRS84", always_xy=True)
            boxes.append(shapely.box(*lonlat.transform_bounds(*raster.bounds)))
            assert shapely.box(*zone.area_of_use.bounds).contains(boxes[-1])
    assert len(boxes) == 4
    assert all(a.disjoint(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_a_truth_table_without_rows_still_reads(tmp_path: Path) -> None:
    write_practice(str(tmp_path), scenes=1, size_px=64, seed=0, empty=1)
    table = gpd.read_parquet(tmp_path / "truth.parquet")
    assert len(table) == 0
    assert list(table.columns) == ["id", "kind", "scene_id", "datetime", "geometry"]
    assert str(table.dtypes["datetime"]) == "datetime64[us, UTC]"


def test_questions_on_disk_are_the_catalogue(written: Path) -> None:
    stored = json.loads((written / "questions.json").read_text())
    assert list(stored) == [each.name for each in PRACTICE_CLASSES]
    (tank,) = (each for each in PRACTICE_CLASSES if each.name == "tank")
    assert stored["tank"] == {"ask": list(tank.wordings), "spare": list(tank.held_out)}


def test_questions_are_plain_distinct_and_answerable_from_known_words() -> None:
    every = [question for each in PRACTICE_CLASSES for question in (*each.wordings, *each.held_out)]
    assert len(set(every)) == len(every) == 14 * 11
    assert all(re.fullmatch(r"[a-z]+( [a-z]+){3,8}\?", question) for question in every)
    vocabulary = {word for each in PRACTICE_CLASSES for text in each.wordings for word in text[:-1].split()}
    for object_class in PRACTICE_CLASSES:
        own = {word for text in object_class.wordings for word in text[:-1].split()}
        held_out = [word for text in object_class.held_out for word in text[:-1].split()]
        assert set(held_out) <= vocabulary
        assert np.mean([word in own for word in held_out]) > 0.8
        assert 3 <= len(object_class.reason.split()) <= 6


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"scenes": 0}, "scenes"),
        ({"empty": 3}, "empty"),
        ({"crs": ("EPSG:4326",)}, "EPSG:4326"),
        ({"crs": ("EPSG:99999999",)}, "99999999"),
        ({"crs": ()}, "crs"),
        ({"seed": -1}, "seed"),
        ({"size_px": 8}, "size_px"),
        ({"density": 9.0}, "density"),
    ],
)
def test_bad_requests_name_the_field(tmp_path: Path, change: dict[str, object], word: str) -> None:
    request: dict[str, object] = {"scenes": 1, "size_px": 64, "seed": 0} | change
    with pytest.raises(PracticeError, match=word) as caught:
        write_practice(str(tmp_path), **request)  # type: ignore[arg-type]
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_folder_with_other_scenes_is_refused(tmp_path: Path) -> None:
    write_practice(str(tmp_path), scenes=2, size_px=64, seed=0)
    with pytest.raises(PracticeError, match="scene-0001"):
        write_practice(str(tmp_path), scenes=1, size_px=64, seed=0)
