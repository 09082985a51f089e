"""What a run says while it works: events to a listener. Prints nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.tasks import ChunkDone


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
class MergeStarted:
    """Event: all chunks are committed and fragments are being joined."""

    n_scenes: int
    """Scenes to merge."""


@dataclass(frozen=True, slots=True)
class MergeMoved:
    """Event: one item of a step of the merge is done."""

    doing: str
    """What the step does, in words."""
    done: int
    """Items done."""
    total: int
    """Items of the step."""


Event = RunStarted | ChunkDone | MergeStarted | MergeMoved
Listener = Callable[[Event], None]
"""Takes events as they happen."""


def ignore(event: Event) -> None:
    """A listener that does nothing."""
