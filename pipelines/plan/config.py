"""The request: one frozen model for flags and job.yaml. Opens no scene and loads no model."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from pipelines import RequestError
from reasoner.query import Query, Task
from tiling import Composite, Kernel

_MOMENT = r"(\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?)?)?|\.\.)"
_SPAN = rf"^{_MOMENT}(/{_MOMENT})?$"

Metres = Annotated[float, Field(gt=0)]
Box = tuple[float, float, float, float]


class StacSearch(BaseModel):
    """A search of a STAC API; its answer is frozen into the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        pattern=r"^https?://", description="address of a STAC API, as https://host/stac/v1 (--stac)"
    )
    collections: tuple[str, ...] = Field(
        min_length=1, description="ids of the collections to search (--collection)"
    )
    bbox: Box | None = Field(
        default=None, description="west, south, east, north in degrees; west above east passes 180°"
    )
    datetime: str | None = Field(
        default=None, pattern=_SPAN, description="a day, month or year, or from/to: 2024-06-01/2024-06-30"
    )
    query: tuple[str, ...] = Field(
        default=(), description="conditions for servers that know them: eo:cloud_cover<20 (--stac-query)"
    )
    max_items: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="refuse to take more items than this"
    )

    @field_validator("bbox")
    @classmethod
    def _on_the_globe(cls, value: Box | None) -> Box | None:
        if value is not None:
            west, south, east, north = value
            if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
                raise ValueError(f"{west},{south},{east},{north} is no box of degrees on the globe")
        return value


class MosaicOptions(BaseModel):
    """Scenes made into a mosaic on a fixed grid per UTM zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    composite: Composite = Field(description="median, or first-valid: the newest valid pixel (--mosaic)")
    resolution: Metres | None = Field(
        default=None, description="metres per pixel; the items' own if unset (--resolution)"
    )
    grid: Metres | None = Field(default=None, description="side of a cell, metres; 2000 pixels if unset")
    kernel: Kernel = Field(
        default=Kernel.NEAREST, description="nearest, bilinear, cubic or average, for items on other grids"
    )


Range = tuple[float, float]
Positive = Annotated[int, Field(gt=0)]


class Engine(StrEnum):
    """What drives the steps."""

    RAY = "ray"
    """Ray Data, in process or on a cluster."""
    LOOP = "loop"
    """A plain for loop in this process."""


class SceneOverlap(StrEnum):
    """What becomes of ground that several scenes cover."""

    OWN = "own"
    """One scene owns it, and each thing on it is one object."""
    KEEP_ALL = "keep-all"
    """Every scene is answered on its own."""


class Question(BaseModel):
    """One question of the job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str = Field(default="", description="the question in plain words; may be empty for a caption")
    task: Task = Field(default=Task.LOCATE, description="locate, caption or vqa")

    def query(self) -> Query:
        """The question as the reasoner takes it.

        Raises:
            QueryError: the text is empty and the task is not a caption.
        """
        text = self.text or ("Describe the image." if self.task is Task.CAPTION else "")
        return Query(text, self.task)


class JobConfig(BaseModel):
    """Everything one run is asked to do; the same fields as job.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenes: tuple[str | dict[str, str], ...] = Field(
        default=(),
        description="files, folders, globs, s3:// addresses, STAC documents, or {R: …, G: …, B: …}",
    )
    stac: StacSearch | None = Field(
        default=None, description="a search of a STAC API in place of scenes: {url, collections, bbox, …}"
    )
    mosaic: MosaicOptions | None = Field(
        default=None, description="make a mosaic of the scenes: {composite, resolution, grid, kernel}"
    )
    assets: tuple[str, ...] | None = Field(
        default=None, description="assets or bands of STAC items shown as red, green, blue: keys or names"
    )
    sign: str = Field(default="", description="module:function that signs addresses when they are opened")
    ask: tuple[Question, ...] = Field(min_length=1, description="questions, as strings or {text, task}")
    out: str = Field(min_length=1, description="output folder, local or s3://")
    reasoner: str = Field(
        default="nano", description="nano, null, oracle:TRUTH, a folder, a hub id, http://…"
    )
    segmenter: str = Field(default="nano", description="nano, null, oracle:TRUTH, a folder or a hub id")
    profile: str | None = Field(default=None, description="model family, where the checkpoint does not tell")
    tile: Positive | None = Field(
        default=None, description="tile side, pixels; the reasoner's native size if unset"
    )
    overlap: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="pixels; a quarter tile if unset"
    )
    chunk: Positive = Field(
        default=4096, description="side of a chunk, pixels: the unit of work and of memory"
    )
    gsd: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="metres per pixel to resample to"
    )
    bands: tuple[Positive, ...] | None = Field(
        default=None, description="band numbers shown as red, green, blue"
    )
    assume_crs: str | None = Field(default=None, description="CRS of scenes that carry none")
    aoi: str | None = Field(default=None, description="vector file of the area to look at, local or s3://")
    scene_overlap: SceneOverlap = Field(
        default=SceneOverlap.OWN,
        description="own: shared ground is answered once, by the newest scene; keep-all: by every scene",
    )
    scaling: str | tuple[Range, ...] = Field(default="auto", description="auto, or low and high of each band")
    seed: int = Field(default=0, description="seed of whatever draws")
    device: str = Field(default="auto", description="auto, cpu or cuda")
    workers: Positive | None = Field(
        default=None, description="model actors; one a GPU, else by cores, if unset"
    )
    engine: Engine = Field(default=Engine.RAY, description="ray or loop")
    address: str | None = Field(default=None, description="address of a Ray cluster; in process if unset")
    allow_drivers: tuple[str, ...] = Field(default=(), description="further GDAL drivers, such as VRT")

    @field_validator("sign")
    @classmethod
    def _can_sign(cls, value: str) -> str:
        if value:
            from tiling.storage import load_signer

            load_signer(value)
        return value

    @field_validator("assets")
    @classmethod
    def _one_or_three_assets(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and len(value) not in (1, 3):
            raise ValueError(f"{len(value)} names: give one, or three (red, green, blue)")
        return value

    @field_validator("ask", mode="before")
    @classmethod
    def _plain_questions(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            return value
        return tuple({"text": item} if isinstance(item, str) else item for item in value)

    @field_validator("scaling")
    @classmethod
    def _known_scaling(cls, value: str | tuple[Range, ...]) -> str | tuple[Range, ...]:
        if isinstance(value, str) and value != "auto":
            raise ValueError(f"{value!r} is neither 'auto' nor a list of [low, high]")
        if not isinstance(value, str) and any(high <= low for low, high in value):
            raise ValueError(f"{value}: every high must be above its low")
        return value

    @field_validator("bands")
    @classmethod
    def _one_or_three_bands(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and len(value) not in (1, 3):
            raise ValueError(f"{value} has {len(value)} numbers: give one (grey) or three (red, green, blue)")
        return value

    @model_validator(mode="after")
    def _scenes_from_one_place(self) -> Self:
        if bool(self.scenes) == (self.stac is not None):
            said = "scenes and a stac search are given" if self.scenes else "nothing is given"
            raise PydanticCustomError(_SCENES, said)
        return self

    @field_validator("gsd")
    @classmethod
    def _one_resolution(cls, value: float | None, info: ValidationInfo) -> float | None:
        if value is not None and info.data.get("mosaic") is not None:
            raise ValueError("a mosaic is made at mosaic.resolution: leave gsd out")
        return value

    @model_validator(mode="after")
    def _asked_once(self) -> Self:
        ids = [query.id for query in self.queries()]
        if len(set(ids)) != len(ids):
            raise ValueError("a question is asked twice: ask each once")
        return self

    def queries(self) -> tuple[Query, ...]:
        """The questions in the order asked."""
        return tuple(question.query() for question in self.ask)


def load_config(path: str | None, flags: Mapping[str, object]) -> JobConfig:
    """Join a job file with flags, which win, and validate the whole.

    Args:
        path: a job.yaml, or None.
        flags: field name to value; None and empty lists count as not given, and of a field that has
            fields of its own those given win.

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


def job_schema() -> dict[str, object]:
    """JSON Schema of job.yaml, for editors."""
    return JobConfig.model_json_schema()


def _from_file(path: str) -> dict[str, object]:
    try:
        fields = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise RequestError("job", f"{path} cannot be read ({said})", "give a YAML file") from error
    if not isinstance(fields, dict):
        raise RequestError("job", f"{path} holds no fields", "write fields such as 'scenes:' and 'ask:'")
    return fields


_SCENES = "scenes_from_one_place"
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
    if first["type"] == _SCENES:
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
