"""A completion becomes an Answer in tile pixels: nothing raises, nothing is guessed, all odd is named."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoner.answer import Answer, Completion, Parse
from reasoner.coordinates import CoordinateScale
from reasoner.dialects import Dialect, WrittenBox, write_boxes
from reasoner.parsing import Rules, parse_answer
from reasoner.query import Query, Task
from tests.reasoner.scales import in_model_units

QUERY = Query("Where could a ship moor?")
SCALE = CoordinateScale(100, 50, 200, 100)
SAME = CoordinateScale(100, 50, 100, 50)

TOKENS = [
    "<think>", "</think>", "<answer>", "</answer>", "[", "]", ",", "{", "}", "```", '"bbox_2d":', "1", "-3",
    "1e999", "NaN", "Infinity", " ", "null", "\ud800", '"', ":", "positive_points",
]  # fmt: skip


def answer_to(
    text: str, scale: CoordinateScale = SAME, *, dialect: Dialect = Dialect.LIST, query: Query = QUERY
) -> Answer:
    return parse_answer(Completion(text, 7), query, rules=Rules(dialect), scale=scale)


def listed(*boxes: object) -> str:
    return f"<think>t</think><answer>[{','.join(str(box) for box in boxes)}]</answer>"


@given(
    st.text() | st.lists(st.sampled_from(TOKENS)).map("".join),
    st.sampled_from(Dialect),
    st.sampled_from(Task),
)
@settings(deadline=None)
def test_no_text_raises_and_the_answer_is_consistent(text: str, dialect: Dialect, task: Task) -> None:
    answer = answer_to(text, dialect=dialect, query=Query("q", task))
    assert len(answer.boxes) == len(answer.points) == len(answer.labels)
    assert (answer.parse is Parse.MALFORMED) <= bool(answer.problem)
    assert answer.parse is not Parse.MALFORMED or answer.text == text
    assert answer.parse is not Parse.EMPTY or not len(answer.boxes)


@given(st.text(max_size=20), st.sampled_from(Dialect))
@settings(deadline=None)
def test_text_in_the_answer_part_never_raises(text: str, dialect: Dialect) -> None:
    for wrapped in (
        f"<answer>{text}</answer>",
        f"<answer>[{text}]</answer>",
        f'<answer>[{{"bbox_2d":[{text}]}}]</answer>',
    ):
        assert answer_to(wrapped, dialect=dialect).parse in Parse


sides = st.tuples(st.integers(1, 300), st.integers(1, 300))


@given(sides, sides, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5), st.sampled_from(Dialect))
@settings(deadline=None)
def test_boxes_inside_the_tile_come_back_through_text(
    model: tuple[int, int], tile: tuple[int, int], drawn: list[tuple[float, ...]], dialect: Dialect
) -> None:
    scale = CoordinateScale(*model, *tile)
    shares = sorted({(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in drawn})
    true = [
        (a * tile[0], b * tile[1], c * tile[0], d * tile[1])
        for a, b, c, d in shares
        if c - a > 0.01 and d - b > 0.01
    ]
    written = [WrittenBox(in_model_units(scale, box)) for box in true]
    answer = answer_to(write_boxes(written, dialect), scale, dialect=dialect)
    assert answer.parse is (Parse.OK if true else Parse.EMPTY)
    assert np.allclose(answer.boxes, np.array(true).reshape(-1, 4), atol=1e-6)
    assert not answer.problem


def test_boxes_and_points_are_scaled_to_the_tile() -> None:
    text = '[{"bbox_2d": [10, 10, 20, 20], "positive_points": [[15, 15], [11, 12]], "label": "quay"}]'
    answer = answer_to(text, SCALE, dialect=Dialect.BOX_POINTS)
    assert answer.boxes.tolist() == [[20, 20, 40, 40]]
    assert answer.points[0].tolist() == [[30, 30], [22, 24]]
    assert answer.labels == ("quay",)


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ("[NaN,1,5,5]", "is not finite"),
        ("[1,1,Infinity,5]", "is not finite"),
        ("[1,1,1e999,5]", "is not finite"),
        ("[1,1," + "9" * 400 + ",5]", "is not finite"),
        ("[30,1,20,5]", "inverted"),
        ("[3,5,20,5]", "no area"),
        ("[100,1,120,5]", "lies outside the tile"),
        ("[-20,-20,-1,-1]", "lies outside the tile"),
        ("[10,10,20,20]", "is written twice"),
    ],
)
def test_an_unusable_box_is_dropped_and_named(box: str, reason: str) -> None:
    answer = answer_to(listed([10, 10, 20, 20], box))
    assert answer.parse is Parse.OK
    assert answer.boxes.tolist() == [[10, 10, 20, 20]]
    assert reason in answer.problem
    assert answer.problem.startswith("box 2 ")


def test_a_box_past_the_tile_is_clipped_and_named() -> None:
    answer = answer_to(listed([-5, 10, 20, 70]))
    assert answer.boxes.tolist() == [[0, 10, 20, 50]]
    assert "clipped" in answer.problem


def test_points_outside_the_tile_are_dropped_and_named() -> None:
    text = '[{"bbox_2d": [1, 1, 9, 9], "positive_points": [[5, 5], [NaN, 1], [900, 1]]}]'
    answer = answer_to(text, dialect=Dialect.BOX_POINTS)
    assert answer.points[0].tolist() == [[5, 5]]
    assert "2 points" in answer.problem


def test_a_list_without_one_usable_box_is_malformed_not_empty() -> None:
    answer = answer_to(listed([30, 1, 20, 5]))
    assert answer.parse is Parse.MALFORMED
    assert "no usable box" in answer.problem


def test_an_empty_list_is_empty() -> None:
    answer = answer_to("<think>no water</think><answer>[]</answer>")
    assert (answer.parse, answer.thinking, answer.problem) == (Parse.EMPTY, "no water", "")
    assert answer.boxes.shape == (0, 4)


def test_a_malformed_answer_keeps_text_thinking_and_reason() -> None:
    text = "<think>hm</think><answer>[[1,2</answer>"
    answer = answer_to(text)
    assert (answer.parse, answer.text, answer.thinking) == (Parse.MALFORMED, text, "hm")
    assert "not JSON" in answer.problem


def test_a_truncated_completion_is_malformed_even_if_it_reads() -> None:
    whole = Completion(listed([1, 1, 9, 9]), 160, truncated=True)
    answer = parse_answer(whole, QUERY, rules=Rules(Dialect.LIST), scale=SAME)
    assert answer.parse is Parse.MALFORMED
    assert "160 tokens" in answer.problem


def test_equal_boxes_stay_where_the_rules_say_so() -> None:
    rules = Rules(Dialect.LIST, keep_duplicates=True)
    answer = parse_answer(Completion(listed([1, 1, 9, 9], [1, 1, 9, 9]), 7), QUERY, rules=rules, scale=SAME)
    assert len(answer.boxes) == 2


def test_centres_are_added_only_where_points_are_missing() -> None:
    rules = dataclasses.replace(Rules(Dialect.BOX_POINTS), centre_points=True)
    text = '[{"bbox_2d": [0, 0, 10, 20]}, {"bbox_2d": [0, 0, 10, 30], "positive_points": [[1, 2]]}]'
    answer = parse_answer(Completion(text, 7), QUERY, rules=rules, scale=SAME)
    assert [one.tolist() for one in answer.points] == [[[5, 10]], [[1, 2]]]


@pytest.mark.parametrize("task", [Task.CAPTION, Task.VQA])
def test_words_are_kept_as_text(task: Task) -> None:
    answer = answer_to("<think>a</think><answer>[1, 2] ships</answer>", query=Query("how many?", task))
    assert (answer.parse, answer.text, answer.thinking) == (Parse.OK, "[1, 2] ships", "a")
    assert len(answer.boxes) == 0
