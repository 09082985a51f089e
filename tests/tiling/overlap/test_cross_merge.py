"""Claim: each object that overlapping scenes saw comes once, in any order; missing tiles suppress nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import affinity, box

from tests.worlds.truth import apart, merged_objects, seen
from tiling.geo.crs import to_pixels
from tiling.geo.geobox import GeoBox, moved_between
from tiling.grid import Grid
from tiling.merge.objects import MergedObjects
from tiling.overlap.coverage import SceneCoverage, with_overlap_zone
from tiling.overlap.cross_match import ScenePart
from tiling.overlap.cross_merge import merge_across
from tiling.overlap.overlap_zone import ZoneObjects, split_by_zone
from tiling.scene import Transform

CRS = "EPSG:32631"
SIDE, TILE, OVERLAP = 400, 128, 32


def frame(x: float, y: float, turn: float = 0.0) -> GeoBox:
    """A scene of half-metre pixels whose corner lies at a pixel of the ground."""
    c, s = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    transform: Transform = (c, s, 500_000 + 0.5 * x, s, -c, 5_400_000 - 0.5 * y)
    return GeoBox(CRS, transform, SIDE, SIDE)


GROUND = frame(0, 0)


Split = tuple[MergedObjects, ZoneObjects]
"""Objects of a scene that no other has a say in, and all others."""


def coverages_of(frames: Sequence[GeoBox]) -> list[SceneCoverage]:
    plain = [SceneCoverage(each, each.area, each.area) for each in frames]
    return [
        with_overlap_zone(own, plain[:index], plain[index + 1 :], whole=False)
        for index, own in enumerate(plain)
    ]


def split_objects(
    frames: Sequence[GeoBox], truth: NDArray[np.object_], *, sloppy: float = 0.0
) -> list[Split]:
    """What each scene sees of objects on the ground, merged and split; the scenes' order is their rank."""
    coverages, found = coverages_of(frames), []
    for index, own in enumerate(frames):
        grid = Grid(f"s{index}", SIDE, SIDE, TILE, OVERLAP, 4096)
        local = shapely.intersection(moved_between(truth, GROUND, own), own.area)
        pieces = shapely.get_parts(local[~shapely.is_empty(local)])
        fragments = seen(pieces, grid, own.transform, sloppy=sloppy, seed=index)
        zone = coverages[index].zone
        assert zone is not None
        found.append(split_by_zone(merged_objects(fragments, grid, own.transform), own.transform, zone))
    return found


def parts_of_scenes(frames: Sequence[GeoBox], found: Sequence[Split]) -> dict[int, ScenePart]:
    nothing = shapely.Polygon()
    return {
        index: ScenePart(index, coverage, shared, nothing)
        for index, (coverage, (_, shared)) in enumerate(zip(coverages_of(frames), found, strict=True))
    }


@dataclass(frozen=True)
class Item:
    """One object of a merge across scenes."""

    geometry: shapely.Geometry
    owner: int
    scenes: tuple[int, ...]
    at_edge: bool
    linked: set[int]


def everyone(parts: Mapping[int, ScenePart]) -> list[Item]:
    merged = merge_across(parts, lambda scene: [other for other in parts if other != scene])
    if merged is None:
        return []
    found = []
    scene_of = merged.candidates.scene
    for each in merged.united():
        first = merged.groups.values[merged.groups.starts[:-1]]
        labels = merged.together[first[scene_of[first] == each.owner]]
        linked = [set(scene_of[merged.together == label].tolist()) for label in labels]
        at_edge = each.objects.touches_scene_edge.tolist()
        columns = (each.objects.outlines.shapes(), each.scenes, at_edge, linked)
        for geometry, scenes, at_edge, others in zip(*columns, strict=True):
            found.append(Item(geometry, each.owner, scenes, at_edge, others))
    return found


def unseen(found: Split) -> Split:
    """The same scene, having seen nothing in its overlap zone."""
    alone, shared = found
    nothing = shared.objects.take(np.empty(0, dtype=np.int64))
    return alone, ZoneObjects(nothing, np.empty(0, dtype=bool), np.empty(0, dtype=float))


def on_ground(found: Sequence[Split], merged: Sequence[Item]) -> NDArray[np.object_]:
    """All objects in pixels of the ground."""
    final = [shape for alone, _ in found for shape in alone.outlines.shapes()]
    return to_pixels([*final, *(item.geometry for item in merged)], GROUND.transform)


def drawn_objects(seed: int) -> NDArray[np.object_]:
    rng = np.random.default_rng(seed)
    strips = [affinity.rotate(box(10, 190, 690, 204), 20), box(30, 300, 680, 312)]
    twins = [
        box(x + k * 14, 40 + x % 60, x + k * 14 + 12, 60 + x % 60) for x in range(20, 680, 60) for k in (0, 1)
    ]
    boxes = [
        affinity.rotate(box(x, y, x + w, y + h), turn)
        for (x, y), (w, h), turn in zip(
            rng.uniform(0, 700, (150, 2)),
            rng.uniform(10, 40, (150, 2)),
            rng.uniform(0, 180, 150),
            strict=True,
        )
    ]
    return apart([*strips, *twins, *boxes], 700)


def recovered(found: NDArray[np.object_], truth: NDArray[np.object_], iou: float = 0.95) -> int:
    a, b = shapely.STRtree(truth).query(found)
    shared = shapely.area(shapely.intersection(found[a], truth[b]))
    return len(set(b[shared > iou * shapely.area(shapely.union(found[a], truth[b]))]))


places = st.tuples(st.integers(0, 250), st.integers(0, 250), st.sampled_from([0.0, 0.0, 0.4, -1.1]))


@settings(max_examples=12)
@given(st.lists(places, min_size=2, max_size=4, unique=True), st.integers(0, 50))
def test_each_object_on_the_ground_of_the_scenes_comes_once(
    corners: list[tuple[int, int, float]], seed: int
) -> None:
    frames = [frame(*corner) for corner in corners]
    ground = shapely.union_all([moved_between([each.area], each, GROUND)[0] for each in frames])
    drawn = drawn_objects(seed)
    truth = drawn[shapely.covers(shapely.buffer(ground, -1.5), drawn)]
    found = split_objects(frames, truth)
    merged = everyone(parts_of_scenes(frames, found))
    shapes = on_ground(found, merged)
    assert len(shapes) == len(truth) == recovered(shapes, truth)


@settings(max_examples=8)
@given(st.permutations(range(3)), st.integers(0, 20))
def test_the_order_and_the_numbers_of_scenes_do_not_matter(order: list[int], seed: int) -> None:
    frames = [frame(0, 0), frame(230, 40), frame(120, 220, 0.3)]
    found = split_objects(frames, drawn_objects(seed), sloppy=1.0)
    parts = parts_of_scenes(frames, found)
    renamed = {order[index] + 7: parts[index] for index in order}
    plain, other = everyone(parts), everyone(renamed)
    assert [(item.geometry.wkb, item.owner) for item in plain] == [
        (item.geometry.wkb, order.index(item.owner - 7)) for item in other
    ]


PAIR = [frame(0, 0), frame(280, 0)]
"""Both see columns 280 to 400 of the ground; the first owns them."""


def result(truth: Sequence[shapely.Polygon], *, blind: int | None = None) -> list[Item]:
    """Merged objects of the pair, one of the two scenes seeing none of them."""
    found = split_objects(PAIR, np.array(truth, dtype=object))
    if blind is not None:
        found[blind] = unseen(found[blind])
    return everyone(parts_of_scenes(PAIR, found))


def test_complete_in_both_is_the_first_ones() -> None:
    (item,) = result([box(320, 100, 350, 130)])
    assert (item.owner, item.scenes, item.at_edge) == (0, (0,), False)


@pytest.mark.parametrize(("x0", "x1", "owner"), [(385, 440, 1), (240, 300, 0)])
def test_truncated_in_one_is_suppressed_by_complete_in_the_other(x0: int, x1: int, owner: int) -> None:
    (item,) = result([box(x0, 100, x1, 130)])
    assert (item.owner, item.scenes) == (owner, (owner,))
    assert item.linked == {0, 1}
    (shape,) = to_pixels([item.geometry], GROUND.transform)
    assert shapely.equals_exact(shape.normalize(), box(x0, 100, x1, 130).normalize(), 0.01)


def test_truncated_in_both_is_united() -> None:
    (item,) = result([box(200, 100, 500, 112)])
    assert (item.owner, item.scenes) == (0, (0, 1))
    (shape,) = to_pixels([item.geometry], GROUND.transform)
    assert shape.area == pytest.approx(300 * 12, rel=0.001)
    assert shapely.get_num_geometries(shape) == 1


def test_an_object_of_the_second_scene_on_the_firsts_ground_needs_missing_tiles() -> None:
    found = split_objects(PAIR, np.array([box(320, 100, 350, 130)], dtype=object))
    alone = parts_of_scenes(PAIR, [unseen(found[0]), found[1]])
    assert everyone(alone) == []
    alone[0] = replace(alone[0], missing=box(300, 90, 330, 200))
    (item,) = everyone(alone)
    assert item.scenes == (1,)
    alone[0] = replace(alone[0], missing=box(0, 0, 100, 100))
    assert everyone(alone) == []


def test_an_object_only_the_first_scene_shows_on_its_own_ground_is_kept() -> None:
    (item,) = result([box(320, 100, 350, 130)], blind=1)
    assert item.scenes == (0,)


def test_an_object_mostly_on_the_second_scenes_ground_is_kept_without_the_first() -> None:
    (item,) = result([box(390, 100, 440, 130)], blind=0)
    assert item.scenes == (1,)


def test_no_scenes_give_no_merge() -> None:
    assert merge_across({}, lambda _: []) is None
