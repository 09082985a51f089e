"""Reads labelled datasets and splits them into training and validation.

Each label format has a reader of its own in this room.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from shapely.affinity import translate

from tiling.geo import parts_of
from training import DatasetError
from training.data import split_places
from training.labels.coco import read_coco
from training.labels.cut_tiles import MIN_VISIBLE
from training.labels.dataset_list import ImageArea, LabelledDataset
from training.labels.images import PLAIN, Channels
from training.labels.labelled_image import LabelledImage, LabelReading
from training.labels.points import read_points
from training.labels.polygons import read_polygons
from training.labels.raster_mask import read_raster_mask
from training.labels.voc import read_voc
from training.labels.yolo import read_yolo

RASTERS = (*PLAIN, ".tif", ".tiff", ".jp2")
"""Endings of images."""


def read_labelled_dataset(dataset: LabelledDataset) -> LabelReading:
    """Read a labelled dataset and cut its images into its areas.

    Returns:
        The images sorted by name, and everything that was left out or mended.

    Raises:
        DatasetError: The folder, its images or its label files are not there or not of the format.
    """
    if not dataset.root.is_dir():
        raise DatasetError(f"{dataset.name}: there is no folder {dataset.root}")
    reading = _LABEL_READERS[dataset.format](dataset)
    images = tuple(
        _marked_partial(image, dataset) for image in sorted(reading.images, key=lambda image: image.name)
    )
    if dataset.areas:
        images = tuple(part for image in images for area in dataset.areas for part in _cut(image, area))
    return LabelReading(images, reading.problems)


def _marked_partial(image: LabelledImage, dataset: LabelledDataset) -> LabelledImage:
    """The image, complete in nothing where it is known that its labels miss objects."""
    return replace(image, complete=()) if image.name in dataset.partial else image


def split(images: Sequence[LabelledImage]) -> tuple[tuple[LabelledImage, ...], tuple[LabelledImage, ...]]:
    """Images to train on and images to validate on, which share no place: every third place validates."""
    _, held = split_places([image.place for image in images])
    training = tuple(image for image in images if image.place not in held)
    return training, tuple(image for image in images if image.place in held)


def _files(dataset: LabelledDataset, pattern: str, what: str) -> list[Path]:
    found = sorted(path for path in dataset.root.glob(pattern) if path.is_file())
    if not found:
        raise DatasetError(f"{dataset.name}: no {what} {pattern!r} in {dataset.root}")
    return found


def _images(dataset: LabelledDataset) -> list[Path]:
    found = [path for path in _files(dataset, dataset.images, "images") if path.suffix.lower() in RASTERS]
    if not found:
        raise DatasetError(
            f"{dataset.name}: no images ({', '.join(RASTERS)}) {dataset.images!r} in {dataset.root}"
        )
    return found


def _voc(dataset: LabelledDataset) -> LabelReading:
    images = {path.name: path for path in _images(dataset)}
    return read_voc(_files(dataset, dataset.labels, "annotations"), images, naming=dataset.naming)


def _coco(dataset: LabelledDataset) -> LabelReading:
    files = _files(dataset, dataset.labels, "annotations")
    parts = [read_coco(file, _finder(dataset), naming=dataset.naming) for file in files]
    images = tuple(image for part in parts for image in part.images)
    return LabelReading(images, tuple(problem for part in parts for problem in part.problems))


def _finder(dataset: LabelledDataset) -> Callable[[str], Path | Channels | None]:
    """The way from a `file_name` to an image: by name, by path, or the band files in its place's folder."""
    if not dataset.channels:
        paths = _images(dataset)
        return {
            **{p.name: p for p in paths},
            **{p.relative_to(dataset.root).as_posix(): p for p in paths},
        }.get
    folders = {path.name: path for path in sorted(dataset.root.glob(dataset.images)) if path.is_dir()}
    return lambda name: _channels(folders.get(dataset.naming.place_of(name)), dataset.channels)


def _channels(folder: Path | None, patterns: Sequence[str]) -> Channels | None:
    found = [sorted(folder.glob(pattern)) for pattern in patterns] if folder else []
    if not found or not all(found):
        return None
    return {key: str(paths[0]) for key, paths in zip("RGB", found, strict=True)}


def _yolo(dataset: LabelledDataset) -> LabelReading:
    (names,) = _files(dataset, dataset.labels, "names of classes")[:1]
    return read_yolo(_images(dataset), names, naming=dataset.naming)


def _points(dataset: LabelledDataset) -> LabelReading:
    images = {path.stem: path for path in _images(dataset)}
    files = _files(dataset, dataset.labels, "points")
    return read_points(files, images, size_px=dataset.size_px, naming=dataset.naming, bands=dataset.bands)


def _polygons(dataset: LabelledDataset) -> LabelReading:
    scenes, files = _images(dataset), _files(dataset, dataset.labels, "polygons")
    parts = [
        read_polygons(
            file, scenes, naming=dataset.naming, kind_column=dataset.kind_column, bands=dataset.bands
        )
        for file in files
    ]
    if len(parts) > 1:
        raise DatasetError(f"{dataset.name}: {len(parts)} files of polygons: name one that holds them all")
    return parts[0]


def _raster_mask(dataset: LabelledDataset) -> LabelReading:
    (image, *others), (mask, *more) = _images(dataset), _files(dataset, dataset.labels, "label rasters")
    if others or more:
        raise DatasetError(f"{dataset.name}: a set of label rasters is one image and one mask")
    return read_raster_mask(mask, image, values=dataset.values, naming=dataset.naming, bands=dataset.bands)


_LABEL_READERS: Mapping[str, Callable[[LabelledDataset], LabelReading]] = {
    "voc": _voc,
    "coco": _coco,
    "yolo": _yolo,
    "points": _points,
    "polygons": _polygons,
    "raster_mask": _raster_mask,
}


def _cut(image: LabelledImage, area: ImageArea) -> tuple[LabelledImage, ...]:
    """The part of an image in an area, none where they do not meet; of cut objects the well visible ones."""
    height, width = image.valid.shape
    x0, y0, x1, y1 = area.x0, area.y0, min(area.x1, width), min(area.y1, height)
    if x0 >= x1 or y0 >= y1:
        return ()
    corner, frame = np.array([x0, y0, x0, y0], np.float64), shapely.box(x0, y0, x1, y1)
    boxes = np.clip(image.boxes, corner, [x1, y1, x1, y1])
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    keep = np.prod(sides, axis=1) >= MIN_VISIBLE * np.prod(image.boxes[:, 2:] - image.boxes[:, :2], axis=1)
    outlines = [None if outline is None else _clipped(outline, frame) for outline in image.outlines]
    part = replace(
        image,
        name=f"{image.name}/{area.name}",
        place=f"{image.place}/{area.name}",
        pixels=np.ascontiguousarray(image.pixels[y0:y1, x0:x1]),
        valid=image.valid[y0:y1, x0:x1],
        boxes=boxes[keep] - corner,
        classes=tuple(kind for kind, kept in zip(image.classes, keep, strict=True) if kept),
        outlines=tuple(outline for outline, kept in zip(outlines, keep, strict=True) if kept),
    )
    return (part,)


def _clipped(outline: shapely.Polygon, frame: shapely.Polygon) -> shapely.Polygon | None:
    """The biggest part of an outline within a frame, in the frame's pixels."""
    x0, y0, _, _ = frame.bounds
    parts = parts_of(np.array([shapely.intersection(outline, frame)], object))
    return translate(parts[int(np.argmax(shapely.area(parts)))], -x0, -y0) if len(parts) else None
