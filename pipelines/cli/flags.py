"""The flags of plan, run, bench and nightly as one value, and how they become a request."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar, get_type_hints

import typer

from pipelines import RequestError

if TYPE_CHECKING:
    from pipelines.plan import JobConfig

_Words = list[str] | None
_Word = str | None
_Count = int | None


_SAME_NAME = (
    *("out", "reasoner", "segmenter", "profile", "tile", "overlap", "chunk", "gsd"),
    *("aoi", "scene_overlap", "assume_crs", "seed", "device", "workers", "engine", "address", "sign"),
)
"""Flags whose names and values are those of fields of the request."""


@dataclass(frozen=True, slots=True)
class JobFlags:
    """Everything given on the command line of plan or run."""

    scenes: Annotated[
        _Words,
        typer.Argument(help="files, folders, globs, s3:// addresses, STAC documents, or R=…,G=…,B=… files"),
    ] = None
    stac: Annotated[_Word, typer.Option(help="a STAC API to search in place of scenes: https://…")] = None
    collection: Annotated[_Words, typer.Option(help="a collection to search; may be repeated")] = None
    bbox: Annotated[_Word, typer.Option(help="search box in degrees: west,south,east,north")] = None
    datetime: Annotated[_Word, typer.Option(help="search time: a day, or FROM/TO")] = None
    stac_query: Annotated[_Words, typer.Option(help="search condition, as eo:cloud_cover<20")] = None
    assets: Annotated[
        _Word, typer.Option(help="assets or bands of STAC items for red, green, blue: B04,B03,B02")
    ] = None
    sign: Annotated[
        _Word, typer.Option(help="module:function that signs addresses: planetary_computer:sign")
    ] = None
    mosaic: Annotated[_Word, typer.Option(help="make a mosaic of the scenes: median or first-valid")] = None
    resolution: Annotated[float | None, typer.Option(help="of a mosaic, metres per pixel")] = None
    ask: Annotated[_Words, typer.Option(help="a question in plain words; may be repeated")] = None
    caption: Annotated[bool, typer.Option("--caption", help="describe every tile in words")] = False
    vqa: Annotated[_Words, typer.Option(help="a question answered in words for every tile")] = None
    out: Annotated[_Word, typer.Option(help="output folder, local or s3://")] = None
    job: Annotated[_Word, typer.Option(help="job.yaml with the same fields; flags win")] = None
    reasoner: Annotated[
        _Word, typer.Option(help="nano, null, oracle:TRUTH, folder, hub id, http://…#model")
    ] = None
    segmenter: Annotated[_Word, typer.Option(help="nano, null, oracle:TRUTH, folder or hub id")] = None
    profile: Annotated[_Word, typer.Option(help="model family, where the checkpoint does not tell")] = None
    tile: Annotated[_Count, typer.Option(help="tile side, pixels (default: the reasoner's)")] = None
    overlap: Annotated[_Count, typer.Option(help="overlap of tiles, pixels (default: a quarter tile)")] = None
    chunk: Annotated[_Count, typer.Option(help="side of a chunk, pixels (default: 4096)")] = None
    gsd: Annotated[float | None, typer.Option(help="resample to this many metres per pixel")] = None
    bands: Annotated[_Word, typer.Option(help="band numbers for red, green, blue: 3,2,1")] = None
    assume_crs: Annotated[_Word, typer.Option(help="CRS of scenes that have none: EPSG:32631")] = None
    aoi: Annotated[_Word, typer.Option(help="vector file of the area of interest")] = None
    scene_overlap: Annotated[
        _Word, typer.Option(help="own (default): the newest scene answers for shared ground; or keep-all")
    ] = None
    scaling: Annotated[_Word, typer.Option(help="auto, or low:high of each band: 0:3000,0:3000,0:3000")] = (
        None
    )
    seed: Annotated[_Count, typer.Option(help="seed of whatever draws (default: 0)")] = None
    device: Annotated[_Word, typer.Option(help="auto, cpu or cuda")] = None
    workers: Annotated[_Count, typer.Option(help="model actors (default: one a GPU, else by cores)")] = None
    engine: Annotated[_Word, typer.Option(help="ray or loop")] = None
    address: Annotated[_Word, typer.Option(help="address of a Ray cluster (default: in process)")] = None
    allow_driver: Annotated[_Words, typer.Option(help="a further GDAL driver, such as VRT")] = None
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace another job's output")] = False
    json: Annotated[bool, typer.Option("--json", help="print one JSON object on stdout")] = False

    def config(self, *, needs_out: bool = True) -> "JobConfig":
        """The request: the fields of the job file, replaced by these flags.

        Raises:
            RequestError: a field is unknown, missing or wrong.
        """
        # Imported here, as in the commands, so that --help does not wait for the libraries behind it.
        from pipelines.plan import DRY_RUN, load_config

        fields: dict[str, object] = {name: getattr(self, name) for name in _SAME_NAME}
        fields["scenes"] = [_scene(words) for words in self.scenes or ()] or None
        fields["stac"] = self._search()
        fields["mosaic"] = _given(composite=self.mosaic, resolution=self.resolution)
        fields["assets"] = self.assets.split(",") if self.assets else None
        fields["ask"] = self._questions()
        fields["bands"] = _numbers(self.bands)
        fields["scaling"] = _ranges(self.scaling)
        fields["allow_drivers"] = self.allow_driver
        if not needs_out and self.out is None and self.job is None:
            fields["out"] = DRY_RUN
        return load_config(self.job, fields)

    def _search(self) -> dict[str, object]:
        return _given(
            url=self.stac,
            collections=self.collection,
            bbox=_box(self.bbox),
            datetime=self.datetime,
            query=self.stac_query,
        )

    def _questions(self) -> list[dict[str, str]]:
        located = [{"text": text} for text in self.ask or ()]
        answered = [{"text": text, "task": "vqa"} for text in self.vqa or ()]
        return located + ([{"task": "caption"}] if self.caption else []) + answered


@dataclass(frozen=True, slots=True)
class PlanFlags(JobFlags):
    """Everything given on the command line of plan."""

    calibration: Annotated[_Word, typer.Option(help="what a tile takes, as bench wrote it")] = None
    price: Annotated[float | None, typer.Option(help="price of one hour of one worker's machine")] = None


@dataclass(frozen=True, slots=True)
class BenchFlags(JobFlags):
    """Everything given on the command line of bench; out is the calibration file."""

    answers: Annotated[int, typer.Option(help="tiles times questions to time at least")] = 200


_Flags = TypeVar("_Flags", bound=JobFlags)


def with_job_flags(act: Callable[[_Flags], None]) -> Callable[..., None]:
    """Turn a function that takes one value of flags into a command with these flags as its options."""
    kind = get_type_hints(act)["flags"]

    @functools.wraps(act)
    def command(**values: object) -> None:
        act(kind(**values))

    command.__signature__ = inspect.signature(kind).replace(return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = get_type_hints(kind, include_extras=True)
    del command.__wrapped__
    return command


def _scene(words: str) -> str | dict[str, str]:
    """One scene: an address, or single-band files as R=red.tif,G=green.tif,B=blue.tif."""
    pairs = [part.partition("=") for part in words.split(",")]
    if not all(role in ("R", "G", "B") and sign for role, sign, _ in pairs):
        return words
    return {role: address for role, _, address in pairs}


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise RequestError(
            "bands", f"{text!r} is not a list of band numbers", "write --bands 3,2,1"
        ) from error


def _given(**flags: object) -> dict[str, object]:
    """The flags that are not None, as fields of a nested part of the request."""
    return {name: value for name, value in flags.items() if value not in (None, [])}


def _box(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        remedy = "write --bbox west,south,east,north in degrees"
        raise RequestError("bbox", f"{text!r} is not a box", remedy) from error
    return [west, south, east, north]


def _ranges(text: str | None) -> str | list[tuple[float, float]] | None:
    if text is None or text == "auto":
        return text
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return [(float(low), float(high)) for low, high in pairs]
    except ValueError as error:
        remedy = "write --scaling auto or --scaling 0:3000,0:3000,0:3000"
        raise RequestError("scaling", f"{text!r} is not a list of low:high", remedy) from error
