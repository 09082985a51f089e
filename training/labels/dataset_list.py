"""Labelled datasets as a YAML file names them."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path

import yaml

from training import DatasetError, RecipeError
from training.labels.class_names import Naming

FORMATS = ("voc", "coco", "yolo", "points", "polygons", "raster_mask")
"""Label formats."""


@dataclass(frozen=True, slots=True)
class ImageArea:
    """A part of every image of a dataset that is ground of its own."""

    name: str
    """Name; the order of the areas by name determines which of them are used for validation."""
    x0: int
    """Left edge, image pixels."""
    y0: int
    """Top edge, image pixels."""
    x1: int
    """Right edge, image pixels, above x0; may lie past the image."""
    y1: int
    """Bottom edge, image pixels, above y0; may lie past the image."""

    def __post_init__(self) -> None:
        if not (0 <= self.x0 < self.x1 and 0 <= self.y0 < self.y1):
            raise DatasetError(f"area {self.name}: {self.x0},{self.y0},{self.x1},{self.y1} is not an area")


@dataclass(frozen=True, slots=True)
class LabelledDataset:
    """A labelled dataset of one format."""

    name: str
    """Name of the dataset."""
    format: str
    """One of the label formats."""
    root: Path
    """Folder that the patterns below start from."""
    kind: str
    """Catalogue class of the labels, where `kinds` does not say more."""
    scale: float
    """Tile pixels per image pixel at which its objects look as large as in practice scenes."""
    absent: tuple[str, ...] = ()
    """Catalogue classes that surely do not occur."""
    partial: tuple[str, ...] = ()
    """Names of images whose labels miss objects: nothing is asked that their labels would answer."""
    areas: tuple[ImageArea, ...] = ()
    """Parts that are places of their own; none: an image is one place."""
    images: str = "**/*"
    """Pattern of the images' paths; with `channels`, of the folders that hold them."""
    labels: str = ""
    """Pattern of the label files; for `yolo` the file of class names."""
    place: str = "(.+)"
    """Regular expression; its groups, found in an image's name and joined, are the place."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """Catalogue class by label as written; an empty one leaves the label out."""
    bands: tuple[int, ...] | None = None
    """Display bands: red, green, blue, from 1; None where the files are clear."""
    channels: tuple[str, ...] = ()
    """Three patterns, for `coco`: the red, green and blue file of the folder named like the image's place."""
    size_px: float = 0.0
    """Assumed size of objects, image pixels, for `points`."""
    kind_column: str | None = None
    """Column with the classes, for `polygons`."""
    values: tuple[int, ...] = (1,)
    """Values that mean the class, for `raster_mask`."""

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise DatasetError(f"{self.name}: format {self.format!r} is not one of {', '.join(FORMATS)}")
        if not self.scale > 0:
            raise DatasetError(f"{self.name}: scale {self.scale} must be above 0")
        if len(self.channels) not in (0, 3):
            raise DatasetError(f"{self.name}: {len(self.channels)} channels: name red, green and blue")

    @property
    def naming(self) -> Naming:
        """What its labels mean."""
        return Naming(self.kinds or {self.kind: self.kind}, self.absent, self.place)


SHIPPED_DATASETS = Path(__file__).parents[1] / "recipes" / "real-sets.yaml"
"""The datasets that are known by name."""
GIVEN = {field.name for field in fields(LabelledDataset)} - {"name"}
NEEDED = {
    f.name for f in fields(LabelledDataset) if f.default is MISSING and f.default_factory is MISSING
} - {"name"}
LISTS = ("absent", "partial", "channels", "bands", "values")
NUMBERS = ("scale", "size_px")


def read_dataset_list(path: Path, *, root: Path) -> tuple[LabelledDataset, ...]:
    """Labelled datasets that a YAML file names, in its order.

    Args:
        path: The file: a mapping from a dataset's name to its fields.
        root: Folder that relative roots start from.

    Raises:
        RecipeError: The file cannot be read, or a dataset lacks a field, has an unknown one or a wrong value.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or not content:
        raise RecipeError(f"{path}: needs a mapping from names of sets to their fields")
    try:
        return tuple(_set(str(name), entry, root) for name, entry in content.items())
    except (DatasetError, TypeError, ValueError) as error:
        raise RecipeError(f"{path}: {error}") from error


def _set(name: str, entry: object, root: Path) -> LabelledDataset:
    if not isinstance(entry, dict):
        raise ValueError(f"{name}: needs fields")
    _check_keys(name, set(entry), needed=NEEDED, known=GIVEN)
    taken = {key: _value(f"{name}.{key}", key, value, root) for key, value in entry.items()}
    dataset = LabelledDataset(name=name, **taken)  # type: ignore[arg-type]
    dataset.naming  # noqa: B018  a naming that cannot be made is refused here, not when images are read
    return dataset


def _check_keys(where: str, keys: set[object], *, needed: set[str], known: set[str]) -> None:
    if unknown := sorted(str(key) for key in keys - known):
        raise ValueError(f"{where}: unknown key {unknown[0]}: one of {', '.join(sorted(known))} is meant")
    if missing := sorted(needed - keys):
        raise ValueError(f"{where}: {missing[0]} is missing")


def _value(where: str, key: str, value: object, root: Path) -> object:
    if key == "root":
        return root / _text(where, value)
    if key in NUMBERS:
        return _number(where, value)
    if key in LISTS:
        return _items(where, value, int if key in ("bands", "values") else str)
    if key == "areas":
        if not isinstance(value, list):
            raise ValueError(f"{where}: needs a list of areas, not {value!r}")
        return tuple(_area(f"{where}.{number}", area) for number, area in enumerate(value))
    if key == "kinds":
        if not isinstance(value, dict):
            raise ValueError(f"{where}: needs a mapping from labels to kinds, not {value!r}")
        return {str(label).lower(): _text(f"{where}.{label}", kind) for label, kind in value.items()}
    return _text(where, value)


def _text(where: str, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: needs a text, not {value!r}")
    return value


def _number(where: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: needs a number, not {value!r}")
    return float(value)


def _items(where: str, value: object, kind: type) -> tuple[object, ...]:
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise ValueError(f"{where}: needs a list of {kind.__name__}, not {value!r}")
    return tuple(value)


def _area(where: str, value: object) -> ImageArea:
    if not isinstance(value, Mapping):
        raise ValueError(f"{where}: needs name, x0, y0, x1, y1, not {value!r}")
    names = {field.name for field in fields(ImageArea)}
    _check_keys(where, set(value), needed=names, known=names)
    x0, y0, x1, y1 = _items(where, [value[key] for key in ("x0", "y0", "x1", "y1")], int)
    return ImageArea(_text(where, value["name"]), x0, y0, x1, y1)  # type: ignore[arg-type]
