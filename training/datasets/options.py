"""What a caller may choose about the examples of a dataset."""

from dataclasses import dataclass
from enum import StrEnum

from reasoner.query import Task
from training import DatasetError


class Questions(StrEnum):
    """Which of an image's questions are asked."""

    FIRST = "first"
    """The first one only, as SegEarth-R1 does."""
    ALL = "all"
    """Every one, each an example of its own."""


class TargetSplit(StrEnum):
    """How a binary mask becomes targets."""

    WHOLE = "whole"
    """One target, one box about all of it: the published convention at region level."""
    COMPONENTS = "components"
    """One target for every patch of touching pixels, corners included."""


class Phrasing(StrEnum):
    """Which wordings of the questions about a practice class are used."""

    TRAINING = "ask"
    """The questions models are trained on."""
    HELD_OUT = "spare"
    """The questions kept apart for evaluation."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What to make of a dataset; each layout takes what concerns it."""

    questions: Questions = Questions.FIRST
    """EarthReason: which questions of an image."""
    parts: TargetSplit = TargetSplit.WHOLE
    """Datasets of binary masks: one target an image, or one a patch."""
    phrasing: Phrasing = Phrasing.TRAINING
    """Practice folders: which questions about a class."""
    tasks: tuple[Task, ...] = (Task.LOCATE, Task.CAPTION, Task.VQA)
    """Practice folders: which tasks."""
    tiles: int | None = None
    """Practice folders: so many tiles at random places; None takes a grid that covers every scene."""
    tile_px: int = 128
    """Practice folders: side of a tile, pixels."""

    def __post_init__(self) -> None:
        if self.tile_px < 1 or (self.tiles is not None and self.tiles < 1):
            raise DatasetError(f"tile_px is {self.tile_px}, tiles is {self.tiles}: give 1 or more")


STANDARD = Choices()
"""First questions, one box an image, everyday phrasing, a grid of tiles."""
