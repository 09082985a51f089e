"""Reads COCO instances: boxes, run lengths, polygons, and the ways real files bend them."""

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from tiling.geo import parts_of, valid_polygons
from training import DatasetError
from training.data import Problem
from training.datasets import decode_rle
from training.labels.class_names import Naming
from training.labels.images import Channels, load_image
from training.labels.label_builder import LabelBuilder
from training.labels.labelled_image import LabelledImage, LabelReading
from training.labels.raster_mask import hull, outline_of

MAX_BYTES = 512_000_000
"""Largest annotation file that is read."""
MAX_TEXT = 4_000_000
"""Longest value written as text that is taken apart."""
AGREE = 0.5
"""IoU of box and mask below which they disagree."""

CocoEntry = Mapping[str, object]
CornerBox = tuple[float, float, float, float]
BoxAndOutline = tuple[CornerBox, shapely.Polygon]


@dataclass(frozen=True, slots=True)
class _File:
    """What stands in an annotation file, by id as text."""

    images: Mapping[str, CocoEntry]
    """Image entries."""
    labels: Mapping[str, str]
    """Names of the categories."""
    annotations: Mapping[str, Sequence[CocoEntry]]
    """Annotations by image id."""


def read_coco(file: Path, find: Callable[[str], Path | Channels | None], *, naming: Naming) -> LabelReading:
    """Read an annotation file and the images that are there.

    Args:
        file: The JSON file.
        find: Gives the image of a `file_name`, or three files of one band each; None where there is none.
        naming: What the categories mean.

    Returns:
        The images in the order of the file. Annotations whose image or category is not listed, images
        that are missing, unreadable or of another size, and every shape that cannot be used are problems.

    Raises:
        DatasetError: The file cannot be read as COCO.
    """
    problems: list[Problem] = []
    content = _parsed(file, problems)
    found: list[LabelledImage] = []
    for key, entry in content.images.items():
        name = str(entry.get("file_name", ""))
        source = find(name)
        if source is None:
            problems.append(Problem(str(file), name, "image is not there"))
            continue
        try:
            loaded = load_image(source)
        except DatasetError:
            problems.append(Problem(str(file), name, "image cannot be read"))
            continue
        height, width = loaded.valid.shape
        if (_whole(entry.get("height")), _whole(entry.get("width"))) != (height, width):
            problems.append(Problem(str(file), name, "image is not of the declared size"))
            continue
        labels = LabelBuilder(str(file), (height, width), naming)
        for annotation in content.annotations.get(key, ()):
            _take(labels, annotation, content.labels)
        found.append(labels.image(Path(name).stem, loaded))
        problems += labels.problems
    return LabelReading(tuple(found), tuple(problems))


def _parsed(file: Path, problems: list[Problem]) -> _File:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DatasetError(f"{file}: larger than {MAX_BYTES} bytes")
        content = json.loads(file.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DatasetError(f"{file}: cannot be read as JSON: {error}") from error
    parts = ("images", "categories", "annotations")
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in parts):
        raise DatasetError(f"{file}: is not COCO: it needs the lists {', '.join(parts)}")
    images, categories, annotations = ([e for e in content[part] if isinstance(e, dict)] for part in parts)
    listed = {str(entry.get("id")): entry for entry in images}
    owned: dict[str, list[CocoEntry]] = {key: [] for key in listed}
    for annotation in annotations:
        key = str(annotation.get("image_id"))
        if key in owned:
            owned[key].append(annotation)
        else:
            where = f"annotation {annotation.get('id')}"
            problems.append(Problem(str(file), where, "annotation of an image that is not listed"))
    return _File(listed, {str(c.get("id")): str(c.get("name", "")) for c in categories}, owned)


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _take(labels: LabelBuilder, annotation: CocoEntry, names: Mapping[str, str]) -> None:
    where = f"annotation {annotation.get('id')}"
    label = names.get(str(annotation.get("category_id")))
    if label is None:
        return labels.note(where, "category is not listed")
    if str(annotation.get("iscrowd", 0)) == "1":
        labels.note(where, "marked as a crowd, taken as one object")
    box = _box(labels, where, annotation.get("bbox"))
    shape = _shape(labels, where, annotation.get("segmentation"))
    if shape is None:
        if box is None:
            return labels.note(where, "neither box nor mask")
        return labels.add(where, label, box)
    if box and _iou(box, shape[0]) < AGREE:
        labels.note(where, "box and mask disagree, mask taken")
    labels.add(where, label, shape[0], shape[1])


def _box(labels: LabelBuilder, where: str, value: object) -> CornerBox | None:
    value = _untexted(labels, where, value)
    if value is None or value == []:
        return None
    try:
        x, y, w, h = (float(v) for v in value)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        labels.note(where, "box is not four finite numbers")
        return None
    return x, y, x + w, y + h


def _untexted(labels: LabelBuilder, where: str, value: object) -> object:
    """A value that was written as the text of a Python literal, taken apart."""
    if not isinstance(value, str):
        return value
    try:
        if len(value) > MAX_TEXT:
            raise ValueError("too long")
        taken: object = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        labels.note(where, "value written as text cannot be taken apart")
        return None
    labels.note(where, "value written as text, taken apart")
    return taken


def _shape(labels: LabelBuilder, where: str, value: object) -> BoxAndOutline | None:
    value = _untexted(labels, where, value)
    if isinstance(value, dict):
        return _from_runs(labels, where, value)
    if isinstance(value, list) and value:
        return _from_rings(labels, where, value)
    return None


def _from_runs(labels: LabelBuilder, where: str, value: CocoEntry) -> BoxAndOutline | None:
    size, counts = value.get("size"), value.get("counts")
    if not isinstance(size, list | tuple) or [_whole(side) for side in size] != list(labels.size):
        labels.note(where, "mask is not of its image's size")
        return None
    try:
        mask = decode_rle(counts, labels.size)  # type: ignore[arg-type]
    except (DatasetError, TypeError):
        labels.note(where, "mask cannot be decoded")
        return None
    box = hull(mask)
    if box is None:
        labels.note(where, "mask is empty")
        return None
    return box, outline_of(mask, box)


def _from_rings(labels: LabelBuilder, where: str, rings: Sequence[object]) -> BoxAndOutline | None:
    """The union of polygons given as flat lists x, y, x, y, …; the outline is its biggest part."""
    try:
        points = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings]
        polygons = valid_polygons(np.array([shapely.Polygon(ring) for ring in points], dtype=object))
    except (TypeError, ValueError, shapely.GEOSException):
        labels.note(where, "polygon cannot be read")
        return None
    parts = parts_of(np.asarray(shapely.union_all(polygons)))
    if not len(parts):
        labels.note(where, "mask is empty")
        return None
    x0, y0, x1, y1 = (float(v) for v in shapely.total_bounds(parts))
    return (x0, y0, x1, y1), parts[int(np.argmax(shapely.area(parts)))]


def _iou(a: CornerBox, b: CornerBox) -> float:
    first, second = shapely.box(*a), shapely.box(*b)
    whole = first.union(second).area
    return float(first.intersection(second).area / whole) if whole > 0 else 0.0
