"""Ragged arrays, as values and offsets, and connected components of a graph."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, slots=True)
class Ragged:
    """Lists of numbers of uneven length, one after another in one array."""

    values: NDArray[np.int64]
    """All numbers, (m,)."""
    starts: NDArray[np.int64]
    """Offsets (n + 1,): index of the first number of each list, and the number of all values."""

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
    """The lists [0], [1], … of one number each."""
    return Ragged(np.arange(count), np.arange(count + 1))


def group_by(keys: NDArray[np.int64]) -> Ragged:
    """The positions of each key as an ascending list; the lists are ordered by key."""
    order = np.argsort(keys, kind="stable")
    if not len(order):
        return one_each(0)
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return Ragged(order, np.concatenate(([0], ends, [len(order)])))


def take_offsets(
    starts: NDArray[np.int64], index: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions of the members of some lists, one list after another, and the offsets of these lists.

    Args:
        starts: (n + 1,) offsets of all lists.
        index: (k,) indexes of the lists to take.

    Returns:
        Positions among the members of all lists, and (k + 1,) offsets of the taken lists.
    """
    lengths = np.diff(starts)[index]
    new = np.concatenate(([0], np.cumsum(lengths)))
    places = np.arange(new[-1]) + np.repeat(starts[:-1][index] - new[:-1], lengths)
    return places, new


def concat_offsets(starts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Offsets of the lists of several parts, one part after another.

    Args:
        starts: Per part, its (n + 1,) offsets from 0.
    """
    lengths = [np.diff(each) for each in starts]
    return np.concatenate(([0], np.cumsum(np.concatenate([np.empty(0, dtype=np.int64), *lengths]))))


def concat_ragged(parts: Sequence[Ragged]) -> Ragged:
    """The lists of several parts, at least one, one part after another."""
    values = np.concatenate([part.values for part in parts])
    return Ragged(values, concat_offsets([part.starts for part in parts]))


Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Indexes of the first and the second of each pair, (m,) each."""


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """Label (count,) of the connected component of every node: the lowest node of the component.

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
