"""Reads training recipes from YAML into their frozen types."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Generic, TypeVar, get_args, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from training.data_mix import LabelledDataRecipe
from training.errors import RecipeError
from training.rl import GrpoRecipe, TileRecipe
from training.scenery import PoolRecipe
from training.sft import SegmenterRecipe, SftRecipe

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class TileTraining(Generic[R]):
    """A recipe that trains on tiles."""

    recipe: R
    """How the model is trained."""
    pool: PoolRecipe
    """The practice scenes."""
    real: LabelledDataRecipe | None
    """Labelled photographs beside them."""
    threads: int
    """Threads of each worker."""
    workers: int
    """Processes that train together."""


Fields = Mapping[str, object]
"""A recipe as it stands in its file: plain values."""


def read_fields(path: Path) -> dict[str, object]:
    """Fields of a recipe file, unchecked.

    Raises:
        RecipeError: the file is missing or is not a YAML mapping.
    """
    try:
        fields = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"recipe {path}: cannot be read as YAML: {reason}") from error
    if not isinstance(fields, dict):
        raise RecipeError(f"recipe {path}: a mapping of fields is needed")
    return fields


def sft_of(fields: Fields) -> TileTraining[SftRecipe]:
    """Recipe of the reasoner and its tiles.

    Raises:
        RecipeError: a field is unknown or wrong.
    """
    return _with_tiles(fields, SftRecipe)


def segmenter_of(fields: Fields) -> TileTraining[SegmenterRecipe]:
    """Recipe of the segmenter and its tiles.

    Raises:
        RecipeError: a field is unknown or wrong.
    """
    return _with_tiles(fields, SegmenterRecipe)


def grpo_of(fields: Fields) -> GrpoRecipe:
    """Recipe of the policy optimisation.

    Raises:
        RecipeError: a field is unknown or wrong.
    """
    with _as_recipe_error():
        return _checked(GrpoRecipe, dict(fields), "")


def tiles_of(fields: Fields) -> TileRecipe:
    """Random tiles and the questions about them, as a recipe's `tiles` states them.

    Raises:
        RecipeError: a field is unknown or wrong.
    """
    with _as_recipe_error():
        return _checked(TileRecipe, dict(fields), "")


def _with_tiles(fields: Fields, kind: type[R]) -> TileTraining[R]:
    rest = dict(fields)
    with _as_recipe_error():
        pool = _checked(PoolRecipe, rest.pop("pool", {}), "pool.")
        stated = rest.pop("real", None)
        real = None if stated is None else _checked(LabelledDataRecipe, stated, "real.")
        threads, workers = (_valid(int, rest.pop(name, 1), name) for name in ("threads", "workers"))
        recipe = _checked(kind, rest, "")
    for name, count in (("threads", threads), ("workers", workers), *_counts(recipe)):
        if count < 1:
            raise RecipeError(f"recipe: {name} {count}: must be at least 1")
    return TileTraining(recipe, pool, real, threads, workers)


COUNTS = ("batch", "steps", "boxes", "check_every", "save_every")
"""Fields of a tile recipe that must be at least 1."""


def _counts(recipe: object) -> list[tuple[str, int]]:
    return [(name, getattr(recipe, name)) for name in COUNTS if hasattr(recipe, name)]


@contextmanager
def _as_recipe_error() -> Iterator[None]:
    """Turn what a wrong recipe raises into one sentence."""
    try:
        yield
    except ValueError as error:
        raise RecipeError(f"recipe: {error}") from error


def _checked(kind: type[R], fields: object, where: str) -> R:
    """Validate one dataclass, unknown keys refused at every depth."""
    _refuse_unknown(kind, fields, where)
    return _valid(kind, fields, where)


def _valid(kind: type[R], value: object, where: str) -> R:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        field = where + ".".join(str(part) for part in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{field}: {reason}" if field else reason) from error


def _refuse_unknown(kind: object, fields: object, where: str) -> None:
    kind = next((each for each in get_args(kind) if is_dataclass(each)), kind)
    if not (isinstance(kind, type) and is_dataclass(kind) and isinstance(fields, dict)):
        return
    types = get_type_hints(kind)
    known = sorted(field.name for field in dataclass_fields(kind))
    for key, value in fields.items():
        if key not in known:
            raise ValueError(f"unknown key {where}{key}: one of {', '.join(known)} is meant")
        _refuse_unknown(types[key], value, f"{where}{key}.")
