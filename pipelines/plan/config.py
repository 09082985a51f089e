"""The request: one frozen model of all fields, filled from flags, job.yaml or Python."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

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
                raise ValueError(f"{west},{south},{east},{north} is not a box of degrees on the globe")
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


SCENES_FROM_ONE_PLACE = "scenes_from_one_place"
"""Type of the validation error if both scenes and a search are given, or neither."""


class Engine(StrEnum):
    """What runs the steps."""

    RAY = "ray"
    """Ray, in this process or on a cluster."""
    LOOP = "loop"
    """A plain for loop in this process."""


class SceneOverlap(StrEnum):
    """How ground that several scenes cover is answered."""

    OWN = "own"
    """One scene owns the ground, and objects of several scenes are merged into one."""
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


class Identity(StrEnum):
    """How another value of a field changes a job's identity; every field of the request has a mark."""

    ANSWER = "answer"
    """The answers differ: unless it is the default, the value enters the digests of run and chunks."""
    PIXELS = "pixels"
    """The pixels of a place differ: the value as given enters the digest of the run, and what the plan
    derives from it enters the digests of the chunks."""
    PLAN = "plan"
    """What the plan derives from it is compared and digested: sizes, models, scaling, questions, scenes or
    area."""
    JOB = "job"
    """The job is a different one, but the digests of its answers stay the same."""
    NONE = "none"
    """The job stays the same and is only run in another way."""

    @property
    def mark(self) -> dict[str, JsonValue]:
        """The entry in a field's JSON Schema that marks it."""
        return {"identity": str(self)}


class JobConfig(BaseModel):
    """The request of one run; its fields are those of job.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scenes: tuple[str | dict[str, str], ...] = Field(
        default=(),
        description="files, folders, globs, s3:// addresses, STAC documents, or {R: …, G: …, B: …}",
        json_schema_extra=Identity.PLAN.mark,
    )
    stac: StacSearch | None = Field(
        default=None,
        description="a search of a STAC API in place of scenes: {url, collections, bbox, …}",
        json_schema_extra=Identity.PLAN.mark,
    )
    mosaic: MosaicOptions | None = Field(
        default=None,
        description="make a mosaic of the scenes: {composite, resolution, grid, kernel}",
        json_schema_extra=Identity.PIXELS.mark,
    )
    assets: tuple[str, ...] | None = Field(
        default=None,
        description="assets or bands of STAC items shown as red, green, blue: keys or names",
        json_schema_extra=Identity.PIXELS.mark,
    )
    sign: str = Field(
        default="",
        description="module:function that signs addresses when they are opened",
        json_schema_extra=Identity.NONE.mark,
    )
    ask: tuple[Question, ...] = Field(
        min_length=1,
        description="questions, as strings or {text, task}",
        json_schema_extra=Identity.PLAN.mark,
    )
    out: str = Field(
        min_length=1, description="output folder, local or s3://", json_schema_extra=Identity.NONE.mark
    )
    reasoner: str = Field(
        default="nano",
        description="nano, null, oracle:TRUTH, a folder, a hub id, http://…",
        json_schema_extra=Identity.PLAN.mark,
    )
    segmenter: str = Field(
        default="nano",
        description="nano, null, oracle:TRUTH, a folder or a hub id",
        json_schema_extra=Identity.PLAN.mark,
    )
    profile: str | None = Field(
        default=None,
        description="model family, where the checkpoint does not tell",
        json_schema_extra=Identity.PLAN.mark,
    )
    tile: Positive | None = Field(
        default=None,
        description="tile side, pixels; the reasoner's native size if unset",
        json_schema_extra=Identity.PLAN.mark,
    )
    overlap: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="pixels; a quarter tile if unset", json_schema_extra=Identity.PLAN.mark
    )
    chunk: Positive = Field(
        default=4096,
        description="side of a chunk, pixels: the unit of work and of memory",
        json_schema_extra=Identity.PLAN.mark,
    )
    gsd: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="metres per pixel to resample to", json_schema_extra=Identity.PIXELS.mark
    )
    bands: tuple[Positive, ...] | None = Field(
        default=None,
        description="band numbers shown as red, green, blue",
        json_schema_extra=Identity.PIXELS.mark,
    )
    assume_crs: str | None = Field(
        default=None, description="CRS of scenes that have none", json_schema_extra=Identity.JOB.mark
    )
    aoi: str | None = Field(
        default=None,
        description="vector file of the area of interest, local or s3://",
        json_schema_extra=Identity.PLAN.mark,
    )
    scene_overlap: SceneOverlap = Field(
        default=SceneOverlap.OWN,
        description="own: shared ground is answered once, by the newest scene; keep-all: by every scene",
        json_schema_extra=Identity.JOB.mark,
    )
    scaling: str | tuple[Range, ...] = Field(
        default="auto", description="auto, or low and high of each band", json_schema_extra=Identity.PLAN.mark
    )
    seed: int = Field(default=0, description="seed of whatever draws", json_schema_extra=Identity.JOB.mark)
    device: str = Field(default="auto", description="auto, cpu or cuda", json_schema_extra=Identity.NONE.mark)
    workers: Positive | None = Field(
        default=None,
        description="model actors; one a GPU, else by cores, if unset",
        json_schema_extra=Identity.NONE.mark,
    )
    engine: Engine = Field(
        default=Engine.RAY, description="ray or loop", json_schema_extra=Identity.NONE.mark
    )
    address: str | None = Field(
        default=None,
        description="address of a Ray cluster; in process if unset",
        json_schema_extra=Identity.NONE.mark,
    )
    allow_drivers: tuple[str, ...] = Field(
        default=(), description="further GDAL drivers, such as VRT", json_schema_extra=Identity.NONE.mark
    )

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
            message = "scenes and a stac search are given" if self.scenes else "nothing is given"
            raise PydanticCustomError(SCENES_FROM_ONE_PLACE, message)
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

    @classmethod
    def marked(cls, *marks: Identity) -> tuple[str, ...]:
        """Names of the fields that have one of these marks, in the order of the fields."""
        return tuple(name for name in cls.model_fields if identity_of(name) in marks)

    def queries(self) -> tuple[Query, ...]:
        """The questions in the order asked."""
        return tuple(question.query() for question in self.ask)


def identity_of(field: str) -> Identity:
    """The mark of a field of the request.

    Raises:
        TypeError: the field has no mark: without one, a changed value would silently resume another job.
    """
    extra = JobConfig.model_fields[field].json_schema_extra
    if not isinstance(extra, dict) or "identity" not in extra:
        raise TypeError(
            f"{field} has no mark of identity: add json_schema_extra=Identity.….mark to its Field"
        )
    return Identity(str(extra["identity"]))


def digested(config: JobConfig, *, chunks: bool) -> dict[str, object]:
    """The fields of a request whose values as given enter the digest of its run, or of its chunks."""
    given = config.model_dump(mode="json", include=set(JobConfig.marked(Identity.ANSWER, Identity.PIXELS)))
    defaults = {name: JobConfig.model_fields[name].default for name in JobConfig.marked(Identity.ANSWER)}
    answers = {name: given[name] for name, default in defaults.items() if getattr(config, name) != default}
    return (
        answers
        if chunks
        else {**{name: given[name] for name in JobConfig.marked(Identity.PIXELS)}, **answers}
    )
