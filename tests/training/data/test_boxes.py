"""Claim: IoU is that of the polygons, and pairs are the best of all assignments, each of them tried."""

from itertools import permutations

import numpy as np
import pytest
import shapely
from hypothesis import given

from tests.training.answers import BOXES
from training.data.boxes import box_iou, count_hits, match


def every_assignment(ious):
    """Every way to pair all of the smaller side, as lists of IoU."""
    table = ious if ious.shape[0] <= ious.shape[1] else ious.T
    rows = range(table.shape[0])
    return [
        [table[row, col] for row, col in zip(rows, cols, strict=True)]
        for cols in permutations(range(table.shape[1]), len(rows))
    ]


@given(BOXES, BOXES)
def test_iou_is_that_of_polygons(a, b):
    expected = [
        [one.intersection(two).area / one.union(two).area for two in (shapely.box(*box) for box in b)]
        for one in (shapely.box(*box) for box in a)
    ]
    np.testing.assert_allclose(box_iou(a, b), np.array(expected).reshape(len(a), len(b)), atol=1e-12)


@given(BOXES, BOXES)
def test_pairs_have_the_largest_sum_and_hits_the_largest_number(a, b):
    ious = box_iou(a, b)
    assigned = every_assignment(ious)
    rows, cols, paired = match(a, b)
    assert len(set(rows)) == len(set(cols)) == len(paired) == min(len(a), len(b))
    np.testing.assert_array_equal(paired, ious[rows, cols])
    assert paired.sum() == pytest.approx(max(sum(one) for one in assigned))
    assert count_hits(a, b) == max(sum(iou >= 0.5 for iou in one) for one in assigned)


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[3.0, 3.0, 3.0, 9.0], [5.0, 5.0, 2.0, 2.0]])
    assert not box_iou(flat, flat).any()
    assert box_iou(np.empty((0, 4)), flat).shape == (0, 2)


def test_an_iou_of_exactly_one_half_is_a_hit():
    whole, half = np.array([[0.0, 0.0, 10.0, 10.0]]), np.array([[0.0, 0.0, 10.0, 5.0]])
    assert count_hits(whole, half) == 1
    assert count_hits(whole, half, threshold=0.51) == 0
