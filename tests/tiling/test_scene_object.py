"""Claim: one pass gives mask, region and contour on the ground, and ids of question and place only."""

from dataclasses import replace

import pytest
import shapely
from pyproj import Geod

from tests.tiling.truth import fragment, seen, things
from tiling.grid import Grid
from tiling.merging import merge
from tiling.scene import Scene
from tiling.scene_object import SceneObject, scene_objects
from tiling.work import WorkGrid

PLACE = (0.5, 0.0, 500_000.0, 0.0, -0.5, 5_000_000.0)
SCENE = Scene("a.tif", "s", "i", 500, 500, PLACE, "EPSG:32633", "uint8", (), None, "2020-01-01T00:00:00Z")
WORK = WorkGrid(500, 500, PLACE, 1.0, 0.5)
GRID = Grid("s", 500, 500, 128, 32, 4096)


def objects(query_id: str = "q-1", scene: Scene = SCENE, seed: int = 0) -> list[SceneObject]:
    merged = merge(seen(things(seed, 500), GRID, PLACE), transform=PLACE)
    return scene_objects(merged, scene, WORK, query_id=query_id)


def test_geometry_region_contour_and_area_belong_together() -> None:
    geod = Geod(ellps="WGS84")
    for found in objects():
        assert found.geometry.is_valid
        assert -180 <= found.geometry.bounds[0] <= 180
        assert found.region.buffer(1e-8).covers(found.geometry)
        rings = 1 + len(found.geometry.interiors)
        assert len(found.contour.geoms) == rings
        assert found.contour.length == pytest.approx(found.geometry.length)
        shell = abs(geod.geometry_area_perimeter(shapely.Polygon(found.geometry.exterior))[0])
        holes = sum(
            abs(geod.geometry_area_perimeter(shapely.Polygon(r))[0]) for r in found.geometry.interiors
        )
        assert found.area_m2 == pytest.approx(shell - holes, rel=1e-9)


def test_areas_are_those_of_the_truth_in_square_metres() -> None:
    truth = things(0, 500)
    assert sum(o.area_m2 for o in objects()) == pytest.approx(sum(t.area for t in truth) * 0.25, rel=0.002)


def test_objects_name_their_sightings() -> None:
    found = objects()
    assert all(o.n_fragments >= 1 and o.tile_ids == tuple(sorted(set(o.tile_ids))) for o in found)
    assert max(o.n_fragments for o in found) > 4
    assert {o.scene_ids for o in found} == {("s",)}
    assert {o.datetime for o in found} == {"2020-01-01T00:00:00Z"}
    assert {o.label for o in found} == {"thing"}
    assert {o.touches_scene_edge for o in found} == {True, False}


def test_ids_follow_question_and_place_only() -> None:
    ids = [o.id for o in objects()]
    assert len(set(ids)) == len(ids)
    copy = replace(SCENE, uri="s3://elsewhere/b.tif", scene_id="b", identity="other")
    assert [o.id for o in objects(scene=copy)] == ids
    assert not set(ids) & {o.id for o in objects("q-2")}


def test_two_things_at_one_place_have_two_ids() -> None:
    one = fragment(shapely.box(20, 20, 40, 40), GRID.tile(0, 0), GRID, PLACE)
    two = fragment(shapely.box(20.001, 20, 40.001, 40), GRID.tile(0, 0), GRID, PLACE)
    merged = merge([one, two], transform=PLACE)
    ids = [o.id for o in scene_objects(merged, SCENE, WORK, query_id="q")]
    assert len(merged) == len(set(ids)) == 2


def test_valid_fraction_is_the_least_of_the_sightings() -> None:
    parts = [
        replace(fragment(shapely.box(20, 20, 128, 40), GRID.tile(0, 0), GRID, PLACE), valid_fraction=0.4),
        fragment(shapely.box(96, 20, 200, 40), GRID.tile(0, 1), GRID, PLACE),
    ]
    (found,) = scene_objects(merge(parts, transform=PLACE), SCENE, WORK, query_id="q")
    assert found.valid_fraction == 0.4
    assert found.n_fragments == 2
    assert scene_objects([], SCENE, WORK, query_id="q") == []
