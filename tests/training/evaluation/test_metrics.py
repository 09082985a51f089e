"""Every figure equals a slow computation written apart, to 1e-9, on 1,000 answers, by every protocol."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import directed_hausdorff

from training.evaluation.metrics import (
    Scores,
    answer_scores,
    boundary,
    contour_scores,
    pixel_scores,
    region_scores,
    text_scores,
)
from training.evaluation.protocols import Divisor, Protocol

CASES = 1_000
SIDE = 24
Boxes = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """One answer and its truth."""

    found: Boxes
    true: Boxes
    found_mask: Mask
    true_mask: Mask
    readable: bool


def draw_cases() -> Iterator[Case]:
    rng = np.random.default_rng(7)
    for number in range(CASES):
        true = _boxes(rng, int(rng.integers(0, 5)))
        found = _answer(rng, true, number % 5)
        readable = bool(rng.random() > 0.1) or len(found) > 0
        yield Case(found, true, _painted(found), _painted(true), readable)


def _boxes(rng: np.random.Generator, count: int) -> Boxes:
    corners = rng.uniform(0, SIDE - 9, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, 9, (count, 2))], axis=1)


def _answer(rng: np.random.Generator, true: Boxes, way: int) -> Boxes:
    if way == 0:
        return np.empty((0, 4))
    if way == 1:
        return true
    if way == 2:
        return np.concatenate([true, true[:1]])
    kept = true[rng.random(len(true)) < 0.8]
    moved = kept + rng.normal(0, 0.6, kept.shape)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 0.2)
    return np.concatenate([moved, _boxes(rng, int(rng.integers(0, 3)))])


def _painted(boxes: Boxes) -> Mask:
    mask = np.zeros((SIDE, SIDE + 5), dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        mask[round(max(y0, 0)) : round(y1), round(max(x0, 0)) : round(x1)] = True
    return mask


def one_iou(a: Boxes, b: Boxes) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def best_hits(found: Boxes, true: Boxes) -> int:
    """Pairs of at least 0.5 in the best of all assignments, tried one by one."""
    few, many = (found, true) if len(found) <= len(true) else (true, found)
    ways = (
        [one_iou(few[i], many[j]) for i, j in enumerate(order)]
        for order in itertools.permutations(range(len(many)), len(few))
    )
    return sum(iou >= 0.5 for iou in max(ways, key=sum))


def right_boxes(found: Boxes, true: Boxes, limit: float) -> int:
    pairs = sorted(
        ((one_iou(f, t), i, j) for i, f in enumerate(found) for j, t in enumerate(true)), reverse=True
    )
    used: set[tuple[str, int]] = set()
    right = 0
    for iou, i, j in pairs:
        if iou >= limit and ("f", i) not in used and ("t", j) not in used:
            used |= {("f", i), ("t", j)}
            right += 1
    return right


def covered_iou(found: Boxes, true: Boxes) -> float:
    """IoU of the covered areas, counted on the cells between all sides of all boxes."""
    both = np.concatenate([found, true])
    xs, ys = np.unique(both[:, [0, 2]]), np.unique(both[:, [1, 3]])
    shared = either = 0.0
    for (x0, x1), (y0, y1) in itertools.product(itertools.pairwise(xs), itertools.pairwise(ys)):
        inside = [
            any(b[0] <= x0 and x1 <= b[2] and b[1] <= y0 and y1 <= b[3] for b in side)
            for side in (found, true)
        ]
        shared += all(inside) * (x1 - x0) * (y1 - y0)
        either += any(inside) * (x1 - x0) * (y1 - y0)
    return shared / either


def edge_points(mask: Mask) -> NDArray[np.int64]:
    """Rows and columns of the pixels with a neighbour that is not inside."""
    padded = np.pad(mask, 1)
    return np.array(
        [
            (y, x)
            for y, x in np.argwhere(mask)
            if not (padded[y, x + 1] and padded[y + 2, x + 1] and padded[y + 1, x] and padded[y + 1, x + 2])
        ]
    ).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Slow:
    """What the slow computations say of one case, the same under every protocol."""

    hits: int
    """Pairs of the best assignment with an IoU of at least 0.5."""
    covered: float
    """IoU of the covered areas."""
    right: int
    """Pairs of at least 0.5, best first."""
    shared: int
    """Pixels in both masks."""
    either: int
    """Pixels in one of them or both."""
    contours: dict[str, float]
    """Figures of the boundaries where both masks have one."""


def measure(case: Case) -> Slow:
    both = list(zip(case.found_mask.ravel().tolist(), case.true_mask.ravel().tolist(), strict=True))
    most = max(len(case.found), len(case.true))
    return Slow(
        hits=best_hits(case.found, case.true),
        covered=covered_iou(case.found, case.true) if most else 0.0,
        right=right_boxes(case.found, case.true, 0.5),
        shared=sum(a and b for a, b in both),
        either=sum(a or b for a, b in both),
        contours=measured_contours(case),
    )


def expected(cases: list[Case], slow: list[Slow], protocol: Protocol) -> dict[str, float]:
    """Every figure of all cases, by its definition."""
    rules = protocol.rules
    total: dict[str, list[float]] = {}
    sums = dict.fromkeys(("shared", "either", "found", "true", "right"), 0.0)
    for case, known in zip(cases, slow, strict=True):
        empty = rules.empty_score if case.readable else 0.0
        most = max(len(case.found), len(case.true))
        one = {
            "malformed": float(not case.readable),
            "count_exact": float(case.readable and len(case.found) == len(case.true)),
            "count_error": float(abs(len(case.found) - len(case.true))),
            "acc@0.5": known.hits / most if most else empty,
            "box_giou": known.covered if most else empty,
        }
        if not len(case.true):
            one["empty_accuracy"] = float(case.readable and not len(case.found))
        one |= expected_pixels(case, known, protocol, sums) | expected_contours(case, known, empty)
        sums["found"] += len(case.found)
        sums["true"] += len(case.true)
        sums["right"] += known.right
        for name, value in one.items():
            total.setdefault(name, []).append(value)
    means = {name: math.fsum(values) / len(values) for name, values in total.items()}
    return means | {
        "ciou": sums["shared"] / sums["either"],
        "precision@0.5": sums["right"] / sums["found"],
        "recall@0.5": sums["right"] / sums["true"],
        "f1@0.5": 2 * sums["right"] / (sums["found"] + sums["true"]),
    }


def expected_pixels(case: Case, known: Slow, protocol: Protocol, sums: dict[str, float]) -> dict[str, float]:
    rules = protocol.rules
    shared, either = known.shared, known.either
    iou = shared / either if either else (rules.empty_score if case.readable else 0.0)
    sums["shared"] += shared
    if case.true_mask.any() or protocol is not Protocol.THINK2SEG:
        sums["either"] += either
    figures = {"giou": iou}
    predicted = case.found_mask.any() if case.true_mask.any() else case.readable
    if rules.divisor is Divisor.ALL or predicted:
        for limit in (0.5, 0.6, 0.7, 0.8, 0.9):
            above = iou > limit if protocol is Protocol.SEGEARTH else iou >= limit
            figures[f"p@{limit}"] = float(above)
    return figures


def measured_contours(case: Case) -> dict[str, float]:
    found, true = edge_points(case.found_mask), edge_points(case.true_mask)
    if not (len(found) and len(true)):
        return {}
    away = np.linalg.norm(found[:, None] - true[None], axis=-1)
    near = {}
    for limit in (1, 2, 3):
        p, r = (away.min(axis=1) <= limit).mean(), (away.min(axis=0) <= limit).mean()
        near[f"boundary_f@{limit}"] = 2 * p * r / (p + r) if p + r else 0.0
    far = max(directed_hausdorff(found, true)[0], directed_hausdorff(true, found)[0])
    return near | {"hausdorff_px": far}


def expected_contours(case: Case, known: Slow, empty: float) -> dict[str, float]:
    if known.contours:
        return known.contours
    agree = not case.found_mask.any() and not case.true_mask.any() and case.readable
    far = 0.0 if agree else math.hypot(SIDE, SIDE + 5)
    return {f"boundary_f@{limit}": empty * agree for limit in (1, 2, 3)} | {"hausdorff_px": far}


def scored(case: Case, protocol: Protocol) -> Scores:
    rules, readable = protocol.rules, case.readable
    return (
        answer_scores(len(case.found), len(case.true), readable=readable)
        | region_scores(case.found, case.true, rules, readable=readable)
        | pixel_scores(case.found_mask, case.true_mask, rules, readable=readable)
        | contour_scores(case.found_mask, case.true_mask, rules, readable=readable)
    )


def figure(scores: list[Scores], name: str) -> float:
    """One figure of a set of examples: the sum of the numerators over that of the denominators."""
    above, below = (sum(score[name][side] for score in scores if name in score) for side in (0, 1))
    return above / below if below else float("nan")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(draw_cases())


@pytest.fixture(scope="module")
def slow(cases: list[Case]) -> list[Slow]:
    return [measure(case) for case in cases]


def test_the_cases_hold_every_kind(cases: list[Case]) -> None:
    classes = {(min(len(c.found), 2), min(len(c.true), 2), c.readable) for c in cases}
    assert len(classes) == 9 + 3


@pytest.mark.parametrize("protocol", list(Protocol))
def test_figures_equal_an_independent_computation(
    cases: list[Case], slow: list[Slow], protocol: Protocol
) -> None:
    scores = [scored(case, protocol) for case in cases]
    want = expected(cases, slow, protocol)
    assert {name: figure(scores, name) for name in want} == pytest.approx(want, rel=0, abs=1e-9)
    unchecked = {name for score in scores for name in score} - set(want)
    assert unchecked == {f"{name}@{limit}" for name in ("precision", "recall", "f1") for limit in (0.3, 0.4)}


def test_a_boundary_has_no_inner_pixel_and_closes_at_the_edge_of_the_image() -> None:
    mask = np.ones((5, 6), dtype=np.bool_)
    ring = boundary(mask)
    assert ring.sum() == 18
    assert not ring[1:-1, 1:-1].any()


def test_a_box_without_area_is_no_area_but_a_box() -> None:
    flat, box = np.array([[2.0, 2.0, 2.0, 8.0]]), np.array([[0.0, 0.0, 4.0, 4.0]])
    scores = region_scores(box, flat, Protocol.SEGEARTH.rules)
    assert (scores["box_giou"], scores["acc@0.5"], scores["recall@0.5"]) == ((0, 1), (0, 1), (0, 1))


@pytest.mark.parametrize(
    ("found", "true", "exact", "token_f1"),
    [
        ("Two  ships.", "two ships", 1.0, 1.0),
        ("two ships and a car", "two ships", 0.0, 2 * 2 / 7),
        ("a a a", "a b", 0.0, 2 * 1 / 5),
        ("", "", 1.0, 1.0),
        ("", "yes", 0.0, 0.0),
    ],
)
def test_words_are_compared_without_case_and_punctuation(
    found: str, true: str, exact: float, token_f1: float
) -> None:
    scores = text_scores(found, true)
    assert (scores["exact"][0], scores["token_f1"][0]) == (exact, pytest.approx(token_f1))
    assert text_scores(found, true, readable=False)["exact"] == (0.0, 1.0)
