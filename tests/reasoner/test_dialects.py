"""Every dialect reads back what it writes, takes any spacing, and refuses the rest with a reason."""

import contextlib
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoner.dialects import (
    MAX_CHARS,
    Dialect,
    WrittenBox,
    read_boxes,
    read_text,
    split_sections,
    write_boxes,
)
from reasoner.errors import AnswerError

numbers = st.integers(-10_000, 10_000).map(float) | st.floats(-1e6, 1e6, allow_nan=False)
boxes = st.tuples(numbers, numbers, numbers, numbers)
points = st.lists(st.tuples(numbers, numbers), max_size=3).map(tuple)
labels = st.text(max_size=12).filter(lambda text: not set(text) & set("<`"))


@given(st.lists(boxes, max_size=6))
@settings(max_examples=40, deadline=None)
def test_list_reads_back_what_it_writes(written: list[tuple[float, float, float, float]]) -> None:
    found = [WrittenBox(box) for box in written]
    sections, read = read_boxes(write_boxes(found, Dialect.LIST, thinking="ships carry"), Dialect.LIST)
    assert read == found
    assert sections.thinking == "ships carry"


@given(st.lists(st.builds(WrittenBox, boxes, st.just(()), labels), max_size=6))
@settings(max_examples=40, deadline=None)
def test_qwen_reads_back_what_it_writes(found: list[WrittenBox]) -> None:
    assert read_boxes(write_boxes(found, Dialect.QWEN), Dialect.QWEN)[1] == found


@given(st.lists(st.builds(WrittenBox, boxes, points, labels), max_size=6))
@settings(max_examples=40, deadline=None)
def test_box_points_reads_back_what_it_writes(found: list[WrittenBox]) -> None:
    assert read_boxes(write_boxes(found, Dialect.BOX_POINTS), Dialect.BOX_POINTS)[1] == found


@given(
    st.lists(st.tuples(*[st.integers(0, 128)] * 4), min_size=1, max_size=5),
    st.sampled_from([" ", "  ", "\n", "\t"]),
)
@settings(deadline=None)
def test_space_between_any_tokens_is_tolerated(drawn: list[tuple[int, int, int, int]], space: str) -> None:
    rows = " , ".join("[ " + " , ".join(str(value) for value in box) + " ]" for box in drawn)
    text = f"<think> ships carry cargo </think> <answer> [ {rows} ] </answer> ".replace(" ", space)
    sections, read = read_boxes(text, Dialect.LIST)
    assert [one.box for one in read] == [tuple(map(float, box)) for box in drawn]
    assert sections.thinking.split() == ["ships", "carry", "cargo"]


def test_the_spaced_text_of_a_small_tokenizer_reads() -> None:
    text = "<think> ships carry cargo </think> <answer> [[ 1 , 2 , 30 , 40 ],[ 5 , 6 , 7 , 8 ]] </answer>"
    assert [one.box for one in read_boxes(text, Dialect.LIST)[1]] == [(1, 2, 30, 40), (5, 6, 7, 8)]


def test_one_bare_box_is_a_list_of_one() -> None:
    assert read_boxes("<answer>[1, 2, 3, 4]</answer>", Dialect.LIST)[1] == [WrittenBox((1, 2, 3, 4))]


@pytest.mark.parametrize("dialect", list(Dialect))
def test_an_empty_list_is_no_box(dialect: Dialect) -> None:
    assert read_boxes("<think>none here</think><answer>[]</answer>", dialect)[1] == []


@pytest.mark.parametrize(
    "text",
    [
        '```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "ship"}]\n```',
        'Here it is:\n```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "ship"}]\n```\n',
        '[{"bbox_2d": [1, 2, 3, 4], "label": "ship"}]',
        '{"bbox_2d": [1, 2, 3, 4], "label": "ship"}',
        '<think>hm</think><answer>```\n[{"label": "ship", "bbox_2d": [1, 2, 3, 4]}]\n```</answer>',
    ],
)
def test_qwen_reads_fences_tags_and_single_objects(text: str) -> None:
    assert read_boxes(text, Dialect.QWEN)[1] == [WrittenBox((1, 2, 3, 4), label="ship")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no <answer>"),
        ("[[1,2,3,4]]", "no <answer>"),
        ("<think>x<answer>[]</answer>", "not closed by </think>"),
        ("<answer>[[1,2,3,4]]", "not closed by </answer>"),
        ("<answer>[]</answer><answer>[]</answer>", "4 answer tags"),
        ("</answer>[]<answer>", "2 answer tags"),
        ("<answer></answer>", "blank"),
        ("<answer>no ships</answer>", "not JSON"),
        ("<answer>[[1,2,3,4],]</answer>", "not JSON"),
        ("<answer>[[1,2,3]]</answer>", "not 4 numbers"),
        ("<answer>[[]]</answer>", "not 4 numbers"),
        ("<answer>[1,2,3]</answer>", "not 4 numbers"),
        ("<answer>[[1,2,3,true]]</answer>", "not a number"),
        ('<answer>[["1",2,3,4]]</answer>', "not a number"),
        ("<answer>{}</answer>", "expected a list"),
        ("<answer>7</answer>", "expected a list"),
        ("<answer>null</answer>", "expected a list"),
    ],
)
def test_what_is_no_list_answer_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        read_boxes(text, Dialect.LIST)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("There are no ships.", "not JSON"),
        ("[[1,2,3,4]]", "not an object with bbox_2d"),
        ('[{"bbox": [1,2,3,4]}]', "not an object with bbox_2d"),
        ('[{"bbox_2d": [1,2,3,4], "label": 3}]', "not a text"),
        ('[{"bbox_2d": [1,2,3,4], "positive_points": [[1]]}]', "not 2 numbers"),
        ('[{"bbox_2d": [1,2,3,4], "positive_points": 5}]', "not a list"),
        ("```\n[]\n```\n```\n[]\n```", "4 fences"),
    ],
)
def test_what_is_no_json_answer_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AnswerError, match=reason):
        read_boxes(text, Dialect.BOX_POINTS)


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 50_000 + "]" * 50_000,
        "[" * 900 + "]" * 900,
        '{"bbox_2d":' * 5_000,
        "[[1,2,3," + "9" * 1_000_000 + "]]",
        "[[1,2,3," + "9" * 90_000 + "]]",
        "[[1,2,3,0." + "9" * 90_000 + "e99999999]]",
        "<" * 1_000_000,
        "<" + " " * 1_000_000,
        "<answer>" * 12_000,
        "<think>" * 6_000 + "</think>" * 6_000,
        "<" + " " * 99_000,
        "`" * 300_000,
    ],
    ids=lambda payload: f"{payload[:10]}x{len(payload)}",
)
def test_monstrous_text_is_refused_or_read_in_no_time(payload: str) -> None:
    began = time.perf_counter()
    for dialect in Dialect:
        for text in (payload, f"<answer>{payload}</answer>"):
            # Numbers of any length may read as such; all else is refused in a short sentence.
            with contextlib.suppress(AnswerError):
                read_boxes(text, dialect)
    assert time.perf_counter() - began < 5


def test_an_answer_longer_than_the_limit_is_refused() -> None:
    text = json.dumps([[1, 2, 3, 4]] * (MAX_CHARS // 10))
    with pytest.raises(AnswerError, match=f"more than {MAX_CHARS}"):
        read_boxes(f"<answer>{text}</answer>", Dialect.LIST)


def test_a_thinking_part_opened_by_the_prompt_is_read() -> None:
    assert split_sections("hm </think><answer>[]</answer>").thinking == "hm"


def test_text_is_the_answer_part_or_all_after_the_thinking() -> None:
    assert read_text("<think>a</think><answer> two ships </answer>")[1] == "two ships"
    assert read_text("<think>a</think> two ships")[1] == "two ships"
    with pytest.raises(AnswerError, match="says nothing"):
        read_text("<think>a</think>")
