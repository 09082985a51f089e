"""Claim: advantages say how far above its group a completion is, and equal rewards say nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.training.rl.reference import EPSILON, group_advantages, share_without_signal

REWARDS = arrays(
    np.float64, st.tuples(st.integers(1, 4), st.integers(2, 6)), elements=st.floats(0, 1, width=32)
)
SCALES = st.sampled_from(["group", "batch", "none"])


@given(REWARDS, SCALES)
def test_a_group_sums_to_nothing_and_keeps_its_order(rewards, scale):
    advantages = group_advantages(rewards, scale)
    assert np.abs(advantages.sum(axis=1)).max() < 1e-6
    for reward, gained in zip(rewards, advantages, strict=True):
        assert (np.diff(gained[np.argsort(reward)]) >= -1e-9).all()


@given(REWARDS, SCALES, st.floats(-5, 5))
def test_a_constant_added_to_all_rewards_changes_nothing(rewards, scale, constant):
    np.testing.assert_allclose(
        group_advantages(rewards + constant, scale), group_advantages(rewards, scale), atol=1e-6
    )


def test_a_group_worked_out_by_hand():
    rewards = np.array([[0.0, 1.0], [0.2, 0.4]])
    np.testing.assert_allclose(group_advantages(rewards, "none"), [[-0.5, 0.5], [-0.1, 0.1]])
    std = np.array([[np.sqrt(0.5)], [np.sqrt(0.02)]])
    np.testing.assert_allclose(
        group_advantages(rewards, "group"), [[-0.5, 0.5], [-0.1, 0.1]] / (std + EPSILON)
    )
    np.testing.assert_allclose(
        group_advantages(rewards, "batch"),
        np.array([[-0.5, 0.5], [-0.1, 0.1]]) / (np.std(rewards, ddof=1) + EPSILON),
    )


def test_what_could_not_be_scored_moves_nothing():
    rewards = np.array([[0.0, np.nan, 1.0], [np.nan, np.nan, 0.7], [np.nan, np.nan, np.nan]])
    advantages = group_advantages(rewards, "group")
    np.testing.assert_allclose(advantages[0, [0, 2]], group_advantages(np.array([[0.0, 1.0]]), "group")[0])
    assert advantages[0, 1] == 0
    assert not advantages[1:].any()


def test_groups_of_equal_rewards_are_counted():
    rewards = np.array([[0.3, 0.3, 0.3], [0.1, 0.2, 0.3], [1.0, 1.0, 1.0], [np.nan, np.nan, 1.0]])
    assert share_without_signal(rewards) == 0.75


@pytest.mark.parametrize("shape", [(4,), (3, 1), (2, 2, 2)])
def test_rewards_without_groups_are_refused(shape):
    with pytest.raises(ValueError, match="no groups of at least two"):
        group_advantages(np.zeros(shape), "group")
