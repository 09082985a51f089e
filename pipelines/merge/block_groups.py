"""Which open fragments of several blocks are one object, by reference to rows of spill files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.merge.tasks import (
    BlockTask,
    BorderMatches,
    BorderTask,
    MergedBlock,
    OpenRows,
    SceneTask,
    UnionTask,
)
from tiling.geo import Ragged, concat_ragged, group_by
from tiling.merge import NO_WINDOWS, RUN, Evidence, Matches, concat_evidence, cut_into_runs, resolve_fragments

PIECES = 1
"""Pieces of long objects that one task unites."""


@dataclass(frozen=True, slots=True)
class RowReferences:
    """Rows of spill files, (n,) each."""

    names: tuple[str, ...]
    """Names of the files."""
    file: NDArray[np.int64]
    """Which of the files each row is in."""
    row: NDArray[np.int64]
    """Its number there."""

    def __len__(self) -> int:
        return len(self.file)

    def and_pieces(self, tasks: Sequence[UnionTask]) -> "RowReferences":
        """These, and behind them the pieces that tasks make."""
        counts = [len(item.groups) for item in tasks]
        files = len(self.names) + np.arange(len(tasks))
        return RowReferences(
            (*self.names, *(item.name for item in tasks)),
            np.concatenate((self.file, np.repeat(files, counts))),
            np.concatenate((self.row, *(np.arange(count) for count in counts))),
        )


@dataclass(frozen=True, slots=True)
class BlockClusters:
    """The objects of one scene that lie in several blocks, by reference."""

    task: SceneTask
    """Scene and question."""
    references: RowReferences
    """What they are made of."""
    groups: Ragged
    """Numbers of the references of every object, in the order of the ground."""
    name: str
    """What the names of files made of them begin with."""

    @property
    def is_long(self) -> bool:
        """Some object has more members than are united at once."""
        return bool((self.groups.lengths > RUN).any())

    def shortened(self) -> "tuple[list[UnionTask], BlockClusters]":
        """Tasks that unite long objects piece by piece, and the same objects made of these pieces."""
        is_long = self.groups.lengths > RUN
        pieces, regrouped = cut_into_runs(self.groups.take(np.flatnonzero(is_long)))
        numbers = np.arange(len(pieces))
        parts = [numbers[start : start + PIECES] for start in range(0, len(pieces), PIECES)]
        name = f"{self.name}-pieces-{len(self.references.names)}"
        tasks = [
            self._task(pieces.take(part), f"{name}-{place}", whole=False) for place, part in enumerate(parts)
        ]
        made = Ragged(regrouped.values + len(self.references), regrouped.starts)
        short = self.groups.take(np.flatnonzero(~is_long))
        order = np.argsort(np.concatenate((np.flatnonzero(~is_long), np.flatnonzero(is_long))))
        groups = concat_ragged([short, made]).take(order)
        return tasks, replace(self, references=self.references.and_pieces(tasks), groups=groups)

    def tasks(self) -> list[UnionTask]:
        """Tasks that unite all objects, those whose first member is in the same file together."""
        homes = self.references.file[self.groups.values[self.groups.starts[:-1]]]
        return [
            self._task(self.groups.take(numbers), f"{self.name}-across-{homes[numbers[0]]}", whole=True)
            for numbers in group_by(homes)
        ]

    def _task(self, groups: Ragged, name: str, *, whole: bool) -> UnionTask:
        wanted = np.unique(groups.values)
        files, rows = self.references.file[wanted], self.references.row[wanted]
        sources = tuple((self.references.names[files[part[0]]], rows[part]) for part in group_by(files))
        members = Ragged(np.searchsorted(wanted, groups.values), groups.starts)
        return UnionTask(self.task, sources, members, name, whole)


@dataclass(frozen=True, slots=True)
class MergedBlocks:
    """What the blocks of one scene and one question came to, in their order."""

    items: tuple[BlockTask, ...]
    """The blocks."""
    merged: tuple[MergedBlock, ...]
    """What each came to."""

    @property
    def open(self) -> dict[int, OpenRows]:
        """By number of its block, what is open."""
        return {number: each.open for number, each in enumerate(self.merged) if each.open is not None}

    def border_tasks(self) -> list[BorderTask]:
        """One task for each block in which something is open: every two blocks meet in one of them."""
        around, opened = self._around(), self.open
        return [
            self._border_task(number, around[number], [other for other in around[number] if other in opened])
            for number in opened
        ]

    def _border_task(self, number: int, around: Sequence[int], opened: Sequence[int]) -> BorderTask:
        later = [other for other in opened if other > number]
        missing = [NO_WINDOWS, *(self.merged[other].missing for other in around)]
        item = self.items[number]
        return BorderTask(
            name=item.open_name,
            others=tuple(self.items[other].open_name for other in later),
            missing=np.concatenate(missing),
            transform=item.task.planned.work.transform,
        )

    def _around(self) -> dict[int, list[int]]:
        """By number of its block, the blocks whose tiles meet its own."""
        hulls = [item.block.hull for item in self.items]
        boxes = np.array([shapely.box(hull.x0, hull.y0, hull.x1, hull.y1) for hull in hulls])
        found: dict[int, list[int]] = {number: [] for number in range(len(boxes))}
        for one, other in zip(*shapely.STRtree(boxes).query(boxes, predicate="intersects"), strict=True):
            if one != other:
                found[int(one)].append(int(other))
        return {number: sorted(others) for number, others in found.items()}

    def clusters(self, tasks: Sequence[BorderTask], borders: Sequence[BorderMatches]) -> BlockClusters:
        """Which open fragments are one object together.

        Args:
            tasks: The border tasks.
            borders: What was found at each.
        """
        opened = list(self.open.values())
        files = {item.name: place for place, item in enumerate(tasks)}
        starts = np.concatenate(([0], np.cumsum([len(each.evidence) for each in opened])))
        parts = [_spared(each.evidence, border) for each, border in zip(opened, borders, strict=True)]
        between = list(_between(tasks, borders, {name: int(starts[at]) for name, at in files.items()}))
        evidence = concat_evidence(parts, between)
        tiles = np.concatenate([each.tiles for each in opened])
        order = np.lexsort((np.arange(len(tiles)), tiles[:, 0], tiles[:, 1]))
        groups = resolve_fragments(evidence.take(order))
        lengths = np.diff(starts)
        references = RowReferences(
            names=tuple(files),
            file=np.repeat(np.arange(len(lengths)), lengths),
            row=np.arange(starts[-1]) - np.repeat(starts[:-1], lengths),
        )
        task = self.items[0].task
        return BlockClusters(
            task, references, Ragged(order[groups.values], groups.starts), self.items[0].name
        )


def _spared(evidence: Evidence, border: BorderMatches) -> Evidence:
    """What is known of a block's fragments, with what missing tiles around it may have supported."""
    needs_support = evidence.needs_support.copy()
    needs_support[border.spared] = False
    return replace(evidence, needs_support=needs_support)


def _between(
    tasks: Sequence[BorderTask], borders: Sequence[BorderMatches], starts: dict[str, int]
) -> Iterator[Matches]:
    """Pairs of fragments of different blocks, counted over all that is open."""
    for task, border in zip(tasks, borders, strict=True):
        for name, found in zip(task.others, border.matches, strict=True):
            yield replace(found, first=found.first + starts[task.name], second=found.second + starts[name])
