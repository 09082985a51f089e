"""The oracle says exactly what is true: boxes of every piece, masks of exact coverage, with holes."""

from collections.abc import Sequence

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon

from reasoner.answer import Answer, Masks, Parse, TileView
from reasoner.engines.null import NullReasoner, NullSegmenter
from reasoner.engines.oracle import (
    MIN_AREA_PX,
    OracleReasoner,
    OracleSegmenter,
    hull_box,
    pieces,
    pixel_coverage,
)
from reasoner.query import Query, Task

QUERY = Query("Where is a pond?")
VIEW = TileView(np.zeros((48, 64, 3), dtype=np.uint8), "tile")


def asked(truth: Sequence[Polygon]) -> tuple[Answer, Masks]:
    reasoner = OracleReasoner(lambda view, query: truth, digest="d")
    segmenter = OracleSegmenter(lambda view, query: truth, digest="d")
    ((completion,),) = reasoner.generate([VIEW], [QUERY])
    answer = reasoner.parse(completion, QUERY, width=64, height=48)
    return answer, segmenter.segment(VIEW, [answer])[0]


corners = st.tuples(st.floats(-20, 84, allow_subnormal=False), st.floats(-20, 68, allow_subnormal=False))
blobs = st.lists(corners, min_size=3, max_size=7, unique=True).map(
    lambda c: shapely.MultiPoint(c).convex_hull
)
polygons = blobs.filter(lambda hull: hull.geom_type == "Polygon" and hull.area > 1)


@given(polygons, st.tuples(corners, st.floats(0.5, 20)))
@settings(max_examples=25, deadline=None)
def test_coverage_is_the_exact_share_of_every_pixel(
    outer: Polygon, hole: tuple[tuple[float, float], float]
) -> None:
    shape = outer.difference(Point(hole[0]).buffer(hole[1]))
    covered = pixel_coverage(shape, width=64, height=48)
    y, x = np.mgrid[0:48, 0:64]
    true = shapely.area(shapely.intersection(shapely.box(x, y, x + 1, y + 1), shape))
    assert np.abs(covered - true).max() < 1e-6
    assert abs(covered.sum(dtype=np.float64) - shape.intersection(shapely.box(0, 0, 64, 48)).area) < 1e-4


@given(st.lists(polygons, max_size=4))
@settings(max_examples=20, deadline=None)
def test_every_piece_gets_its_box_and_its_mask(truth: list[Polygon]) -> None:
    answer, masks = asked(truth)
    seen = pieces(truth, VIEW)
    assert answer.parse is (Parse.OK if seen else Parse.EMPTY)
    assert [tuple(box) for box in answer.boxes] == [hull_box(piece) for piece in seen]
    for mask, piece in zip(masks.probabilities, seen, strict=True):
        assert abs(mask.sum(dtype=np.float64) - piece.area) < 1e-4
    assert (masks.scores == 1).all()


def test_holes_survive() -> None:
    ring = Point(30, 24).buffer(15).difference(Point(30, 24).buffer(8))
    _, masks = asked([ring])
    assert masks.probabilities[0, 24, 30] == 0
    assert masks.probabilities[0, 24, 41] == 1


def test_two_objects_two_pixels_apart_stay_two_masks() -> None:
    answer, masks = asked([shapely.box(5, 5, 20, 20), shapely.box(22, 5, 40, 20)])
    assert len(answer.boxes) == 2
    assert (masks.probabilities > 0).any(axis=(1, 2)).all()
    assert not ((masks.probabilities[0] > 0) & (masks.probabilities[1] > 0)).any()


def test_two_objects_in_one_box_are_distinguished_by_their_order() -> None:
    below, above = Polygon([(10, 10), (10, 30), (29.5, 30)]), Polygon([(10.5, 10), (30, 10), (30, 30)])
    answer, masks = asked([below, above])
    assert answer.boxes.tolist() == [[10, 10, 30, 30]] * 2
    assert masks.probabilities[0, 28, 12] == 1
    assert masks.probabilities[1, 12, 28] == 1


def test_an_object_truncated_by_the_tile_is_seen_in_its_pieces_but_not_in_slivers() -> None:
    horseshoe = shapely.box(50, 10, 80, 40).difference(shapely.box(40, 20, 70, 30))
    sliver = shapely.box(63.99, 0, 80, 48)
    answer, _ = asked([horseshoe, sliver])
    assert answer.boxes.tolist() == [[50, 10, 64, 20], [50, 30, 64, 40]]
    assert sliver.intersection(shapely.box(0, 0, 64, 48)).area < MIN_AREA_PX


def test_a_box_of_nothing_true_gets_an_empty_mask_without_score() -> None:
    answer, _ = asked([shapely.box(5, 5, 20, 20)])
    masks = OracleSegmenter(lambda view, query: [shapely.box(5, 5, 21, 20)], digest="d").segment(
        VIEW, [answer]
    )[0]
    assert not masks.probabilities.any()
    assert masks.scores.tolist() == [0]


def test_in_words_the_oracle_counts() -> None:
    query = Query("How many ponds?", Task.VQA)
    reasoner = OracleReasoner(
        lambda view, query: [shapely.box(1, 1, 9, 9), shapely.box(11, 1, 19, 9)], digest="d"
    )
    ((completion,),) = reasoner.generate([VIEW], [query])
    assert reasoner.parse(completion, query, width=64, height=48).text == "2"


def test_null_sees_nothing_and_takes_boxes_for_masks() -> None:
    completions = NullReasoner().generate([VIEW, VIEW], [QUERY, Query("what?", Task.VQA)])
    read = [
        [NullReasoner().parse(c, QUERY, width=64, height=48).parse for c in row[:1]] for row in completions
    ]
    assert read == [[Parse.EMPTY], [Parse.EMPTY]]
    answer, _ = asked([shapely.box(5, 6, 20, 30)])
    masks = NullSegmenter().segment(VIEW, [answer])[0]
    assert masks.probabilities.sum() == 15 * 24
    assert masks.probabilities[0, 6, 5] == masks.probabilities[0, 29, 19] == 1
