"""Which fragments of several blocks are one object, by reference to rows of spill files. Reads nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines.merge.rows import SceneTask
from pipelines.merge.steps import BlockMerge, BlockTask, Border, BorderTask, GroupTask, Open
from tiling.geo import Runs, all_runs, runs_of
from tiling.merge import NO_WINDOWS, RUN, Evidence, Matches, all_evidence, decide, in_runs


@dataclass(frozen=True, slots=True)
class References:
    """Rows of files, (n,) each."""

    names: tuple[str, ...]
    """Names of the files."""
    file: NDArray[np.int64]
    """Which of the files each row is in."""
    row: NDArray[np.int64]
    """Its number there."""

    def __len__(self) -> int:
        return len(self.file)

    def and_pieces(self, tasks: Sequence[GroupTask]) -> "References":
        """These, and behind them the pieces that tasks make."""
        counts = [len(item.groups) for item in tasks]
        files = len(self.names) + np.arange(len(tasks))
        return References(
            (*self.names, *(item.name for item in tasks)),
            np.concatenate((self.file, np.repeat(files, counts))),
            np.concatenate((self.row, *(np.arange(count) for count in counts))),
        )


PIECES = 1
"""Pieces of long things that one task unites."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The things of one scene that lie in several blocks, by reference."""

    task: SceneTask
    """Scene and question."""
    references: References
    """What they are made of."""
    groups: Runs
    """Numbers of the references of every thing, in the order of the ground."""
    name: str
    """What the names of files made of them begin with."""

    @property
    def is_long(self) -> bool:
        """Some thing has more members than are united at once."""
        return bool((self.groups.lengths > RUN).any())

    def shortened(self) -> "tuple[list[GroupTask], Standing]":
        """Tasks that unite long things piece by piece, and the same things made of these pieces."""
        is_long = self.groups.lengths > RUN
        pieces, regrouped = in_runs(self.groups.take(np.flatnonzero(is_long)))
        numbers = np.arange(len(pieces))
        parts = [numbers[start : start + PIECES] for start in range(0, len(pieces), PIECES)]
        name = f"{self.name}-pieces-{len(self.references.names)}"
        tasks = [
            self._task(pieces.take(part), f"{name}-{place}", whole=False) for place, part in enumerate(parts)
        ]
        made = Runs(regrouped.values + len(self.references), regrouped.starts)
        short = self.groups.take(np.flatnonzero(~is_long))
        order = np.argsort(np.concatenate((np.flatnonzero(~is_long), np.flatnonzero(is_long))))
        groups = all_runs([short, made]).take(order)
        return tasks, replace(self, references=self.references.and_pieces(tasks), groups=groups)

    def tasks(self) -> list[GroupTask]:
        """Tasks that unite all things, those whose first member is in the same file together."""
        homes = self.references.file[self.groups.values[self.groups.starts[:-1]]]
        return [
            self._task(self.groups.take(numbers), f"{self.name}-across-{homes[numbers[0]]}", whole=True)
            for numbers in runs_of(homes)
        ]

    def _task(self, groups: Runs, name: str, *, whole: bool) -> GroupTask:
        wanted = np.unique(groups.values)
        files, rows = self.references.file[wanted], self.references.row[wanted]
        sources = tuple((self.references.names[files[part[0]]], rows[part]) for part in runs_of(files))
        members = Runs(np.searchsorted(wanted, groups.values), groups.starts)
        return GroupTask(self.task, sources, members, name, whole)


@dataclass(frozen=True, slots=True)
class MergedBlocks:
    """What the blocks of one scene came to, in their order."""

    items: tuple[BlockTask, ...]
    """The blocks."""
    merges: tuple[BlockMerge, ...]
    """What each came to."""

    @property
    def open(self) -> dict[int, Open]:
        """By number of its block, what is open."""
        return {number: each.open for number, each in enumerate(self.merges) if each.open is not None}

    def border_tasks(self) -> list[BorderTask]:
        """One task for each block in which something is open: every two blocks meet in one of them."""
        around, opened = self._around(), self.open
        return [
            self._border_task(number, around[number], [other for other in around[number] if other in opened])
            for number in opened
        ]

    def _border_task(self, number: int, around: Sequence[int], opened: Sequence[int]) -> BorderTask:
        later = [other for other in opened if other > number]
        unread = [NO_WINDOWS, *(self.merges[other].unread for other in around)]
        item = self.items[number]
        return BorderTask(
            name=item.open_name,
            others=tuple(self.items[other].open_name for other in later),
            unread=np.concatenate(unread),
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

    def standing(self, tasks: Sequence[BorderTask], borders: Sequence[Border]) -> Standing:
        """Which open sightings stand for a thing together.

        Args:
            tasks: The border tasks.
            borders: What was found at each.
        """
        opened = list(self.open.values())
        files = {item.name: place for place, item in enumerate(tasks)}
        starts = np.concatenate(([0], np.cumsum([len(each.evidence) for each in opened])))
        parts = [_spared(each.evidence, border) for each, border in zip(opened, borders, strict=True)]
        between = list(_between(tasks, borders, {name: int(starts[at]) for name, at in files.items()}))
        evidence = all_evidence(parts, between)
        tiles = np.concatenate([each.tiles for each in opened])
        order = np.lexsort((np.arange(len(tiles)), tiles[:, 0], tiles[:, 1]))
        groups = decide(evidence.take(order))
        lengths = np.diff(starts)
        references = References(
            names=tuple(files),
            file=np.repeat(np.arange(len(lengths)), lengths),
            row=np.arange(starts[-1]) - np.repeat(starts[:-1], lengths),
        )
        task = self.items[0].task
        return Standing(task, references, Runs(order[groups.values], groups.starts), self.items[0].name)


def _spared(evidence: Evidence, border: Border) -> Evidence:
    """What is known of a block's sightings, with what tiles around that gave no answer may have confirmed."""
    deniable = evidence.deniable.copy()
    deniable[border.spared] = False
    return replace(evidence, deniable=deniable)


def _between(
    tasks: Sequence[BorderTask], borders: Sequence[Border], starts: dict[str, int]
) -> Iterator[Matches]:
    """Pairs of sightings of different blocks, counted over all that is open."""
    for task, border in zip(tasks, borders, strict=True):
        for name, found in zip(task.others, border.matches, strict=True):
            yield replace(found, first=found.first + starts[task.name], second=found.second + starts[name])
