"""Claim: one pass gives mask, region and contour on the ground, and ids of question and place only."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from tests.worlds.truth import drawn_objects, fragment, merged_objects, seen
from tiling.grid import Grid
from tiling.merge.objects import SceneObjects, scene_objects
from tiling.scene import Scene

PLACE = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_000_000.0)
SCENE = Scene("a.tif", "s", "i", 500, 500, PLACE, "EPSG:32633", "uint8", (), None, "2020-01-01T00:00:00Z")
GRID = Grid("s", 500, 500, 128, 32, 4096)


def drawn(seed: int) -> NDArray[np.object_]:
    """Many objects, one of them hollow."""
    hollow = shapely.Point(470, 470).buffer(25).difference(shapely.Point(470, 470).buffer(15))
    return np.array([*(each for each in drawn_objects(seed, 500) if not each.intersects(hollow)), hollow])


def objects(query_id: str = "q-1", scene: Scene = SCENE, seed: int = 0) -> SceneObjects:
    merged = merged_objects(seen(drawn(seed), GRID, PLACE), GRID, PLACE)
    return scene_objects(merged, scene, query_id=query_id)


def test_outlines_and_regions_are_whole_and_belong_together() -> None:
    found = objects()
    geometry, region = found.geometry.shapes(), found.region.shapes()
    assert shapely.is_valid(geometry).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(geometry)).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(region)).all()
    assert (np.abs(shapely.bounds(geometry)[:, ::2]) <= 180).all()
    assert shapely.covers(shapely.buffer(region, 1e-8), geometry).all()
    assert shapely.get_num_interior_rings(geometry).max() == 1


def test_areas_are_geodesic() -> None:
    """pyproj's own areas carry an error of some 1e-4 square metres where outlines are as small as these."""
    found, geod = objects(), Geod(ellps="WGS84")
    for shape, area in zip(found.geometry.shapes(), found.area_m2, strict=True):
        shell = abs(geod.geometry_area_perimeter(shapely.Polygon(shape.exterior))[0])
        holes = sum(abs(geod.geometry_area_perimeter(shapely.Polygon(r))[0]) for r in shape.interiors)
        assert area == pytest.approx(shell - holes, rel=1e-8, abs=3e-4)


def test_areas_are_those_of_the_truth_in_square_metres() -> None:
    truth = drawn(0)
    assert objects().area_m2.sum() == pytest.approx(sum(t.area for t in truth) * 0.25, rel=0.002)


def test_ids_follow_question_and_place_only() -> None:
    ids = objects().id
    assert len(set(ids)) == len(ids)
    copy = replace(SCENE, uri="s3://elsewhere/b.tif", scene_id="b", identity="other")
    assert objects(scene=copy).id == ids
    assert not set(ids) & set(objects("q-2").id)


def test_nothing_is_no_objects() -> None:
    one = fragment(shapely.box(20, 20, 40, 40), GRID.tile(0, 0), GRID, PLACE)
    none = merged_objects([one], GRID, PLACE).take(np.empty(0, dtype=np.int64))
    assert len(scene_objects(none, SCENE, query_id="q")) == 0
