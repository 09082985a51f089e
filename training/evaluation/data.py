"""Reads the examples that an evaluation asks about, of any format."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reasoner.query import Task
from training import DatasetError
from training.data import Example, Problem, Reading
from training.evaluation.formats import DataFormat
from training.evaluation.protocols import Protocol


@dataclass(frozen=True, slots=True)
class DataChoice:
    """Which examples are asked about."""

    root: Path
    """Its folder; for `real` also a YAML file beside the datasets, for `tiles` a YAML file."""
    format: DataFormat = DataFormat.PRACTICE
    """Its layout."""
    split: str = "test"
    """`train`, `val` or `test`; in labelled datasets the last two mean the same, the part for validation."""
    limit: int | None = None
    """At most so many examples, drawn by the seed."""
    seed: int = 0
    """Of the draw."""
    held_out: bool = False
    """Ask in the wordings that training never sees, where there are such."""
    boxes_only: bool = False
    """Leave captions and questions answered in words out."""
    tiles: int | None = None
    """So many tiles at random places of a practice folder; None takes the grid that covers its scenes."""
    named: str = ""
    """The folder as the user named it, where that is another place; for reports."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise DatasetError(f"limit is {self.limit}: give 1 or more")
        if self.tiles is not None and (self.tiles < 1 or self.format is not DataFormat.PRACTICE):
            raise DatasetError(
                f"tiles is {self.tiles}: give 1 or more, and a practice folder to cut them from"
            )


def read_data(data: DataChoice, *, protocol: Protocol, tile_px: int) -> Reading:
    """Read the examples.

    Args:
        data: which.
        protocol: determines how many wordings of a question are asked.
        tile_px: side of the tiles cut from scenes and labelled images, pixels.

    Raises:
        DatasetError: the folder is not laid out so, the split is unknown, or nothing can be asked.
    """
    if data.format is DataFormat.LABELLED:
        reading = _labelled(data, tile_px)
    elif data.format is DataFormat.TILES:
        reading = _tiles(data, tile_px)
    else:
        reading = _published(data, protocol, tile_px)
    if not reading.examples:
        counts = ", ".join(f"{count} × {what}" for what, count in reading.counts.items())
        raise DatasetError(f"{data.root} holds nothing to ask about in {data.split!r}: {counts or 'empty'}")
    return reading


def _published(data: DataChoice, protocol: Protocol, tile_px: int) -> Reading:
    from training.datasets import Choices, Phrasing, read_examples

    choices = Choices(
        questions=protocol.rules.questions,
        phrasing=Phrasing.HELD_OUT if data.held_out else Phrasing.TRAINING,
        tasks=(Task.LOCATE,) if data.boxes_only else tuple(Task),
        tiles=data.tiles,
        tile_px=tile_px,
    )
    return read_examples(
        data.format.value, data.root, split=data.split, limit=data.limit, seed=data.seed, choices=choices
    )


def _labelled(data: DataChoice, tile_px: int) -> Reading:
    from training.data import CATALOGUE
    from training.labels import SHIPPED_DATASETS, examples_of, read_dataset_list, read_labelled_dataset, split

    if data.split not in ("train", "val", "test"):
        raise DatasetError(f"split {data.split!r} is unknown: give train, val or test")
    named = data.root.suffix in (".yaml", ".yml")
    root = data.root.parent if named else data.root
    questions = {each.name: each.held_out if data.held_out else each.wordings for each in CATALOGUE}
    examples: list[Example] = []
    problems: list[Problem] = []
    for dataset in read_dataset_list(data.root if named else SHIPPED_DATASETS, root=root):
        if not named and not dataset.root.is_dir():
            problems.append(Problem(str(dataset.root), dataset.name, "a known set is not there"))
            continue
        labels = read_labelled_dataset(dataset)
        problems += labels.problems
        for image in split(labels.images)[0 if data.split == "train" else 1]:
            examples += examples_of(
                image, scale=dataset.scale, tile_px=tile_px, questions=questions, source=dataset.name
            )
    return Reading(_drawn(examples, data), tuple(problems))


def _tiles(data: DataChoice, tile_px: int) -> Reading:
    from training import held_out_tiles, read_fields, tiles_of
    from training.data import tile_examples

    if data.split == "train":
        raise DatasetError(f"{data.root} is asked about ground kept for checking: give val or test")
    tiles = tiles_of(read_fields(data.root))
    source = held_out_tiles(tiles.pool, tiles.real, tile_px=tile_px)
    asked = tile_examples(source, tiles.questions, count=tiles.count, seed=data.seed, name="tiles")
    return Reading(_drawn(list(asked), data))


def _drawn(examples: list[Example], data: DataChoice) -> tuple[Example, ...]:
    """At most `limit` of them, in their order."""
    if data.limit is None or data.limit >= len(examples):
        return tuple(examples)
    kept = np.random.default_rng(data.seed).permutation(len(examples))[: data.limit]
    return tuple(examples[index] for index in sorted(kept.tolist()))
