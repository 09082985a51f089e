"""RefSegRS and RISBench: lines of `<file> <phrase>` for each split, and a folder each of images and masks."""

import re
from dataclasses import dataclass
from pathlib import Path

from training.data import Example, FileImage, Problem, Reading
from training.datasets.errors import UnusableError
from training.datasets.images import SUFFIXES, MaskFile, image_size, mask_boxes, sized_mask
from training.datasets.options import STANDARD, Choices
from training.datasets.reader import (
    EntryResult,
    checked_split,
    locate_query,
    needed,
    problem_of,
    read_entries,
)

ABOVE = 127
"""255 is the target; the middle keeps the noise of JPEG masks out."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one of the datasets keeps its files."""

    name: str
    """Name of the source."""
    title: str
    """As its authors write it."""
    images: str
    """Folder of images."""
    masks: str
    """Folder of masks."""
    place: str
    """Pattern whose first group, matched against an image's stem, names the ground it shows."""


REFSEGRS = Layout("refsegrs", "RefSegRS", "images", "masks", r"(.+)")
RISBENCH = Layout("risbench", "RISBench", "img_rgb", "mask", r"(.*?\d+)(?:_\d+)?")
"""`train_528_0` and `train_528_3` are two targets on one ground."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a phrase file."""

    file: str
    """The phrase file."""
    number: int
    """From 1."""
    text: str
    """File name, space, phrase."""

    @property
    def where(self) -> str:
        """Its number."""
        return f"line {self.number}"


@dataclass(frozen=True, slots=True)
class Folder:
    """Files of a folder, found by name or, whatever their ending, by stem."""

    path: Path
    """The folder."""
    names: frozenset[str]
    """All names in it."""
    stems: dict[str, tuple[str, ...]]
    """Names of images by their stem."""

    @classmethod
    def of(cls, path: Path) -> "Folder":
        """List a folder."""
        names = sorted(each.name for each in path.iterdir() if not each.name.startswith("."))
        stems: dict[str, tuple[str, ...]] = {}
        for name in names:
            if Path(name).suffix.lower() in SUFFIXES:
                stems[Path(name).stem] = (*stems.get(Path(name).stem, ()), name)
        return cls(path, frozenset(names), stems)

    def find(self, name: str, what: str) -> Path:
        """The image of a name, with any ending.

        Raises:
            UnusableError: There is none, or several and none has exactly that name.
        """
        if name in self.names:
            return self.path / name
        found = self.stems.get(_stem(name), ())
        if len(found) != 1:
            raise UnusableError(f"several {what}s of one name" if found else f"no {what}")
        return self.path / found[0]


def _stem(name: str) -> str:
    """A name without the ending of an image; dots elsewhere belong to it."""
    return Path(name).stem if Path(name).suffix.lower() in SUFFIXES else name


def read_phrases(
    root: Path,
    layout: Layout,
    *,
    split: str,
    choices: Choices = STANDARD,
    limit: int | None = None,
    seed: int = 0,
) -> Reading:
    """Read `output_phrase_<split>.txt` and the images and masks its lines name; empty lines are skipped.

    A line whose mask is empty is kept as a question without a target, and counted.

    Args:
        root: The dataset's folder.
        layout: Which of the two it is.
        split: `train`, `val` or `test`.
        choices: What counts as one target.
        limit: At most so many examples, drawn by the seed.
        seed: Of the draw.

    Raises:
        DatasetError: The folder is not laid out so, or the split is unknown.
    """
    listed = needed(root / f"output_phrase_{checked_split(split)}.txt", layout.title, root)
    images = Folder.of(needed(root / layout.images, layout.title, root))
    masks = Folder.of(needed(root / layout.masks, layout.title, root))
    lines, problems = _lines(listed)
    reader = _PhraseReader(layout, split, images, masks, choices)
    return read_entries(lines, reader.read, limit=limit, seed=seed, before=problems)


def _lines(path: Path) -> tuple[list[Line], list[Problem]]:
    """Lines that are not empty; what is not UTF-8 becomes a question mark and a problem."""
    lines, problems = [], []
    for number, raw in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        line = Line(str(path), number, raw.decode("utf-8", errors="replace").strip())
        if line.text:
            lines.append(line)
        if "\ufffd" in line.text:
            problems.append(problem_of(line, "not UTF-8: characters replaced"))
    return lines, problems


@dataclass(frozen=True, slots=True)
class _PhraseReader:
    """Reads the lines of one split."""

    layout: Layout
    """Which dataset."""
    split: str
    """Part of it."""
    images: Folder
    """Its images."""
    masks: Folder
    """Its masks."""
    choices: Choices
    """What counts as one target."""

    def read(self, line: Line) -> EntryResult:
        """The example of a line."""
        name, *rest = line.text.split(maxsplit=1)
        if not rest:
            raise UnusableError("no phrase")
        image, label = self.images.find(name, "image"), self.masks.find(name, "mask")
        size = image_size(image)
        mask = sized_mask(label, size, above=ABOVE)
        ground = re.fullmatch(self.layout.place, image.stem)
        example = Example(
            id=f"{self.split}/{line.number}",
            source=self.layout.name,
            place=ground[1] if ground else image.stem,
            query=locate_query(rest[0]),
            size=size,
            boxes=mask_boxes(mask, self.choices.parts),
            picture=FileImage(image),
            shapes=MaskFile(label, ABOVE, self.choices.parts),
        )
        empty = () if mask.any() else (problem_of(line, "the mask is empty: taken as no target"),)
        return EntryResult((example,), empty)
