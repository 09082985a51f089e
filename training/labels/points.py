"""Reads points, one CSV file of x,y an image, as boxes of an assumed size."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from training import DatasetError
from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import load_image
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelledImage, LabelReading


def read_points(
    files: Sequence[Path],
    images: Mapping[str, Path],
    *,
    size_px: float,
    naming: Naming,
    bands: tuple[int, ...] | None = None,
) -> LabelReading:
    """Read points in image pixels as square boxes about them.

    The size is an assumption, the same for all: a point says where an object is, not how large. Figures that
    compare boxes closely (IoU above 0.5) must not be read as if these boxes were measured.

    Args:
        files: CSV files with a line `x,y` on top.
        images: Image by stem; the stems of the files choose them.
        size_px: Side of every box, image pixels.
        naming: What the points are: one class.
        bands: Display bands: red, green, blue.

    Returns:
        The images in the order of the files. A file that is not such a CSV, an image that is missing or
        unreadable and a line without two numbers are problems.

    Raises:
        DatasetError: The naming has more classes than one, or the size is not positive.
    """
    if len(naming.complete) != 1 or not size_px > 0:
        raise DatasetError(f"points need one kind and a size above 0, not {naming.complete} and {size_px}")
    found: list[LabelledImage] = []
    problems: list[Problem] = []
    for file in files:
        if file.stem not in images:
            problems.append(Problem(str(file), file.stem, "image is not there"))
            continue
        try:
            loaded, rows = load_image(images[file.stem], bands=bands), _rows(file)
        except DatasetError as error:
            problems.append(Problem(str(file), file.stem, _short(error)))
            continue
        labels = LabelBuilder(str(file), loaded.valid.shape, naming)
        for number, row in enumerate(rows, start=2):
            _take(labels, f"line {number}", row, size_px)
        found.append(labels.image(file.stem, loaded))
        problems += labels.problems
    return LabelReading(tuple(found), tuple(problems))


def _short(error: DatasetError) -> str:
    return "file is not a CSV of x,y" if str(error).endswith("x,y") else "image cannot be read"


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        with file.open(newline="") as text:
            reader = csv.DictReader(text)
            if not {"x", "y"} <= set(reader.fieldnames or ()):
                raise DatasetError(f"{file} is not a CSV of x,y")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{file} is not a CSV of x,y") from error


def _take(labels: LabelBuilder, where: str, row: Mapping[str, str | None], size_px: float) -> None:
    try:
        x, y = float(row["x"] or ""), float(row["y"] or "")
    except ValueError:
        return labels.note(where, "point is not two numbers")
    height, width = labels.size
    if not (0 <= x <= width and 0 <= y <= height):
        return labels.note(where, "point outside of its image")
    half = size_px / 2
    # Clipped here: that an assumed box reaches past the image is not a fault of the label.
    box = (max(x - half, 0.0), max(y - half, 0.0), min(x + half, width), min(y + half, height))
    labels.add(where, labels.naming.complete[0], box)
