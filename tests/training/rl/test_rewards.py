"""Claim: rewards lie in [0, 1], do not depend on order, and are 1 exactly for what was asked for."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoner.answer import Completion, Parse
from reasoner.profiles import NANO, PROFILES, QWEN3_VL, REMOTEREASONER, THINK2SEG
from reasoner.query import Query, Task
from tests.training.answers import BOXES, SIDE, read, spoken
from training.errors import RecipeError
from training.rl.rewards import (
    MaskPair,
    Rewards,
    RewardWeights,
    TrueAnswer,
    accuracy_reward,
    format_reward,
    location_reward,
    mask_reward,
    quantity_reward,
    repetition_reward,
    score_completion,
    text_reward,
)

LOCATE, COUNT = Query("where is fuel stored?"), Query("how many tanks?", Task.VQA)
ALIKE = RewardWeights()
ON_BOXES = (location_reward, accuracy_reward)
TEXTS = st.one_of(
    st.text(max_size=80),
    st.lists(
        st.sampled_from(
            ["<think>", "</think>", "<answer>", "</answer>", "[[1,2,30,40]]", "[]", "a tank. ", "[1,2,3", "9"]
        ),
        max_size=8,
    ).map("".join),
)


def score(text, boxes, *, profile=NANO, query=LOCATE, **more) -> Rewards:
    return score_completion(
        read(profile, text, query),
        text,
        truth=TrueAnswer(boxes),
        weights=ALIKE,
        dialect=profile.dialect,
        **more,
    )


def masks(found, true) -> MaskPair:
    return MaskPair(np.array(found, dtype=bool), np.array(true, dtype=bool))


@pytest.mark.parametrize("part", ON_BOXES)
@given(found=BOXES, true=BOXES, rng=st.randoms(use_true_random=False))
def test_box_rewards_are_shares_symmetric_and_blind_to_order(part, found, true, rng):
    value = part(found, true)
    mixed = np.array(rng.sample(list(found), len(found))).reshape(-1, 4)
    assert 0 <= value <= 1
    assert part(mixed, true) == pytest.approx(value, abs=1e-12)
    assert part(true, found) == pytest.approx(value, abs=1e-12)
    assert part(true, true) == 1


@pytest.mark.parametrize("part", ON_BOXES)
@given(found=BOXES, true=BOXES)
def test_a_box_on_no_target_never_helps(part, found, true):
    astray = np.array([[500.0, 500.0, 520.0, 520.0]])
    assert part(np.concatenate([found, astray]), true) <= part(found, true) + 1e-12


@pytest.mark.parametrize("part", ON_BOXES)
def test_nothing_for_nothing_is_right_and_nothing_for_something_is_wrong(part):
    none, one = np.empty((0, 4)), np.array([[0.0, 0.0, 5.0, 5.0]])
    assert part(none, none) == 1
    assert part(none, one) == part(one, none) == 0


def test_location_and_accuracy_of_boxes_worked_out_by_hand():
    true = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], dtype=float)
    found = np.array([[20, 0, 30, 8], [0, 0, 10, 4], [60, 60, 70, 70]], dtype=float)
    assert location_reward(found, true) == pytest.approx((0.8 + 0.4) / 3)
    assert accuracy_reward(found, true) == pytest.approx(1 / 3)


@given(st.integers(0, 50), st.integers(0, 50))
def test_quantity_is_a_share_symmetric_and_one_when_equal(a, b):
    assert 0 <= quantity_reward(a, b) == quantity_reward(b, a) <= 1
    assert (quantity_reward(a, b) == 1) == (a == b)
    assert quantity_reward(3, 4) == 0.75


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_mask_reward_is_the_share_of_pixels_in_both(pairs):
    found, true = (np.array(side).reshape(1, -1) for side in zip(*pairs, strict=True))
    either = sum(a or b for a, b in pairs)
    assert mask_reward(found, true) == (sum(a and b for a, b in pairs) / either if either else 1)
    assert mask_reward(found, true) == mask_reward(true, found)


def test_masks_of_different_sizes_are_not_compared():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        mask_reward(np.zeros((2, 3), bool), np.zeros((3, 2), bool))


@given(TEXTS, TEXTS)
def test_text_reward_is_a_share_symmetric_and_one_for_the_same(a, b):
    assert 0 <= text_reward(a, b) == text_reward(b, a) <= 1
    assert text_reward(a, a) == text_reward(a.swapcase(), a.swapcase()) == 1


def test_text_reward_is_the_f1_of_the_words():
    assert text_reward("Two TANKS.", "two tanks") == 1
    assert text_reward("two red tanks", "two tanks here now") == pytest.approx(2 * 2 / (3 + 4))
    assert text_reward("3.5", "3") == text_reward("", "3") == text_reward("?", "") == 0


@given(TEXTS, BOXES, st.sampled_from(sorted(PROFILES)), st.sampled_from([LOCATE, COUNT]))
def test_any_completion_at_all_has_every_part_in_range(text, boxes, profile, query):
    rewards = score(text, boxes, profile=PROFILES[profile], query=query)
    assert all(0 <= value <= 1 for value in rewards.figures().values())
    assert set(rewards.figures()) >= {"format", "repetition", "composite"}
    assert 0 <= repetition_reward(text) <= 1


@pytest.mark.parametrize("profile", [NANO, REMOTEREASONER, QWEN3_VL, THINK2SEG], ids=lambda one: one.name)
@given(boxes=BOXES)
def test_a_perfect_completion_of_every_dialect_is_worth_one(profile, boxes):
    rewards = score(spoken(profile, boxes, thinking="fuel is kept in tanks"), boxes, profile=profile)
    assert rewards.accuracy == rewards.quantity == rewards.format == rewards.repetition == 1
    assert rewards.location == rewards.composite == pytest.approx(1, abs=1e-9)


def test_form_is_graded_by_its_flaws():
    tidy, bare = "<think> a tank </think> <answer> [[1,2,30,40]] </answer>", "<answer>[[1,2,30,40]]</answer>"
    grades = {
        tidy: 1,
        tidy.removeprefix("<think>"): 1,
        bare: 0.5,
        f"<think> </think>{bare}": 0.5,
        f"here: {tidy}": 0.5,
        f"{tidy} done": 0.5,
        tidy.replace("<answer>", "so <answer>"): 0.5,
        tidy.replace("40", "400"): 0.5,
        bare.replace("40", "400"): 0.25,
        tidy.replace("</answer>", ""): 0,
        tidy.replace("]]", "]"): 0,
        "": 0,
    }
    assert {text: format_reward(read(NANO, text, LOCATE), text) for text in grades} == grades


def test_tags_count_where_the_prompt_asks_for_them():
    plain, tagged = "three", "<think> look </think><answer> three </answer>"
    for profile, text, grade in [
        (NANO, tagged, 1), (NANO, plain, 0.5), (QWEN3_VL, plain, 1), (THINK2SEG, plain, 1),
    ]:  # fmt: skip
        assert format_reward(read(profile, text, COUNT), text, dialect=profile.dialect) == grade
    untagged = spoken(THINK2SEG, np.empty((0, 4)))
    assert format_reward(read(THINK2SEG, untagged, LOCATE), untagged, dialect=THINK2SEG.dialect) == 0.5


@pytest.mark.parametrize("text", ["<think> none here", "[]", "<answer>[[5,5,5,5]]</answer>", ""])
def test_what_cannot_be_read_gets_no_reward_even_where_there_is_no_target(text):
    assert read(NANO, text, LOCATE).parse is Parse.MALFORMED
    assert set(score(text, np.empty((0, 4))).figures().values()) == {0}


def test_a_completion_cut_off_gets_no_reward():
    text = "<think> a </think><answer>[]</answer>"
    cut = NANO.parse(Completion(text, n_tokens=9, truncated=True), LOCATE, width=SIDE, height=SIDE)
    assert score_completion(cut, text, truth=TrueAnswer(np.empty((0, 4))), weights=ALIKE).composite == 0


def test_repetition_counts_sentences_runs_of_words_and_boxes():
    def thought(words: str, answer: str = "[]") -> float:
        return repetition_reward(f"<think>{words}</think><answer>{answer}</answer>")

    assert thought("") == thought("one two three four five six") == thought("A pit. 0.5 m. 1.5 m.") == 1
    assert thought("A pit. A tank. A pit. A road.") == 0.75
    assert thought("a b c d a b c d") == pytest.approx(1 - 1 / 5)
    assert thought("tank " * 50) == pytest.approx(1 / 47)
    assert thought("", "[[1,2,3,4],[1, 2,3,4],[1,2,3,5],[9,2,3,4]]") == 0.75
    assert thought("", '[{"bbox_2d": [1,2,3,4]}, {"bbox_2d": [1,2,3,4]}]') == 0.5


def test_the_composite_is_the_weighted_mean_of_the_parts_that_apply():
    boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], dtype=float)
    text = "<think>a tank</think><answer>[[0,0,10,4]]</answer>"
    weights = RewardWeights(format=1, location=2, quantity=4, accuracy=8, repetition=16, mask=32, text=64)
    pair = masks([[1, 1, 0]], [[0, 1, 1]])
    answer = read(NANO, text, LOCATE)
    with_mask = score_completion(answer, text, truth=TrueAnswer(boxes), weights=weights, masks=pair)
    assert with_mask == Rewards(
        composite=pytest.approx((1 + 2 * 0.2 + 4 * 0.5 + 0 + 16 + 32 / 3) / 63),
        format=1, location=0.2, quantity=0.5, accuracy=0, repetition=1, mask=1 / 3,
    )  # fmt: skip
    without = score_completion(answer, text, truth=TrueAnswer(boxes), weights=weights)
    assert without.mask is None
    assert without.composite == pytest.approx((1 + 2 * 0.2 + 4 * 0.5 + 16) / 31)


def test_words_are_scored_by_words_alone():
    text = "<think> count </think> <answer> two tanks </answer>"
    weights = RewardWeights.of({"format": 1, "text": 3, "location": 9})
    rewards = score_completion(
        read(NANO, text, COUNT), text, truth=TrueAnswer(np.empty((0, 4)), text="3 tanks"), weights=weights
    )
    assert rewards.figures() == {"format": 1, "repetition": 1, "text": 0.5, "composite": (1 + 3 * 0.5) / 4}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"location": -1.0}, "location reward is -1"),
        ({"text": float("nan")}, "text reward is nan"),
        ({"format": 0.0}, "every reward weighs 0"),
        ({}, "every reward weighs 0"),
        ({"iou": 1.0}, "no such reward iou"),
    ],
)
def test_weights_that_make_no_reward_are_refused_in_words(weights, message):
    with pytest.raises(RecipeError, match=message) as refused:
        RewardWeights.of(weights)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


def test_weights_that_do_not_apply_to_a_task_are_refused_in_words():
    text = "<think> a </think> <answer> 3 </answer>"
    only_boxes = RewardWeights.of({"location": 1.0})
    with pytest.raises(RecipeError, match="format, repetition, text"):
        score_completion(
            read(NANO, text, COUNT), text, truth=TrueAnswer(np.empty((0, 4))), weights=only_boxes
        )


def test_weights_are_named_like_the_parts():
    parts = {one.name for one in dataclasses.fields(Rewards)} - {"composite"}
    assert {one.name for one in dataclasses.fields(RewardWeights)} == parts
