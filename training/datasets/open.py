"""Opens a dataset by the name of its layout."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from training import DatasetError
from training.data import Reading
from training.datasets.options import STANDARD, Choices

SOURCES = ("practice", "earthreason", "rrsisd", "refsegrs", "risbench")
"""Names of the layouts that are read."""


def read_examples(
    name: str,
    root: Path,
    *,
    split: str,
    limit: int | None = None,
    seed: int = 0,
    choices: Choices = STANDARD,
) -> Reading:
    """Read a dataset's examples; pixels and masks are read when asked for.

    Args:
        name: One of `SOURCES`.
        root: Its folder.
        split: `train`, `val` or `test`; in a practice folder `test` takes every scene.
        limit: At most so many examples, drawn by the seed.
        seed: Of every draw.
        choices: Which questions, what counts as one target, which tiles.

    Raises:
        DatasetError: The name or the split is unknown, or the folder is not laid out so; the message names
            the file that was expected.
    """
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root} was looked for and is not a folder")
    return _reader(name)(root, split=split, choices=choices, limit=limit, seed=seed)


def _reader(name: str) -> Callable[..., Reading]:
    """The reader of a layout, imported only now: practice folders need the words of the training."""
    if name == "practice":
        from training.datasets.practice_folder import read_practice_folder

        return read_practice_folder
    if name == "earthreason":
        from training.datasets.earthreason import read_earthreason

        return read_earthreason
    if name == "rrsisd":
        from training.datasets.rrsisd import read_rrsisd

        return read_rrsisd
    if name in ("refsegrs", "risbench"):
        from training.datasets.refsegrs_risbench import REFSEGRS, RISBENCH, read_phrases

        return partial(read_phrases, layout=REFSEGRS if name == "refsegrs" else RISBENCH)
    raise DatasetError(f"dataset {name!r} is unknown: give one of {', '.join(SOURCES)}")
