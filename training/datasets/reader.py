"""Reads the entries of a dataset one after the other and counts what cannot be used."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from reasoner.errors import QueryError
from reasoner.query import Query
from training import DatasetError
from training.data import Example, Problem, Reading
from training.datasets.errors import UnusableError

SPLITS = ("train", "val", "test")
"""Names of the parts of a dataset."""


class DatasetEntry(Protocol):
    """One entry to be read: an image with its annotation, a line, a reference."""

    @property
    def file(self) -> str:
        """File it stands in."""
        ...

    @property
    def where(self) -> str:
        """Which entry of the file it is."""
        ...


E = TypeVar("E", bound=DatasetEntry)


@dataclass(frozen=True, slots=True)
class EntryResult:
    """What one entry gave."""

    examples: tuple[Example, ...] = ()
    """Its examples, in order."""
    problems: tuple[Problem, ...] = ()
    """What was left out or mended."""


def read_entries(
    entries: Sequence[E],
    read: Callable[[E], EntryResult],
    *,
    limit: int | None,
    seed: int,
    before: Sequence[Problem] = (),
) -> Reading:
    """Read entries into one Reading, in their order.

    Args:
        entries: What to read.
        read: Reads one; `UnusableError` leaves it out and counts it.
        limit: At most so many examples, of entries drawn at random; None reads all.
        seed: Of the draw; the same seed draws the same entries.
        before: Problems met before the entries were known.

    Raises:
        DatasetError: The limit is below 1 or the seed below 0.
    """
    found: dict[int, EntryResult] = {}
    left = len(entries) if limit is None else limit
    for number in _order(len(entries), limit, seed):
        if limit is not None and left <= 0:
            break
        each = _tried(entries[number], read)
        found[number] = each if limit is None else EntryResult(each.examples[:left], each.problems)
        left -= len(each.examples)
    kept = [found[number] for number in sorted(found)]
    examples = chain.from_iterable(each.examples for each in kept)
    problems = chain.from_iterable(each.problems for each in kept)
    return Reading(tuple(examples), (*before, *problems))


def _order(count: int, limit: int | None, seed: int) -> Sequence[int]:
    if (limit is not None and limit < 1) or seed < 0:
        raise DatasetError(f"limit is {limit}, seed is {seed}: give a limit from 1 up and a seed from 0 up")
    if limit is None:
        return range(count)
    drawn: list[int] = np.random.default_rng(seed).permutation(count).tolist()
    return drawn


def _tried(entry: E, read: Callable[[E], EntryResult]) -> EntryResult:
    try:
        return read(entry)
    except UnusableError as reason:
        return EntryResult((), (Problem(entry.file, entry.where, str(reason)),))


def problem_of(entry: DatasetEntry, what: str) -> Problem:
    """Something about an entry that was mended."""
    return Problem(entry.file, entry.where, what)


def locate_query(text: object) -> Query:
    """A question of the locate task.

    Raises:
        UnusableError: It is not a text, or an empty one.
    """
    if not isinstance(text, str):
        raise UnusableError("the question is not a text")
    try:
        return Query(text)
    except QueryError as error:
        raise UnusableError("the question is empty") from error


def checked_split(split: str) -> str:
    """The split, if there is one of that name.

    Raises:
        DatasetError: There is none.
    """
    if split not in SPLITS:
        raise DatasetError(f"split {split!r} is unknown: give one of {', '.join(SPLITS)}")
    return split


def needed(path: Path, layout: str, root: Path) -> Path:
    """A file or folder that a layout must have.

    Raises:
        DatasetError: It is not there.
    """
    if not path.exists():
        raise DatasetError(f"{root} is not laid out as {layout}: {path} was looked for and is not there")
    return path
