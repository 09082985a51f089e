"""Reads the request from a job file and flags; an error is one sentence with the field and a remedy."""

from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import (
    BaseModel,
    ValidationError,
)

from pipelines import RequestError
from pipelines.plan.config import SCENES_FROM_ONE_PLACE, JobConfig, MosaicOptions, Question, StacSearch

DRY_RUN = "(dry run)"
"""Placeholder for the output folder where nothing will be written."""


def load_config(path: str | None, flags: Mapping[str, object]) -> JobConfig:
    """Join a job file with flags, which take precedence, and validate the request.

    Args:
        path: a job.yaml, or None.
        flags: field name to value; None and empty lists count as not given. In a nested field, the given
            subfields replace those of the file and the others are kept.

    Raises:
        RequestError: the file cannot be read, or a field is unknown, missing or wrong.
    """
    fields = _from_file(path) if path else {}
    for key, value in flags.items():
        if value is None or value in ([], (), {}):
            continue
        before = fields.get(key)
        nested = isinstance(value, dict) and isinstance(before, dict)
        fields[key] = {**before, **value} if nested else value  # type: ignore[dict-item]
    try:
        return JobConfig.model_validate(fields)
    except ValidationError as error:
        raise _request_error(error) from error


def _from_file(path: str) -> dict[str, object]:
    try:
        fields = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        message = " ".join(str(error).split())
        raise RequestError("job", f"{path} cannot be read ({message})", "give a YAML file") from error
    if not isinstance(fields, dict):
        raise RequestError("job", f"{path} holds no fields", "write fields such as 'scenes:' and 'ask:'")
    return fields


_MISSING = {
    "scenes": "name scenes (remotereasoner run 'images/*.tif' …) or a search (--stac URL), not both",
    "ask": "ask at least one question with --ask, --vqa or --caption",
    "out": "name the output folder with --out",
}


_NESTED: dict[str, type[BaseModel]] = {"ask": Question, "stac": StacSearch, "mosaic": MosaicOptions}


def _request_error(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "ask"
    field = place.split(".")[0]
    model = _NESTED.get(field, JobConfig) if len(first["loc"]) > 1 else JobConfig
    if first["type"] == SCENES_FROM_ONE_PLACE:
        return RequestError("scenes", first["msg"], _MISSING["scenes"])
    if first["type"] == "extra_forbidden":
        return RequestError(place, "no such field", f"the fields are {', '.join(model.model_fields)}")
    if first["type"] in ("missing", "too_short") and field in _MISSING:
        return RequestError(field, "nothing is given", _MISSING[field])
    known = model.model_fields.get(str(first["loc"][-1]) if model is not JobConfig else field)
    hint = known.description if known else ""
    given = first["input"]
    shown = f" (given: {given!r:.80})" if isinstance(given, str | int | float) else ""
    return RequestError(place, first["msg"].removeprefix("Value error, ") + shown, f"expected: {hint}")
