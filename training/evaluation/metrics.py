"""How good one answer is: for every figure a numerator and a denominator, to be summed over examples."""

import string
from collections import Counter
from collections.abc import Callable

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from tiling.geo import greedy_pairs
from training.data import box_iou, match
from training.evaluation.protocols import Divisor, ScoringRules
from training.rl import RewardWeights, accuracy_reward, location_reward, quantity_reward

Scores = dict[str, tuple[float, float]]
"""By the name of a figure: numerator and denominator of one example; a set's figure is sum over sum."""

BOX_IOUS = (0.3, 0.4, 0.5)
"""IoU from which a found box is a true one."""
MASK_IOUS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU of the thresholds of P@X."""
TOLERANCES_PX = (1, 2, 3)
"""Distance up to which boundaries agree, pixels."""


def answer_scores(n_found: int, n_true: int, *, readable: bool) -> Scores:
    """Form and number of an answer to a `locate` question.

    * `malformed`: share of answers that cannot be read.
    * `empty_accuracy`: of the examples without target, the share answered so; malformed answers are wrong.
    * `count_exact`: share of examples with exactly the true number of boxes; malformed answers are wrong.
    * `count_error`: mean absolute difference of the numbers; a malformed answer has none.

    Args:
        n_found: boxes of the answer.
        n_true: true boxes.
        readable: the answer could be parsed.
    """
    right = float(readable and n_found == n_true)
    return {
        "malformed": (float(not readable), 1.0),
        "empty_accuracy": (right, 1.0) if n_true == 0 else (0.0, 0.0),
        "count_exact": (right, 1.0),
        "count_error": (float(abs(n_found - n_true)), 1.0),
    }


def reward_scores(found: NDArray[np.float64], true: NDArray[np.float64], *, readable: bool) -> Scores:
    """What training by reward pays for the boxes of an answer.

    * `reward`: weighted mean of the location, quantity and accuracy rewards at their usual weights, averaged
      over examples; 0 for a malformed answer. The form of an answer, which a composite reward also weighs,
      is not in it.

    Args:
        found: (n, 4) x0, y0, x1, y1.
        true: (m, 4) in the same unit.
        readable: the answer could be parsed.
    """
    weights = RewardWeights()
    parts = {
        "location": location_reward(found, true),
        "quantity": quantity_reward(len(found), len(true)),
        "accuracy": accuracy_reward(found, true),
    }
    total = sum(getattr(weights, name) for name in parts)
    paid = sum(getattr(weights, name) * value for name, value in parts.items()) / total
    return {"reward": (paid if readable else 0.0, 1.0)}


def region_scores(
    found: NDArray[np.float64], true: NDArray[np.float64], rules: ScoringRules, *, readable: bool = True
) -> Scores:
    """Boxes against boxes.

    * `acc@0.5`: pairs of the assignment with the largest sum of IoU that reach 0.5, over the greater number
      of boxes, averaged over examples; with one target and one box it is the papers' Acc@0.5.
    * `precision@t`, `recall@t`, `f1@t` over all boxes of all examples, boxes paired one to one by
      descending IoU; f1 is 2 right / (found + true).
    * `box_giou`: IoU of the areas covered by all found and by all true boxes, averaged over examples.

    Where neither side has a box, the averages over examples take the protocol's score, and 0 for an answer
    that cannot be read.

    Args:
        found: (n, 4) x0, y0, x1, y1, any unit.
        true: (m, 4) in the same unit.
        rules: decisions of the protocol.
        readable: the answer could be parsed.
    """
    empty = rules.empty_score if readable else 0.0
    most = max(len(found), len(true))
    hits = int((match(found, true)[2] >= 0.5).sum())
    scores: Scores = {
        "acc@0.5": (hits / most if most else empty, 1.0),
        "box_giou": (_area_iou(found, true) if most else empty, 1.0),
    }
    ious = greedy_ious(found, true)
    for limit in BOX_IOUS:
        right = float((ious >= limit).sum())
        scores[f"precision@{limit}"] = (right, float(len(found)))
        scores[f"recall@{limit}"] = (right, float(len(true)))
        scores[f"f1@{limit}"] = (2 * right, float(len(found) + len(true)))
    return scores


def greedy_ious(found: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of the pairs made one to one by descending IoU, (k,) descending; pairs that do not touch are none.

    Args:
        found: (n, 4) x0, y0, x1, y1.
        true: (m, 4) in the same unit.
    """
    ious = box_iou(found, true)
    rows, columns = np.nonzero(ious)
    touching = ious[rows, columns]
    return touching[greedy_pairs(rows, columns, touching)]


def pixel_scores(
    found: NDArray[np.bool_], true: NDArray[np.bool_], rules: ScoringRules, *, readable: bool = True
) -> Scores:
    """Union of the found masks against union of the true ones.

    * `giou`: IoU of each example, averaged.
    * `ciou`: sum of the intersections over sum of the unions.
    * `p@t`: share of examples whose IoU reaches t.

    Args:
        found: (height, width), True inside.
        true: (height, width), True inside.
        rules: decisions of the protocol.
        readable: the answer could be parsed.
    """
    shared, either = float((found & true).sum()), float((found | true).sum())
    has_target = bool(true.any())
    iou = shared / either if either else rules.empty_score * readable
    counted = has_target or rules.strays_count
    has_prediction = readable and bool(found.any() or not has_target)
    divisor = float(rules.divisor is Divisor.ALL or has_prediction)
    scores: Scores = {"giou": (iou, 1.0), "ciou": (shared, either if counted else 0.0)}
    for limit in MASK_IOUS:
        reached = iou > limit if rules.strict else iou >= limit
        scores[f"p@{limit}"] = (float(reached) * divisor, divisor)
    return scores


def instance_scores(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> Scores:
    """`instance_iou`: IoU of each object's mask with its own true mask, averaged over objects.

    Args:
        found: (n, height, width), True inside, made of the true boxes.
        true: (n, height, width) in the same order; objects without a pixel are left out.
    """
    shared, either = (found & true).sum(axis=(1, 2)), (found | true).sum(axis=(1, 2))
    there = true.any(axis=(1, 2))
    return {"instance_iou": (float((shared[there] / either[there]).sum()), float(there.sum()))}


def contour_scores(
    found: NDArray[np.bool_], true: NDArray[np.bool_], rules: ScoringRules, *, readable: bool = True
) -> Scores:
    """Boundary of the union of the found masks against that of the true ones, averaged over examples.

    * `boundary_f@t`: harmonic mean of the share of found boundary pixels within t pixels of a true one and
      the share of true ones within t pixels of a found one; neither side has any: the protocol's score.
    * `hausdorff_px`: the longer of the two directed Hausdorff distances between boundary pixels; neither
      side has any: 0; one has none, or the answer cannot be read on an empty image: the image's diagonal.

    Args:
        found: (height, width), True inside.
        true: (height, width), True inside.
        rules: decisions of the protocol.
        readable: the answer could be parsed.
    """
    away, missed = _distances(boundary(found), boundary(true))
    if away.size and missed.size:
        near = {t: _harmonic((away <= t).mean(), (missed <= t).mean()) for t in TOLERANCES_PX}
        farthest = float(max(away.max(), missed.max()))
    else:
        agree = readable and not (away.size or missed.size)
        near = dict.fromkeys(TOLERANCES_PX, rules.empty_score * agree)
        farthest = 0.0 if agree else float(np.hypot(*true.shape))
    return {f"boundary_f@{t}": (near[t], 1.0) for t in TOLERANCES_PX} | {"hausdorff_px": (farthest, 1.0)}


def boundary(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels of a mask with one of the four neighbours outside it; beyond the image all is outside.

    Args:
        mask: (height, width), True inside.
    """
    inner: NDArray[np.bool_] = binary_erosion(mask)
    return mask & ~inner


def text_scores(found: str, true: str, *, readable: bool = True) -> Scores:
    """Words against words, averaged over examples.

    * `exact`: equal after lower-casing, taking punctuation out and single spaces between words.
    * `token_f1`: harmonic mean of the shares of found and of true words, with repeats, that are common.
    * `malformed`: share of answers that cannot be read; they are never right.
    """
    words, wanted = _words(found) if readable else [], _words(true)
    both = sum((Counter(words) & Counter(wanted)).values())
    total = len(words) + len(wanted)
    token_f1 = 2 * both / total if total else float(readable)
    exact = float(readable and words == wanted)
    return {"malformed": (float(not readable), 1.0), "exact": (exact, 1.0), "token_f1": (token_f1, 1.0)}


_PUNCTUATION = str.maketrans("", "", string.punctuation)
_shapes: Callable[..., NDArray[np.object_]] = shapely.box


def _words(text: str) -> list[str]:
    return text.lower().translate(_PUNCTUATION).split()


def _area_iou(found: NDArray[np.float64], true: NDArray[np.float64]) -> float:
    one, other = (shapely.union_all(_shapes(*boxes.T)) for boxes in (found, true))
    either = shapely.area(shapely.union(one, other))
    return float(shapely.area(shapely.intersection(one, other)) / either) if either else 0.0


def _distances(
    found: NDArray[np.bool_], true: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance of every found pixel to the nearest true one, and the reverse; without such, infinite."""
    if not (found.any() and true.any()):
        return np.full(found.sum(), np.inf), np.full(true.sum(), np.inf)
    rows, columns = np.nonzero(found | true)
    # Nothing outside this window can be nearest, and on large images most of the time goes into it.
    window = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    found, true = found[window], true[window]
    return distance_transform_edt(~true)[found], distance_transform_edt(~found)[true]


def _harmonic(one: float, other: float) -> float:
    return float(2 * one * other / (one + other)) if one + other else 0.0
