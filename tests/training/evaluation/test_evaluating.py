"""An evaluation asks every question once, about its own image, and sums up what the answers deserve."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from reasoner.answer import Parse
from reasoner.query import Task
from tests.training.scripted import CountingSegmenter, ScriptedReasoner, example, picture, says
from training.data.examples import ArrayShapes, Example
from training.evaluation.evaluate import Evaluation, compare, evaluate
from training.evaluation.protocols import Protocol
from training.evaluation.scoring import PackedMask

BOX = (4, 4, 24, 14)
HALF = (4, 4, 14, 14)
EXAMPLES = (
    example(a := picture(1), "where is it?", [BOX], class_name="ship"),
    example(a, "where else?", [], class_name="tank"),
    example(a, "what is it?", task=Task.VQA, text="Two ships."),
    example(b := picture(2, height=17, width=23), "where is it?", [], class_name="ship"),
    example(b, "where else?", [(0, 0, 10, 10), (12, 4, 20, 12)], class_name="tank"),
    example(picture(3), "where is it?", [BOX], class_name="ship"),
)
EXACT = {
    (1, "where is it?"): says([BOX]),
    (1, "where else?"): says([]),
    (1, "what is it?"): "<think>I see</think><answer>two ships</answer>",
    (2, "where is it?"): says([]),
    (2, "where else?"): says([(0, 0, 10, 10), (12, 4, 20, 12)]),
    (3, "where is it?"): says([BOX]),
}
FLAWED = EXACT | {(1, "where is it?"): says([HALF]), (1, "where else?"): "[[", (2, "where else?"): says([])}


def run(script: dict[tuple[int, str], str], protocol: Protocol = Protocol.THINK2SEG) -> Evaluation:
    return evaluate(EXAMPLES, ScriptedReasoner(script), CountingSegmenter(), protocol=protocol)


def test_exact_answers_reach_the_best_value_of_every_figure() -> None:
    found = run(EXACT).overall
    errors = {"count_error", "hausdorff_px", "malformed"}
    assert len(found) == 29
    assert {name: one.mean for name, one in found.items()} == {
        name: float(name not in errors) for name in found
    }


def test_flawed_answers_score_what_they_deserve() -> None:
    found = {name: one.mean for name, one in run(FLAWED).overall.items()}
    # Of five located: one half box, one unreadable on an empty image, one left out of two, two exact.
    want = {"malformed": 1 / 6, "empty_accuracy": 1 / 2, "count_exact": 3 / 5, "count_error": 2 / 5}
    want |= {
        "acc@0.5": 3 / 5,
        "precision@0.5": 1.0,
        "recall@0.5": 2 / 4,
        "box_giou": (0.5 + 0 + 1 + 0 + 1) / 5,
        "reward": (0.8 + 0 + 1 + 0 + 1) / 5,
    }
    want |= {"giou": 2.5 / 5, "ciou": 300 / (200 + 164 + 200), "p@0.5": 1.0, "p@0.6": 2 / 3, "exact": 1.0}
    assert {name: found[name] for name in want} == pytest.approx(want)


def test_a_protocol_changes_the_figures_it_is_about() -> None:
    strict = {name: one.mean for name, one in run(EXACT, Protocol.RMSIN).overall.items()}
    assert strict["giou"] == strict["acc@0.5"] == strict["p@0.5"] == pytest.approx(3 / 5)
    assert strict["empty_accuracy"] == strict["ciou"] == strict["f1@0.5"] == 1.0


def test_figures_are_grouped_by_task_class_and_source() -> None:
    found = run(FLAWED)
    assert set(found.by_task) == {"locate", "vqa"}
    assert set(found.by_class) == {"ship", "tank"}
    assert set(found.by_source) == {"drawn"}
    assert found.by_class["ship"]["acc@0.5"].mean == 1.0
    assert found.by_class["tank"]["acc@0.5"].mean == 0.0
    assert set(found.by_task["vqa"]) == {"malformed", "exact", "token_f1"}


def test_results_keep_the_order_the_thinking_and_the_mask() -> None:
    found = run(FLAWED).results
    assert [result.example.id for result in found] == [one.id for one in EXAMPLES]
    assert found[0].answer.thinking == "it is there"
    assert found[1].answer.parse is Parse.MALFORMED
    assert found[2].mask is None
    mask = found[0].mask
    assert mask is not None
    assert mask.mask().sum() == 100
    assert all(result.seconds > 0 for result in found)


def test_questions_share_calls_and_images_are_segmented_once() -> None:
    reasoner, segmenter = ScriptedReasoner(EXACT), CountingSegmenter()
    reported: list[tuple[int, int]] = []
    evaluate(EXAMPLES, reasoner, segmenter, listener=lambda *done: reported.append(done))
    assert sum(views * queries for views, queries in reasoner.calls) == len(EXAMPLES)
    assert len(reasoner.calls) == 3
    assert sorted(segmenter.images) == [1, 2, 2]
    assert reported[-1] == (12, 12)
    assert reported == sorted(reported)


@pytest.mark.parametrize("batch", [1, 2, 50])
def test_one_question_about_many_images_is_one_call_of_at_most_a_batch(batch: int) -> None:
    shown = [example(picture(number), "where is it?", [BOX]) for number in range(5)]
    reasoner = ScriptedReasoner({(number, "where is it?"): says([BOX]) for number in range(5)})
    found = evaluate(shown, reasoner, batch=batch)
    assert reasoner.calls == {1: [(1, 1)] * 5, 2: [(2, 1), (2, 1), (1, 1)], 50: [(5, 1)]}[batch]
    assert found.overall["acc@0.5"].mean == 1.0


def test_without_a_segmenter_there_are_no_pixel_figures() -> None:
    found = evaluate(EXAMPLES, ScriptedReasoner(EXACT)).overall
    assert "box_giou" in found
    assert not {"giou", "boundary_f@1"} & set(found)


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that cannot be read, as an image and as masks."""

    def pixels(self) -> NDArray[np.uint8]:
        raise OSError("truncated")

    def masks(self) -> NDArray[np.bool_]:
        raise OSError("truncated")


@dataclass(frozen=True, slots=True)
class Small:
    """Masks of another size than the image."""

    def masks(self) -> NDArray[np.bool_]:
        return np.zeros((1, 5, 5), dtype=np.bool_)


def test_what_cannot_be_read_is_counted_and_the_rest_is_scored() -> None:
    first: Example = EXAMPLES[0]
    broken = [replace(first, id="i", picture=Broken()), replace(first, id="m", shapes=Broken())]
    broken += [replace(first, id="s", shapes=Small()), replace(first, id="z", size=(99, 40))]
    found = evaluate([*broken, *EXAMPLES], ScriptedReasoner(EXACT), CountingSegmenter())
    assert {problem.where.split(":")[0]: problem.what for problem in found.problems} == {
        "i": "image cannot be read",
        "m": "mask cannot be read",
        "s": "mask has another size than the image",
        "z": "image has another size than said",
    }
    assert len(found.problems) == 4
    assert len(found.results) == len(EXAMPLES)


def test_two_evaluations_are_compared_example_by_example() -> None:
    before, after = run(FLAWED).records, run(EXACT).records
    risen = compare(before, list(reversed(after)), seed=0)
    assert risen["acc@0.5"].mean == pytest.approx(2 / 5)
    assert risen["malformed"].mean == pytest.approx(-1 / 6)
    assert compare(before, before, seed=0)["giou"].high == 0.0
    half = compare(before[:2], after, seed=0)
    assert half["count_exact"].mean == pytest.approx(1 / 2)
    assert compare(before[:0], after, seed=0) == {}


def test_oracle_boxes_score_the_segmenter_alone() -> None:
    shown = [replace(EXAMPLES[0], shapes=ArrayShapes(EXAMPLES[0].shapes.masks() & (np.arange(40) < 14)))]
    found = evaluate([*shown, *EXAMPLES[1:]], None, CountingSegmenter())
    # Of four objects one is half of its box.
    assert found.overall["instance_iou"].mean == pytest.approx(3.5 / 4)
    assert found.overall["acc@0.5"].mean == 1.0
    assert {str(result.example.query.task) for result in found.results} == {"locate"}
    assert "instance_iou" not in run(EXACT).overall


def test_nothing_to_evaluate_has_no_figures() -> None:
    assert evaluate([], ScriptedReasoner({})).overall == {}


def test_a_packed_mask_unpacks_to_itself() -> None:
    mask = np.random.default_rng(0).random((13, 7)) < 0.3
    assert (PackedMask.of(mask).mask() == mask).all()
