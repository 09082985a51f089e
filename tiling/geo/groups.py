"""Lists of uneven length laid end to end, and connected components of a graph. Knows numbers only."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of numbers, one after another."""

    values: NDArray[np.int64]
    """All numbers, (m,)."""
    starts: NDArray[np.int64]
    """Where each list begins, and where the last one ends, (n + 1,)."""

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Length of every list, (n,)."""
        return np.diff(self.starts)

    def __getitem__(self, index: int) -> NDArray[np.int64]:
        return self.values[self.starts[index] : self.starts[index + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        return (self[index] for index in range(len(self)))

    def take(self, index: NDArray[np.int64]) -> "Ragged":
        """Some of the lists, in a given order."""
        places, starts = take_offsets(self.starts, index)
        return Ragged(self.values[places], starts)


def one_each(count: int) -> Ragged:
    """Lists of one number each, ascending from 0."""
    return Ragged(np.arange(count), np.arange(count + 1))


def group_by(keys: NDArray[np.int64]) -> Ragged:
    """Positions of equal keys, ascending; lists by ascending key."""
    order = np.argsort(keys, kind="stable")
    if not len(order):
        return one_each(0)
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return Ragged(order, np.concatenate(([0], ends, [len(order)])))


def take_offsets(
    starts: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the members of some lists stand, one list after another, and where each of them then begins.

    Args:
        starts: (n + 1,) where each of the lists begins, and where the last one ends.
        index: (k,) which lists.

    Returns:
        Places among the old members, and the (k + 1,) new beginnings.
    """
    lengths = np.diff(starts)[index]
    new = np.concatenate(([0], np.cumsum(lengths)))
    places = np.arange(new[-1]) + np.repeat(starts[:-1][index] - new[:-1], lengths)
    return places, new


def concat_offsets(starts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Beginnings of lists that are laid behind one another.

    Args:
        starts: Per part, its (n + 1,) beginnings from 0.
    """
    lengths = [np.diff(each) for each in starts]
    return np.concatenate(([0], np.cumsum(np.concatenate([np.empty(0, dtype=np.int64), *lengths]))))


def concat_ragged(parts: Sequence[Ragged]) -> Ragged:
    """Lists of several parts behind one another; one part at least."""
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, concat_offsets([part.starts for part in parts]))


Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indexes of the first and the second of each pair, (m,) each."""


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Label (count,) of the connected component of every node: its lowest member.

    Args:
        count: Number of nodes.
        pairs: Nodes that are connected.
    """
    if not count:
        return np.empty(0, dtype=np.int64)
    graph = coo_array((np.ones(len(pairs[0]), dtype=bool), pairs), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    _, lowest = np.unique(labels, return_index=True)
    return np.asarray(lowest[labels], dtype=np.int64)
