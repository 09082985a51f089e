"""The events by which a run reports its progress to a listener, such as a progress bar."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunStarted:
    """Event: the plan is frozen and work begins."""

    n_chunks: int
    """Chunks planned."""
    n_pending: int
    """Chunks still to do."""
    n_pending_tiles: int
    """Tiles in them."""


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """Event: a chunk's files are committed."""

    chunk_id: str
    """Id of the chunk."""
    scene_id: str
    """Id of its scene."""
    n_tiles: int
    """Tiles in it."""
    statuses: Mapping[str, int]
    """Rows per status, over all its questions."""


@dataclass(frozen=True, slots=True)
class MergeStarted:
    """Event: all chunks are committed and the merge begins."""

    n_scenes: int
    """Scenes to merge."""


@dataclass(frozen=True, slots=True)
class MergeMoved:
    """Event: one item of a step of the merge is done."""

    doing: str
    """Text that says what the step does."""
    done: int
    """Items done."""
    total: int
    """Items of the step."""


Event = RunStarted | ChunkDone | MergeStarted | MergeMoved
Listener = Callable[[Event], None]
"""Takes events as they happen."""


def ignore(event: Event) -> None:
    """A listener that does nothing."""
