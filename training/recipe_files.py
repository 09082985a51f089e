"""Reads training recipes from YAML into their frozen types. Knows no training."""

from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import Path
from typing import TypeVar, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from training.errors import RecipeError
from training.pool import PoolRecipe
from training.segmenter import SegmenterRecipe
from training.sft import SftRecipe

R = TypeVar("R")


def read_sft(path: Path) -> tuple[SftRecipe, PoolRecipe, int]:
    """Recipe of the reasoner, its scenes and the number of threads.

    Raises:
        RecipeError: the file is missing, not YAML, or names unknown or wrong fields.
    """
    return _read(path, SftRecipe)


def read_segmenter(path: Path) -> tuple[SegmenterRecipe, PoolRecipe, int]:
    """Recipe of the segmenter, its scenes and the number of threads.

    Raises:
        RecipeError: the file is missing, not YAML, or names unknown or wrong fields.
    """
    return _read(path, SegmenterRecipe)


def _read(path: Path, kind: type[R]) -> tuple[R, PoolRecipe, int]:
    fields = _fields(path)
    try:
        pool = _checked(PoolRecipe, fields.pop("pool", {}), "pool")
        threads = TypeAdapter(int).validate_python(fields.pop("threads", 1))
        return _checked(kind, fields, ""), pool, threads
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecipeError(f"recipe {path}: {where}: {first['msg']}") from error
    except ValueError as error:
        raise RecipeError(f"recipe {path}: {error}") from error


def _fields(path: Path) -> dict[str, object]:
    try:
        fields = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise RecipeError(f"recipe {path}: {error}") from error
    if not isinstance(fields, dict):
        raise RecipeError(f"recipe {path}: a mapping of fields is needed")
    return fields


def _checked(kind: type[R], fields: object, where: str) -> R:
    """Validate one dataclass, unknown keys refused at every depth."""
    _refuse_unknown(kind, fields, where)
    return TypeAdapter(kind).validate_python(fields)


def _refuse_unknown(kind: object, fields: object, where: str) -> None:
    if not (isinstance(kind, type) and is_dataclass(kind) and isinstance(fields, dict)):
        return
    types = get_type_hints(kind)
    known = sorted(field.name for field in dataclass_fields(kind))
    for key, value in fields.items():
        if key not in known:
            raise ValueError(f"unknown key {where}{key}: one of {', '.join(known)} is meant")
        _refuse_unknown(types[key], value, f"{where}{key}.")
