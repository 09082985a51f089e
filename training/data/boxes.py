"""Overlap of boxes and the pairing of found boxes with true ones.

Boxes are x0, y0, x1, y1, all in one shared unit.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def box_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the intersection over union of every box of `a` with every box of `b`.

    Args:
        a: (n, 4) x0, y0, x1, y1, half-open, any unit.
        b: (m, 4) in the same unit.

    Returns:
        (n, m) float64, 0 to 1; 0 where either box has no area.
    """
    first = np.asarray(a, dtype=np.float64).reshape(-1, 1, 4)
    second = np.asarray(b, dtype=np.float64).reshape(1, -1, 4)
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    shared = np.clip(high - low, 0.0, None).prod(axis=-1)
    union = _areas(first) + _areas(second) - shared
    ious: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ious


def match(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pair the boxes of `a` with those of `b` one to one so that the sum of their IoU is largest.

    Args:
        a: (n, 4) x0, y0, x1, y1.
        b: (m, 4) in the same unit.

    Returns:
        Three arrays of length min(n, m): numbers in `a`, numbers in `b`, IoU of each pair. Pairs that do
        not overlap are among them with an IoU of 0.
    """
    ious = box_iou(a, b)
    rows, cols = linear_sum_assignment(ious, maximize=True)
    return rows, cols, ious[rows, cols]


def count_hits(a: NDArray[np.float64], b: NDArray[np.float64], *, threshold: float = 0.5) -> int:
    """Return the largest number of one-to-one pairs whose IoU reaches the threshold.

    Unlike the hits among the pairs of `match`, this number depends neither on the order of the boxes nor
    on further boxes that reach no true one.

    Args:
        a: (n, 4) x0, y0, x1, y1.
        b: (m, 4) in the same unit.
        threshold: minimum IoU of a hit, 0 to 1.
    """
    reached = (box_iou(a, b) >= threshold).astype(np.float64)
    rows, cols = linear_sum_assignment(reached, maximize=True)
    return int(reached[rows, cols].sum())


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = np.clip(boxes[..., 2:] - boxes[..., :2], 0.0, None).prod(axis=-1)
    return areas
