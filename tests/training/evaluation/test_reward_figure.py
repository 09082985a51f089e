"""The reward of an evaluation is what a search over all pairings gives, and nothing for the unreadable."""

import itertools

import numpy as np
import pytest
import shapely

from tests.training.evaluation.test_metrics import Boxes, draw_cases
from training.evaluation.metrics import reward_scores


def slow_reward(found: Boxes, true: Boxes) -> float:
    """Location (weight 1), quantity (0.5) and hits at 0.5 (1) by trying every pairing."""
    most, fewest = max(len(found), len(true)), min(len(found), len(true))
    if not most:
        return 1.0
    shapes = [[shapely.box(*box) for box in boxes] for boxes in (found, true)]
    more, less = sorted(shapes, key=len, reverse=True)
    best = (0.0, 0)
    for chosen in itertools.permutations(range(most), fewest):
        ious = [
            shapely.intersection(more[i], b).area / shapely.union(more[i], b).area
            for i, b in zip(chosen, less, strict=True)
        ]
        best = max(best, (sum(ious), sum(iou >= 0.5 for iou in ious)))
    location, accuracy = best[0] / most, best[1] / most
    return (location + 0.5 * fewest / most + accuracy) / 2.5


def test_the_reward_equals_a_search_over_all_pairings() -> None:
    for case in draw_cases():
        got, of = reward_scores(case.found, case.true, readable=True)["reward"]
        assert of == 1.0
        assert got == pytest.approx(slow_reward(case.found, case.true), abs=1e-9)


def test_an_answer_that_cannot_be_read_gets_no_reward() -> None:
    nothing = np.empty((0, 4))
    assert reward_scores(nothing, nothing, readable=True) == {"reward": (1.0, 1.0)}
    assert reward_scores(nothing, nothing, readable=False) == {"reward": (0.0, 1.0)}
