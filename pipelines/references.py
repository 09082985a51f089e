"""Which rows of which files stand in a thing, and who unites them. Knows no outline and reads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipelines.settling import SceneTask
from pipelines.uniting_step import GroupTask
from tiling.ragged import Runs, all_runs, runs_of
from tiling.things import RUN, in_runs


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
