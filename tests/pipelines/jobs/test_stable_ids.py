"""Objects that stayed are paired by overlap, most first, whatever their order; ids stay unique."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.jobs.stable_ids import SAME_IOU, TrackedOutlines, kept_ids, match_objects
from tiling.geo.polygons import iou


def outlines(**boxes: tuple[float, float, float, float]) -> TrackedOutlines:
    """Boxes (x0, y0, x1, y1) by id."""
    return TrackedOutlines(list(boxes), np.array([shapely.box(*box) for box in boxes.values()], dtype=object))


NONE = TrackedOutlines([], np.array([], dtype=object))


def test_an_object_keeps_its_id_only_if_it_moved_by_less_than_half() -> None:
    before = outlines(a=(0, 0, 3, 1), b=(10, 0, 13, 1))
    now = outlines(x=(0.9, 0, 3.9, 1), y=(11.1, 0, 14.1, 1))
    assert match_objects(before, now) == {0: 0}
    assert kept_ids(before, now, {0: 0}) == ["a", "y"]


def test_of_two_candidates_for_an_id_the_larger_overlap_gets_it() -> None:
    before = outlines(a=(0, 0, 10, 1))
    now = outlines(split=(0, 0, 6, 1), rest=(2, 0, 10, 1))
    pairs = match_objects(before, now)
    assert pairs == {1: 0}
    assert kept_ids(before, now, pairs) == ["split", "a"]


def test_where_the_best_match_is_taken_the_next_best_counts() -> None:
    before = outlines(a=(0, 0, 10, 1), b=(4, 0, 14, 1))
    now = outlines(x=(1, 0, 11, 1), y=(2, 0, 12, 1))
    assert match_objects(before, now) == {0: 0, 1: 1}


def test_objects_without_area_are_matched_by_their_ids() -> None:
    before, now = outlines(a=(0, 0, 0, 1)), outlines(a=(0, 0, 0, 1))
    assert match_objects(before, now) == {0: 0}


def test_an_object_at_a_place_whose_id_moved_elsewhere_gets_a_new_id() -> None:
    before = outlines(place=(0, 0, 10, 1))
    now = outlines(farther=(3, 0, 13, 1), place=(0, 5, 10, 6))
    pairs = match_objects(before, now)
    ids = kept_ids(before, now, pairs, others={"stays"})
    assert ids[0] == "place"
    assert ids[1] not in {"place", "farther", "stays"}
    assert len(ids[1]) == len("place")
    assert kept_ids(NONE, outlines(stays=(0, 0, 1, 1)), {}, others={"stays"}) != ["stays"]


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [((0, 0, 2, 1), (1, 0, 3, 1), 1 / 3), ((0, 0, 1, 1), (0, 0, 1, 1), 1.0), ((0, 0, 1, 1), (1, 0, 2, 1), 0)],
)
def test_overlap_is_shared_over_whole(one: tuple[float, ...], other: tuple[float, ...], share: float) -> None:
    assert iou(shapely.box(*one), shapely.box(*other)) == pytest.approx(share)


def test_an_outline_that_crosses_itself_is_compared_all_the_same() -> None:
    bow = shapely.Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])
    assert iou(bow, bow) == pytest.approx(1)


PLACES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 3), st.integers(1, 4), st.integers(1, 3)),
    min_size=0,
    max_size=8,
    unique=True,
)


def objects_at(places: list[tuple[int, int, int, int]], prefix: str) -> TrackedOutlines:
    return outlines(**{f"{prefix}{x}-{y}-{w}-{h}": (x, y, x + w, y + h) for x, y, w, h in places})


@given(PLACES, PLACES, st.randoms(use_true_random=False))
def test_pairs_are_one_to_one_overlap_enough_and_do_not_depend_on_order(
    old: list[tuple[int, int, int, int]], new: list[tuple[int, int, int, int]], draw: object
) -> None:
    before, now = objects_at(old, "a"), objects_at(new, "b")
    pairs = match_objects(before, now)
    assert len(set(pairs.values())) == len(pairs)
    for late, early in pairs.items():
        assert iou(before.shapes[early], now.shapes[late]) >= SAME_IOU
    for late, shape in enumerate(now.shapes):
        rivals = [early for early in range(len(before.ids)) if iou(before.shapes[early], shape) >= SAME_IOU]
        assert late in pairs or set(rivals) <= set(pairs.values())
    ids = kept_ids(before, now, pairs)
    assert len(set(ids)) == len(ids)
    draw.shuffle(old), draw.shuffle(new)  # type: ignore[attr-defined]
    mixed = objects_at(old, "a"), objects_at(new, "b")
    again = {mixed[1].ids[late]: mixed[0].ids[early] for late, early in match_objects(*mixed).items()}
    assert again == {now.ids[late]: before.ids[early] for late, early in pairs.items()}


@given(PLACES)
def test_nothing_changes_where_nothing_moved(places: list[tuple[int, int, int, int]]) -> None:
    before, now = objects_at(places, "a"), objects_at(places, "b")
    assert kept_ids(before, now, match_objects(before, now)) == before.ids
