"""Which nodes of a graph hang together. Knows numbers only."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indexes of the first and the second of each pair, (m,) each."""


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Label (count,) of the connected component of every node: its lowest member.

    Args:
        count: Number of nodes.
        pairs: Nodes that hang together.
    """
    if not count:
        return np.empty(0, dtype=np.int64)
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, lowest = np.unique(labels, return_index=True)
    return np.asarray(lowest[labels], dtype=np.int64)
