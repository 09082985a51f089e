"""Reads Pascal VOC annotations: one XML file an image, boxes from corner to corner."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from training import DatasetError
from training.data import Problem
from training.labels.class_names import Naming
from training.labels.images import load_image
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelledImage, LabelReading

MAX_BYTES = 16_000_000
"""Largest annotation file that is parsed."""
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read_voc(annotations: Sequence[Path], images: Mapping[str, Path], *, naming: Naming) -> LabelReading:
    """Read annotation files and the images they name.

    Args:
        annotations: XML files.
        images: Image by file name; where none has the name given, the one with the file's stem is taken.
        naming: What labels mean.

    Returns:
        The images in the order of the files. A file that is not an annotation, or whose image is missing,
        unreadable or of another size than declared, is a problem, and so is a box that cannot be used.
    """
    found: list[LabelledImage] = []
    problems: list[Problem] = []
    by_stem = {Path(name).stem: path for name, path in images.items()}
    for file in annotations:
        try:
            root = _parsed(file)
        except DatasetError as error:
            problems.append(Problem(str(file), "", str(error)))
            continue
        name = root.findtext("filename") or ""
        path = images.get(name) or by_stem.get(file.stem)
        if path is None:
            problems.append(Problem(str(file), name, "image is not there"))
            continue
        image, noted = _labelled(file, root, path, naming)
        problems += noted
        found += [image] if image else []
    return LabelReading(tuple(found), tuple(problems))


def _parsed(file: Path) -> ElementTree.Element:
    try:
        text = file.read_bytes()
        if len(text) > MAX_BYTES or b"<!ENTITY" in text:
            raise DatasetError("annotation is too large or defines entities")
        return ElementTree.fromstring(text)
    except OSError as error:
        raise DatasetError("annotation cannot be read") from error
    except ElementTree.ParseError as error:
        raise DatasetError("annotation is not XML") from error


def _labelled(
    file: Path, root: ElementTree.Element, path: Path, naming: Naming
) -> tuple[LabelledImage | None, Sequence[Problem]]:
    try:
        loaded = load_image(path)
    except DatasetError:
        return None, [Problem(str(file), path.name, "image cannot be read")]
    height, width = loaded.valid.shape
    declared = root.findtext("size/width"), root.findtext("size/height")
    if all(declared) and declared != (str(width), str(height)):
        return None, [Problem(str(file), path.name, "image is not of the declared size")]
    labels = LabelBuilder(str(file), (height, width), naming)
    for number, entry in enumerate(root.iter("object"), start=1):
        corners = [entry.findtext(f"bndbox/{corner}") for corner in CORNERS]
        try:
            box = [float(corner or "") for corner in corners]
        except ValueError:
            labels.note(f"object {number}", "box is not four finite numbers")
            continue
        labels.add(f"object {number}", entry.findtext("name") or "", box)
    return labels.image(path.stem, loaded), labels.problems
