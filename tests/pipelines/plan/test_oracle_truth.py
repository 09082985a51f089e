"""The oracle's lookup gives the true polygons of a question in a tile, in that tile's pixels."""

from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely

from pipelines.errors import RequestError
from pipelines.plan.oracle_truth import Placement, TileKey, Truth, question_classes
from pipelines.plan.plan_files import read_plan
from reasoner.answer import TileView
from reasoner.query import Query
from tests.worlds.fixtures import SHIPS
from tiling.geo.crs import to_pixels
from tiling.grid import Window
from tiling.storage.store import Store


def test_the_polygons_are_those_of_the_scene_kind_and_tile(practice: Path, whole: Path) -> None:
    planned = read_plan(Store(str(whole))).scenes[0]
    scene_id, transform, crs = planned.scene.scene_id, planned.work.transform, planned.scene.crs
    uri = f"{practice}/truth.parquet"
    lookup = Truth(uri, (Placement(scene_id, planned.work),)).load()
    window = Window(20, 30, 180, 190)
    found = lookup(TileView(np.zeros((160, 160, 3), np.uint8), TileKey(scene_id, window)), Query(SHIPS))
    table = geopandas.read_parquet(uri)
    ships = table[(table["scene_id"] == scene_id) & (table["kind"] == "ship")].geometry.to_crs(crs)
    pixels = to_pixels(ships.to_numpy(), transform)
    expected = [shape for shape in pixels if shape.intersects(shapely.box(20, 30, 180, 190))]
    assert len(found) == len(expected) > 0
    moved = shapely.transform(np.array(found), lambda xy: xy + np.array([20, 30]))
    assert shapely.equals_exact(moved, np.array(expected), tolerance=1e-9).all()
    assert lookup(TileView(np.zeros((160, 160, 3), np.uint8), TileKey("other", window)), Query(SHIPS)) == ()
    with pytest.raises(TypeError, match="names no scene and window"):
        lookup(TileView(np.zeros((160, 160, 3), np.uint8), "a name"), Query(SHIPS))


def test_every_practice_question_has_its_kind(practice: Path) -> None:
    assert question_classes(f"{practice}/truth.parquet")[SHIPS] == "ship"


def test_a_table_without_questions_is_refused(practice: Path, tmp_path: Path) -> None:
    (tmp_path / "truth.parquet").write_bytes((practice / "truth.parquet").read_bytes())
    with pytest.raises(RequestError, match=r"questions\.json"):
        question_classes(f"{tmp_path}/truth.parquet")
