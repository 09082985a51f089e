"""Reads YOLO labels: one text file an image, a line a box in shares of the image."""

from collections.abc import Sequence
from pathlib import Path

from training import DatasetError
from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import load_image
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelledImage, LabelReading


def read_yolo(images: Sequence[Path], names: Path, *, naming: Naming) -> LabelReading:
    """Read images and the label files beside them, which have the images' stems.

    Args:
        images: Pictures.
        names: File with the name of class 0, 1, … on its lines.
        naming: What these names mean.

    Returns:
        The images in the order given. An unreadable image, a missing label file and a line that is not a
        known class and four shares are problems.

    Raises:
        DatasetError: The file of names cannot be read.
    """
    try:
        classes = [line.strip() for line in names.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{names}: the names of the classes cannot be read: {error}") from error
    found: list[LabelledImage] = []
    problems: list[Problem] = []
    for path in images:
        file = path.with_suffix(".txt")
        try:
            loaded, lines = load_image(path), file.read_text().splitlines()
        except (OSError, UnicodeDecodeError, DatasetError) as error:
            what = "image cannot be read" if isinstance(error, DatasetError) else "label file cannot be read"
            problems.append(Problem(str(file), path.name, what))
            continue
        labels = LabelBuilder(str(file), loaded.valid.shape, naming)
        for number, line in enumerate(lines, start=1):
            if line.strip():
                _take(labels, f"line {number}", line, classes)
        found.append(labels.image(path.stem, loaded))
        problems += labels.problems
    return LabelReading(tuple(found), tuple(problems))


def _take(labels: LabelBuilder, where: str, line: str, classes: Sequence[str]) -> None:
    words = line.split()
    try:
        number = int(words[0])
        x, y, w, h = (float(word) for word in words[1:])
    except ValueError:
        return labels.note(where, "line is not a class and four shares")
    if not 0 <= number < len(classes):
        return labels.note(where, "class has no name")
    height, width = labels.size
    box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    labels.add(where, classes[number], box)
