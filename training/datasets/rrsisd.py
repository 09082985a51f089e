"""RRSIS-D, laid out as REFER does: a pickle of references, a COCO file of masks, a folder of images."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training import DatasetError
from training.data import Example, FileImage, Problem, Reading
from training.datasets.coco_masks import CocoShapes, coco_shapes, decoded
from training.datasets.errors import UnusableError
from training.datasets.images import image_size, mask_boxes
from training.datasets.options import STANDARD, Choices
from training.datasets.reader import (
    EntryResult,
    checked_split,
    locate_query,
    needed,
    problem_of,
    read_entries,
)
from training.datasets.safe_pickle import load_plain

NAME, TITLE = "rrsisd", "RRSIS-D"
REFS, INSTANCES, IMAGES = "rrsisd/refs(unc).p", "rrsisd/instances.json", "images/rrsisd/JPEGImages"

RefRecord = Mapping[str, object]
Id = int | str


@dataclass(frozen=True, slots=True)
class Reference:
    """One entry of the pickle."""

    file: str
    """The pickle."""
    number: int
    """Its place in the list, from 0."""
    record: RefRecord
    """What stands there; empty where it is not a dict."""

    @property
    def where(self) -> str:
        """Its own id, or its place in the list."""
        return f"ref {self.record.get('ref_id', f'number {self.number}')}"


@dataclass(frozen=True, slots=True)
class Table:
    """Records of the COCO file by their id."""

    what: str
    """What they are: `annotation`, `image record`, `category`."""
    records: Mapping[Id, RefRecord]
    """By id."""

    def find(self, key: object) -> RefRecord:
        """The record of an id.

        Raises:
            UnusableError: There is none.
        """
        if not isinstance(key, int | str) or key not in self.records:
            raise UnusableError(f"its {self.what} is not there")
        return self.records[key]


def read_rrsisd(
    root: Path, *, split: str, choices: Choices = STANDARD, limit: int | None = None, seed: int = 0
) -> Reading:
    """Read the references of a split; one example a sentence.

    Boxes are the masks' own; an empty mask is kept as a question without a target, and counted.

    Args:
        root: The dataset's folder.
        split: `train`, `val` or `test`.
        choices: What counts as one target.
        limit: At most so many examples, drawn by the seed.
        seed: Of the draw.

    Raises:
        DatasetError: The folder is not laid out so, the split is unknown, or the pickle is more than data.
    """
    checked_split(split)
    refs_path, instances = needed(root / REFS, TITLE, root), needed(root / INSTANCES, TITLE, root)
    folder = needed(root / IMAGES, TITLE, root)
    refs = load_plain(refs_path)
    if not isinstance(refs, list):
        raise DatasetError(f"{refs_path} holds a {type(refs).__name__}, a list of references is needed")
    tables, problems = _tables(instances)
    entries, more = _of_split(refs, split, str(refs_path))
    reader = _RrsisdReader(split, folder, tables, choices)
    return read_entries(entries, reader.read, limit=limit, seed=seed, before=[*problems, *more])


def _of_split(refs: Iterable[object], split: str, file: str) -> tuple[list[Reference], list[Problem]]:
    """References of a split, and those whose split is not known or whose id was there before."""
    entries, problems, seen = [], [], set()
    for number, record in enumerate(refs):
        ref = Reference(file, number, record if isinstance(record, dict) else {})
        key, stated = ref.record.get("ref_id"), ref.record.get("split")
        if not isinstance(key, int | str) or not isinstance(stated, str):
            problems.append(problem_of(ref, "a reference without id or split"))
        elif key in seen:
            problems.append(problem_of(ref, "a reference's id stands twice: the first is kept"))
        elif stated == split:
            entries.append(ref)
        if isinstance(key, int | str):
            seen.add(key)
    return entries, problems


def _tables(path: Path) -> tuple[dict[str, Table], list[Problem]]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"{path} is not JSON: {error}") from error
    tables, problems = {}, []
    for key, what in (("images", "image record"), ("annotations", "annotation"), ("categories", "category")):
        listed = data.get(key, []) if isinstance(data, dict) else None
        if not isinstance(listed, list) or (not listed and key != "categories"):
            raise DatasetError(f"{path} holds no list `{key}`: it is not a COCO file of instances")
        records: dict[Id, RefRecord] = {}
        for number, record in enumerate(listed):
            own = record.get("id") if isinstance(record, dict) else None
            if not isinstance(own, int | str):
                problems.append(Problem(str(path), f"{key} number {number}", f"{what} without id"))
            elif own in records:
                problems.append(
                    Problem(str(path), f"{key} id {own}", f"{what} stands twice: the first is kept")
                )
            else:
                records[own] = record
        tables[key] = Table(what, records)
    return tables, problems


@dataclass(frozen=True, slots=True)
class _RrsisdReader:
    """Reads the references of one split."""

    split: str
    """Part of the dataset."""
    folder: Path
    """Its images."""
    tables: Mapping[str, Table]
    """`images`, `annotations`, `categories`."""
    choices: Choices
    """What counts as one target."""

    def read(self, ref: Reference) -> EntryResult:
        """The examples of a reference, one a sentence."""
        annotation = self.tables["annotations"].find(ref.record.get("ann_id"))
        image = self.tables["images"].find(ref.record.get("image_id"))
        if annotation.get("image_id") != image.get("id"):
            raise UnusableError("reference and annotation name different images")
        path = _inside(self.folder, image.get("file_name"))
        size = image_size(path)
        if (image.get("height"), image.get("width")) != size:
            raise UnusableError("the image is of another size than its record says")
        shapes = coco_shapes(annotation.get("segmentation"), size, self.choices.parts)
        mask = decoded(shapes)
        boxes = mask_boxes(mask, self.choices.parts)
        class_name = (
            self.tables["categories"].records.get(_id(annotation.get("category_id")), {}).get("name", "")
        )
        example = _Draft(path, size, boxes, shapes, class_name if isinstance(class_name, str) else "")
        problems = _doubts(ref, annotation, mask)
        return self._sentences(ref, example, problems)

    def _sentences(self, ref: Reference, draft: "_Draft", problems: list[Problem]) -> EntryResult:
        sentences = ref.record.get("sentences")
        if not isinstance(sentences, list) or not sentences:
            raise UnusableError("a reference without sentences")
        examples = []
        for number, sentence in enumerate(sentences):
            try:
                query = locate_query(_words(sentence))
            except UnusableError as reason:
                problems.append(problem_of(ref, str(reason)))
                continue
            examples.append(
                Example(
                    id=f"{self.split}/{ref.record['ref_id']}#{number}",
                    source=NAME,
                    place=draft.path.stem,
                    query=query,
                    size=draft.size,
                    boxes=draft.boxes,
                    picture=FileImage(draft.path),
                    shapes=draft.shapes,
                    class_name=draft.class_name,
                )
            )
        return EntryResult(tuple(examples), tuple(problems))


@dataclass(frozen=True, slots=True)
class _Draft:
    """What the sentences of a reference share."""

    path: Path
    """The image."""
    size: tuple[int, int]
    """(height, width), pixels."""
    boxes: NDArray[np.float64]
    """(n, 4) half-open pixels."""
    shapes: CocoShapes
    """The mask."""
    class_name: str
    """Name of the category."""


def _id(value: object) -> Id:
    return value if isinstance(value, int | str) else ""


def _words(sentence: object) -> object:
    """The words of a sentence as they were written, else as they were cleaned."""
    if not isinstance(sentence, dict):
        return None
    return sentence.get("raw") or sentence.get("sent") or sentence.get("raw")


def _inside(folder: Path, name: object) -> Path:
    if not isinstance(name, str) or Path(name).name != name or "\\" in name or "\0" in name:
        raise UnusableError("the file name of an image is not a plain name")
    return folder / name


def _doubts(ref: Reference, annotation: RefRecord, mask: NDArray[np.bool_]) -> list[Problem]:
    """What is wrong between the annotation's own box and its mask."""
    if not mask.any():
        return [problem_of(ref, "the mask is empty: taken as no target")]
    box = annotation.get("bbox")
    if box is None:
        return []
    if not isinstance(box, list) or len(box) != 4 or not all(type(v) in (int, float) for v in box):
        return [problem_of(ref, "the box is not a box: the mask's is taken")]
    x, y, width, height = (float(v) for v in box)
    rows, columns = mask.shape
    if not (width > 0 and height > 0 and -1 <= x <= columns and -1 <= y <= rows):
        return [problem_of(ref, "the box is out of range: the mask's is taken")]
    if x + width > columns + 1 or y + height > rows + 1:
        return [problem_of(ref, "the box is out of range: the mask's is taken")]
    return []
