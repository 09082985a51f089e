"""Claim: of what overlapping scenes saw each thing comes once; order is nothing; silence is no denial."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import affinity, box

from tests.worlds.truth import apart, merged_things, seen
from tiling.geo.crs import to_pixels
from tiling.geo.geobox import Frame, moved_between
from tiling.grid import Grid
from tiling.overlap.cross_match import ScenePart
from tiling.overlap.cross_merge import join
from tiling.overlap.overlap_zone import Shared, Sorted, View, seam_of, sort_out
from tiling.scene import Transform

CRS = "EPSG:32631"
SIDE, TILE, OVERLAP = 400, 128, 32


def frame(x: float, y: float, turn: float = 0.0) -> Frame:
    """A scene of half-metre pixels whose corner lies at a pixel of the ground."""
    c, s = 0.5 * np.cos(turn), 0.5 * np.sin(turn)
    transform: Transform = (c, s, 500_000 + 0.5 * x, s, -c, 5_400_000 - 0.5 * y)
    return Frame(CRS, transform, SIDE, SIDE)


GROUND = frame(0, 0)


def views_of(frames: Sequence[Frame]) -> list[View]:
    return [View(each, each.area, each.area) for each in frames]


def sorted_things(
    frames: Sequence[Frame], truth: NDArray[np.object_], *, sloppy: float = 0.0
) -> list[Sorted]:
    """What each scene sees of things on the ground, merged and sorted; the scenes' order is their rank."""
    views, found = views_of(frames), []
    for index, own in enumerate(frames):
        grid = Grid(f"s{index}", SIDE, SIDE, TILE, OVERLAP, 4096)
        local = shapely.intersection(moved_between(truth, GROUND, own), own.area)
        pieces = shapely.get_parts(local[~shapely.is_empty(local)])
        fragments = seen(pieces, grid, own.transform, sloppy=sloppy, seed=index)
        merged = merged_things(fragments, own.transform)
        found.append(sort_out(merged, views[index], seam_of(views[index], views[:index], views[index + 1 :])))
    return found


def parts_of_scenes(frames: Sequence[Frame], found: Sequence[Sorted]) -> dict[int, ScenePart]:
    nothing = shapely.Polygon()
    return {
        index: ScenePart(index, view, each.shared, nothing)
        for index, (view, each) in enumerate(zip(views_of(frames), found, strict=True))
    }


@dataclass(frozen=True)
class Item:
    """One joined thing."""

    geometry: shapely.Geometry
    lead: int
    scenes: tuple[int, ...]
    at_edge: bool
    linked: set[int]


def everyone(parts: Mapping[int, ScenePart]) -> list[Item]:
    joined = join(parts, lambda scene: [other for other in parts if other != scene])
    if joined is None:
        return []
    found = []
    for each in joined.united():
        first = joined.groups.values[joined.groups.starts[:-1]]
        labels = joined.together[first[joined.pool.scene[first] == each.lead]]
        linked = [set(joined.pool.scene[joined.together == label].tolist()) for label in labels]
        columns = (each.things.outlines.shapes(), each.scenes, each.at_edge.tolist(), linked)
        for geometry, scenes, at_edge, others in zip(*columns, strict=True):
            found.append(Item(geometry, each.lead, scenes, at_edge, others))
    return found


def unseen(found: Sorted) -> Sorted:
    """The same scene, having seen nothing at its seams."""
    nothing = np.empty(0, dtype=np.int64)
    shared = Shared(
        found.shared.things.take(nothing), *(np.empty(0, dtype=kind) for kind in (bool, bool, float))
    )
    return replace(found, shared=shared)


def on_ground(found: Sequence[Sorted], joined: Sequence[Item]) -> NDArray[np.object_]:
    """All things in pixels of the ground."""
    settled = [shape for each in found for shape in each.settled.outlines.shapes()]
    return to_pixels([*settled, *(item.geometry for item in joined)], GROUND.transform)


def things(seed: int) -> NDArray[np.object_]:
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
def test_each_thing_on_the_ground_of_the_scenes_comes_once(
    corners: list[tuple[int, int, float]], seed: int
) -> None:
    frames = [frame(*corner) for corner in corners]
    ground = shapely.union_all([moved_between([each.area], each, GROUND)[0] for each in frames])
    drawn = things(seed)
    truth = drawn[shapely.covers(shapely.buffer(ground, -1.5), drawn)]
    found = sorted_things(frames, truth)
    joined = everyone(parts_of_scenes(frames, found))
    shapes = on_ground(found, joined)
    assert len(shapes) == len(truth) == recovered(shapes, truth)


@settings(max_examples=8)
@given(st.permutations(range(3)), st.integers(0, 20))
def test_the_order_and_the_numbers_of_scenes_do_not_matter(order: list[int], seed: int) -> None:
    frames = [frame(0, 0), frame(230, 40), frame(120, 220, 0.3)]
    found = sorted_things(frames, things(seed), sloppy=1.0)
    parts = parts_of_scenes(frames, found)
    renamed = {order[index] + 7: parts[index] for index in order}
    plain, other = everyone(parts), everyone(renamed)
    assert [(item.geometry.wkb, item.lead) for item in plain] == [
        (item.geometry.wkb, order.index(item.lead - 7)) for item in other
    ]


PAIR = [frame(0, 0), frame(280, 0)]
"""Both see columns 280 to 400 of the ground; the first owns them."""


def result(truth: Sequence[shapely.Polygon], *, blind: int | None = None) -> list[Item]:
    """Joined things of the pair, one of the two scenes seeing none of them."""
    found = sorted_things(PAIR, np.array(truth, dtype=object))
    if blind is not None:
        found[blind] = unseen(found[blind])
    return everyone(parts_of_scenes(PAIR, found))


def test_whole_in_both_is_the_first_ones() -> None:
    (item,) = result([box(320, 100, 350, 130)])
    assert (item.lead, item.scenes, item.at_edge) == (0, (0,), False)


@pytest.mark.parametrize(("x0", "x1", "lead"), [(385, 440, 1), (240, 300, 0)])
def test_cut_in_one_gives_way_to_whole_in_the_other(x0: int, x1: int, lead: int) -> None:
    (item,) = result([box(x0, 100, x1, 130)])
    assert (item.lead, item.scenes) == (lead, (lead,))
    assert item.linked == {0, 1}
    (shape,) = to_pixels([item.geometry], GROUND.transform)
    assert shapely.equals_exact(shape.normalize(), box(x0, 100, x1, 130).normalize(), 0.01)


def test_cut_in_both_is_united_and_stands_for_both() -> None:
    (item,) = result([box(200, 100, 500, 112)])
    assert (item.lead, item.scenes) == (0, (0, 1))
    (shape,) = to_pixels([item.geometry], GROUND.transform)
    assert shape.area == pytest.approx(300 * 12, rel=0.001)
    assert shapely.get_num_geometries(shape) == 1


def test_what_only_the_second_saw_on_ground_of_the_first_is_dropped_unless_the_first_is_silent_there() -> (
    None
):
    found = sorted_things(PAIR, np.array([box(320, 100, 350, 130)], dtype=object))
    alone = parts_of_scenes(PAIR, [unseen(found[0]), found[1]])
    assert everyone(alone) == []
    alone[0] = replace(alone[0], silent=box(300, 90, 330, 200))
    (item,) = everyone(alone)
    assert item.scenes == (1,)
    alone[0] = replace(alone[0], silent=box(0, 0, 100, 100))
    assert everyone(alone) == []


def test_what_only_the_first_saw_on_its_ground_stays() -> None:
    (item,) = result([box(320, 100, 350, 130)], blind=1)
    assert item.scenes == (0,)


def test_what_the_second_saw_mostly_on_its_own_ground_stays_without_the_first() -> None:
    (item,) = result([box(390, 100, 440, 130)], blind=0)
    assert item.scenes == (1,)


def test_nothing_joined_is_nothing() -> None:
    assert join({}, lambda _: []) is None
