"""Which nodes of a graph hang together. Knows numbers only."""

import numpy as np
from numpy.typing import NDArray

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indexes of the first and the second of each pair, (m,) each."""


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Label (count,) of the connected component of every node: its lowest member.

    Args:
        count: Number of nodes.
        pairs: Nodes that hang together.
    """
    labels = np.arange(count)
    a, b = pairs
    while True:
        low = np.minimum(labels[a], labels[b])
        before = labels.copy()
        # Hang both ends, and the nodes that stand for them, on the lower label, then shorten the chains.
        for end in (a, b):
            np.minimum.at(labels, before[end], low)
            np.minimum.at(labels, end, low)
        labels = labels[labels]
        if (labels == before).all():
            return labels


def groups(labels: NDArray[np.int64], wanted: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Members of every component, ascending, by label.

    Args:
        labels: (n,) label of every node.
        wanted: (n,) which nodes count.
    """
    members = np.flatnonzero(wanted)
    order = members[np.argsort(labels[members], kind="stable")]
    cuts = np.flatnonzero(np.diff(labels[order])) + 1
    return np.split(order, cuts) if len(order) else []
