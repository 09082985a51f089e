"""Bootstrap intervals hold the truth as often as they say, for means, ratios and paired differences."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import bootstrap

from training.evaluation.bootstrap import Interval, differences, intervals


def _pairs(values: np.ndarray) -> np.ndarray:
    """(n, 1, 2) numerators and denominators of one figure: a mean has denominators of 1."""
    return (values if values.ndim == 2 else np.stack([values, np.ones_like(values)], axis=-1))[:, None]


def interval(values: np.ndarray, **options: Any) -> Interval:
    """The interval of one figure alone."""
    (one,) = intervals(_pairs(values), **options)
    return one


def paired(before: np.ndarray, after: np.ndarray, **options: Any) -> Interval:
    """The difference of one figure alone."""
    (one,) = differences(_pairs(before), _pairs(after), **options)
    return one


def covers(one: Interval, truth: float) -> bool:
    return one.low <= truth <= one.high


def _ends(found: list[Interval]) -> np.ndarray:
    return np.array([[one.mean, one.low, one.high] for one in found])


def test_a_mean_is_covered_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(1)
    runs = [interval(rng.exponential(1.0, 60), seed=run, rounds=400) for run in range(300)]
    # 300 draws of 0.95 less the known shortfall on 60 skewed values.
    assert 0.88 <= np.mean([covers(one, 1.0) for one in runs]) <= 0.98


def test_a_ratio_of_sums_is_covered_about_as_often_as_stated() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for run in range(300):
        below = rng.integers(1, 9, 80).astype(np.float64)
        values = np.stack([rng.binomial(below.astype(np.int64), 0.7).astype(np.float64), below], axis=-1)
        hits += covers(interval(values, seed=run, rounds=400), 0.7)
    assert 0.88 <= hits / 300 <= 0.98


def test_ends_are_those_of_scipy() -> None:
    values = np.random.default_rng(3).normal(5, 2, 200)
    ours = interval(values, seed=0, rounds=20_000)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=0).confidence_interval
    assert (ours.mean, ours.low, ours.high) == pytest.approx(
        (values.mean(), theirs.low, theirs.high), abs=0.02
    )


def test_pairing_cancels_what_makes_examples_hard() -> None:
    rng = np.random.default_rng(4)
    before = rng.uniform(0, 1, 300)
    after = before + 0.03 + rng.normal(0, 0.02, 300)
    risen = paired(before, after, seed=0)
    apart = interval(after, seed=0).high - interval(after, seed=0).low
    assert 0.02 < risen.low < risen.high < 0.04
    assert risen.high - risen.low < apart / 5
    assert paired(after, before, seed=0).mean == pytest.approx(-risen.mean)


def test_no_difference_is_found_where_there_is_none() -> None:
    rng = np.random.default_rng(5)
    found = sum(
        not covers(paired(rng.normal(0, 1, 80), rng.normal(0, 1, 80), seed=run, rounds=400), 0.0)
        for run in range(200)
    )
    assert found <= 24


def test_examples_of_one_place_are_drawn_together() -> None:
    rng = np.random.default_rng(6)
    by_place = rng.normal(0, 1, 20)
    values, places = np.repeat(by_place, 30), [str(i) for i in np.repeat(np.arange(20), 30)]
    alone, together = interval(values, seed=0), interval(values, seed=0, places=places)
    assert together.mean == pytest.approx(alone.mean)
    assert together.high - together.low > 4 * (alone.high - alone.low)


def test_figures_drawn_together_are_those_drawn_one_by_one() -> None:
    sums = np.random.default_rng(7).uniform(0, 1, (50, 3, 2))
    alone = [interval(sums[:, k], seed=9, rounds=300) for k in range(3)]
    assert _ends(intervals(sums, seed=9, rounds=300)) == pytest.approx(_ends(alone))
    moved = sums + np.array([0.1, 0.0])
    each = [paired(sums[:, k], moved[:, k], seed=9, rounds=300) for k in range(3)]
    assert _ends(differences(sums, moved, seed=9, rounds=300)) == pytest.approx(_ends(each))


def test_a_figure_that_nothing_decides_is_unknown() -> None:
    one = interval(np.zeros((5, 2)), seed=0, rounds=50)
    assert np.isnan([one.mean, one.low, one.high]).all()
    assert np.isnan(interval(np.empty((0, 2)), seed=0, rounds=50).mean)


def test_other_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="same examples"):
        paired(np.ones(3), np.ones(4), seed=0)


def test_blocks_do_not_change_the_figure() -> None:
    values = np.random.default_rng(8).normal(0, 1, 30_000)
    one = interval(values, seed=0, rounds=300)
    assert (one.high - one.low) / 2 == pytest.approx(1.96 / np.sqrt(30_000), rel=0.15)
