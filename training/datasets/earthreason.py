"""EarthReason: an image, a binary mask and a file of questions for each id, in a folder for each split."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reasoner.query import Query
from training.data import Example, FileImage, Problem, Reading
from training.datasets.errors import UnusableError
from training.datasets.images import SUFFIXES, MaskFile, image_size, mask_boxes, sized_mask
from training.datasets.options import STANDARD, Choices, Questions
from training.datasets.reader import (
    EntryResult,
    checked_split,
    locate_query,
    needed,
    problem_of,
    read_entries,
)

NAME = "earthreason"
ABOVE = 0
"""Any value but 0 is the target."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """The files of one id."""

    folder: Path
    """Folder of the split."""
    stem: str
    """The id."""
    images: tuple[Path, ...]
    """Images of that id; one, if all is well."""

    @property
    def file(self) -> str:
        """Folder of the split."""
        return str(self.folder)

    @property
    def where(self) -> str:
        """The id."""
        return self.stem


def read_earthreason(
    root: Path, *, split: str, choices: Choices = STANDARD, limit: int | None = None, seed: int = 0
) -> Reading:
    """Read `{train,val,test}/images`, `labels` and `QAs`, paired by stem; hidden files are skipped.

    The mask decides what is true: where `answer` says otherwise the example is kept and counted.

    Args:
        root: The dataset's folder.
        split: `train`, `val` or `test`.
        choices: Which questions, and what counts as one target.
        limit: At most so many examples, drawn by the seed.
        seed: Of the draw.

    Raises:
        DatasetError: The folder is not laid out so, or the split is unknown.
    """
    folder = needed(root / checked_split(split), "EarthReason", root)
    images, problems = _images(needed(folder / "images", "EarthReason", root))
    labels = {path.stem for path in _files(needed(folder / "labels", "EarthReason", root))}
    asks = {path.stem for path in _files(needed(folder / "QAs", "EarthReason", root))}
    items = [
        ImageFiles(folder, stem, tuple(images.get(stem, ())))
        for stem in sorted({*images, *labels, *asks}, key=_natural)
    ]
    return read_entries(
        items, lambda item: _read(item, split, choices), limit=limit, seed=seed, before=problems
    )


def _natural(stem: str) -> tuple[int, str]:
    """Numbers in their order, before and beside names."""
    return (int(stem) if stem.isdecimal() and len(stem) < 16 else -1), stem


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))


def _images(folder: Path) -> tuple[dict[str, list[Path]], list[Problem]]:
    images: dict[str, list[Path]] = {}
    problems = []
    for path in _files(folder):
        if path.suffix.lower() in SUFFIXES:
            images.setdefault(path.stem, []).append(path)
        else:
            problems.append(Problem(str(folder), path.name, "not an image file"))
    return images, problems


def _read(item: ImageFiles, split: str, choices: Choices) -> EntryResult:
    if len(item.images) != 1:
        raise UnusableError("several images of one id" if item.images else "no image")
    (path,) = item.images
    label = item.folder / "labels" / f"{item.stem}.png"
    questions, says_none = _questions(item.folder / "QAs" / f"{item.stem}.json")
    size = image_size(path)
    mask = sized_mask(label, size, above=ABOVE)
    boxes = mask_boxes(mask, choices.parts)
    queries, problems = _queries(item, questions, choices.questions)
    examples = tuple(
        Example(
            id=f"{split}/{item.stem}#{number}",
            source=NAME,
            place=f"{split}/{item.stem}",
            query=query,
            size=size,
            boxes=boxes,
            picture=FileImage(path),
            shapes=MaskFile(label, ABOVE, choices.parts),
        )
        for number, query in queries
    )
    if says_none is not None and says_none == bool(mask.any()):
        problems.append(problem_of(item, "answer and mask disagree: the mask decides"))
    return EntryResult(examples, tuple(problems))


def _questions(path: Path) -> tuple[list[object], bool | None]:
    """The questions, and whether the answer says there is no target; None where it says nothing."""
    if not path.is_file():
        raise UnusableError("no questions file")
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UnusableError("the questions file is not JSON") from error
    questions = data.get("questions") if isinstance(data, dict) else None
    if not isinstance(questions, list) or not questions:
        raise UnusableError("the questions file holds no questions")
    answer = data.get("answer")
    return questions, (answer == []) if isinstance(answer, list) else None


def _queries(
    item: ImageFiles, questions: list[object], which: Questions
) -> tuple[list[tuple[int, Query]], list[Problem]]:
    """Numbered questions that can be asked; what cannot is a problem."""
    queries, problems = [], []
    for number, text in enumerate(questions[:1] if which is Questions.FIRST else questions):
        try:
            queries.append((number, locate_query(text)))
        except UnusableError as reason:
            problems.append(Problem(str(item.folder / "QAs"), f"{item.stem}#{number}", str(reason)))
    return queries, problems
