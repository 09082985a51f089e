"""The frozen plan on storage, job.json and plan/*.parquet: written before work starts and read back later."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pydantic import TypeAdapter

from pipelines import RequestError
from pipelines.plan.aoi import aoi_bytes, aoi_from
from pipelines.plan.config import Identity, JobConfig
from pipelines.plan.plan import (
    RULES_VERSION,
    ChunkRef,
    FrozenScaling,
    Plan,
    PlannedScene,
    aoi_digest,
)
from reasoner.model_name import ModelCard
from tiling import Grid, Scene, StorageError
from tiling.geo import WorkingGrid
from tiling.raster import Scaling
from tiling.storage import Store

_ASKED = {
    name: JobConfig.model_fields[name].default
    for name in JobConfig.marked(Identity.ANSWER, Identity.PIXELS, Identity.JOB)
}
"""Fields of the request that belong to a job's identity, with their defaults for jobs that lack a field."""
JOB = "job.json"
SCENES = "plan/scenes.parquet"
CHUNKS = "plan/chunks.parquet"
AOI = "plan/aoi.parquet"
_WORK = ("width", "height", "transform", "scale", "gsd")
"""Fields of a working grid that are stored; its CRS is the scene's."""
_OWN_FOLDERS = ("answers", "objects", "texts", "plan", "changes", "map")
_JOURNAL = "night"
"""Folder that an unfinished update leaves behind."""
_OWN_FILES = (JOB, "collection.json", "map.html")


def write_plan(store: Store, plan: Plan) -> None:
    """Freeze the plan; job.json is written last, so that its presence means the plan is complete.

    Raises:
        OSError: the storage refuses.
    """
    store.write(SCENES, _parquet([_scene_record(item) for item in plan.scenes]))
    store.write(CHUNKS, _parquet([_chunk_record(ref) for ref in plan.chunks]))
    if plan.aoi is not None:
        store.write(AOI, aoi_bytes(plan.aoi))
    store.write(JOB, json.dumps(job_record(plan), indent=2, sort_keys=True).encode())


def read_plan(store: Store) -> Plan:
    """The frozen plan of an output folder.

    Raises:
        RequestError: there is no plan, or it is not readable.
        StorageError: object storage refuses or is away.
    """
    job = read_job(store)
    if job is None:
        raise RequestError("out", f"{store.root} holds no run (no {JOB})", "name the --out of an earlier run")
    try:
        return _plan_of(store, job)
    except StorageError:
        raise
    except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
        raise RequestError(
            "out", f"the plan in {store.root} cannot be read ({error})", "run with --overwrite"
        ) from error


def read_job(store: Store) -> dict[str, object] | None:
    """The frozen job, None if the folder holds none.

    Raises:
        RequestError: job.json is not readable.
    """
    if not store.exists(JOB):
        return None
    try:
        job = json.loads(store.read(JOB))
    except ValueError as error:
        raise RequestError(
            "out", f"{store.path(JOB)} is damaged ({error})", "run with --overwrite"
        ) from error
    return job if isinstance(job, dict) else None


def frozen_scaling(job: Mapping[str, object] | None) -> FrozenScaling | None:
    """The scaling that the frozen job estimated, None if there is no job or its scaling was given."""
    if job is None or not isinstance(config := job.get("config"), dict) or config.get("scaling") != "auto":
        return None
    return FrozenScaling(_scaling_of(job.get("scaling")))


def frozen_search(store: Store, config: JobConfig, job: Mapping[str, object] | None) -> tuple[Scene, ...]:
    """The frozen plan's scenes if it was made with the same STAC search as the request; else none.

    Raises:
        RequestError: the plan is not readable.
    """
    frozen = job.get("config") if job is not None else None
    asked = config.model_dump(mode="json")
    if config.stac is None or not isinstance(frozen, dict) or frozen.get("stac") != asked["stac"]:
        return ()
    originals = (original for item in read_plan(store).scenes for original in item.scene.originals)
    return tuple({original.scene_id: original for original in originals}.values())


GROWS = frozenset({"scenes", "queries", "run_id"})
"""Parts of a job's identity that a nightly update may change."""


def check_same_job(
    store: Store, plan: Plan, job: Mapping[str, object], *, may_differ: Collection[str] = frozenset()
) -> None:
    """Refuse an output folder that holds another job.

    Args:
        store: the output folder.
        plan: what is to be done there.
        job: the frozen job.
        may_differ: parts of a job's identity that are not compared.

    Raises:
        RequestError: the folder holds another job; the message names the fields that differ.
    """
    new, old = _identity(job_record(plan)), _identity(job)
    fields = [name for name, value in new.items() if value != old.get(name) and name not in may_differ]
    if fields:
        detail = _scene_detail(store, plan) if fields == ["scenes"] else ""
        add = "run 'remotereasoner nightly' to take it up, " if GROWS.issuperset(fields) else ""
        raise RequestError(
            "out",
            f"{store.root} holds another job: {', '.join(fields)} differ{detail}",
            f"{add}give --overwrite, or another --out",
        )


def clear_job(store: Store) -> None:
    """Delete everything an earlier job left in the folder, and nothing else; job.json is deleted early."""
    store.remove_folder(_JOURNAL)  # before the plan: without a plan a commit manifest could not be applied
    store.remove(_OWN_FILES)
    for folder in _OWN_FOLDERS:
        store.remove_folder(folder)


def package_version() -> str:
    """Version of the installed package."""
    try:
        return version("remotereasoner")
    except PackageNotFoundError:
        return "0"


def job_record(plan: Plan) -> dict[str, object]:
    """The plan's job as JSON values."""
    grid = plan.scenes[0].grid
    return {
        "format": 1,
        "version": package_version(),
        "rules": RULES_VERSION,
        "run_id": plan.run_id,
        "config": plan.config.model_dump(mode="json"),
        "queries": [{"id": query.id, "text": query.text, "task": str(query.task)} for query in plan.queries],
        "reasoner": asdict(plan.reasoner),
        "segmenter": asdict(plan.segmenter),
        "grid": {"tile": grid.tile_px, "overlap": grid.overlap_px, "chunk": grid.chunk_px},
        "scaling": _plain(asdict(plan.scaling)) if plan.scaling else None,
        "scenes": [[item.scene.scene_id, item.scene.identity] for item in plan.scenes],
        "aoi": aoi_digest(plan.aoi),
        "chunk_count": len(plan.chunks),
        "tile_count": plan.n_tiles,
    }


def _identity(job: Mapping[str, object]) -> dict[str, object]:
    config = job.get("config")
    given = config if isinstance(config, dict) else {}
    names = ("rules", "queries", "grid", "scaling", "scenes", "aoi")
    models = {
        name: value.get("digest")
        for name in ("reasoner", "segmenter")
        if isinstance(value := job.get(name), dict)
    }
    asked = {name: given.get(name, default) for name, default in _ASKED.items()}
    return {**{name: job.get(name) for name in names}, **models, **asked, "run_id": job.get("run_id")}


def _scene_detail(store: Store, plan: Plan) -> str:
    old = {item.scene.scene_id: item.scene.identity for item in read_plan(store).scenes}
    new = {item.scene.scene_id: item.scene.identity for item in plan.scenes}
    parts = {
        "added": sorted(new.keys() - old.keys()),
        "missing": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
    changes = [
        f"{word} {', '.join(ids[:3])}{' …' if len(ids) > 3 else ''}" for word, ids in parts.items() if ids
    ]
    return f" ({'; '.join(changes)})"


def _plan_of(store: Store, job: Mapping[str, object]) -> Plan:
    config = JobConfig.model_validate(job["config"])
    reasoner, segmenter, grid = job["reasoner"], job["segmenter"], job["grid"]
    assert isinstance(reasoner, dict) and isinstance(segmenter, dict) and isinstance(grid, dict)  # noqa: PT018
    sizes = (int(grid["tile"]), int(grid["overlap"]), int(grid["chunk"]))
    return Plan(
        run_id=str(job["run_id"]),
        config=config,
        queries=config.queries(),
        reasoner=ModelCard(**reasoner),
        segmenter=ModelCard(**segmenter),
        scaling=_scaling_of(job["scaling"]),
        scenes=tuple(_planned_scene(record, sizes) for record in _records(store, SCENES)),
        chunks=tuple(_chunk_ref(record) for record in _records(store, CHUNKS)),
        aoi=aoi_from(store.read(AOI)) if job.get("aoi") else None,
    )


def _scaling_of(value: object) -> Scaling | None:
    return TypeAdapter(Scaling | None).validate_python(value)


def _scene_record(item: PlannedScene) -> dict[str, object]:
    work = {f"work_{name}": getattr(item.work, name) for name in _WORK}
    scene = asdict(item.scene)
    # As text: a mosaic holds scenes, and a Parquet column cannot have a recursive type.
    scene["mosaic"] = json.dumps(scene["mosaic"]) if item.scene.mosaic else None
    valid = None if item.valid is None else shapely.to_wkb(item.valid)
    return {**scene, **work, "ground": valid}


def _planned_scene(record: Mapping[str, Any], sizes: tuple[int, int, int]) -> PlannedScene:
    mosaic, valid = record["mosaic"], record.get("ground")
    scene = _SCENE.validate_python(
        {**_without(record, "work_", "ground"), "mosaic": json.loads(mosaic) if mosaic else None}
    )
    work = _WORKING_GRID.validate_python(
        {"crs": scene.crs, **{name: record[f"work_{name}"] for name in _WORK}}
    )
    grid = Grid(scene.scene_id, work.width, work.height, *sizes)
    return PlannedScene(scene, work, grid, None if valid is None else shapely.from_wkb(valid))


def _chunk_record(ref: ChunkRef) -> dict[str, object]:
    fields = asdict(ref)
    return {**_without(fields, "window"), **asdict(ref.window)}


def _chunk_ref(record: Mapping[str, Any]) -> ChunkRef:
    window = {side: record[side] for side in ("x0", "y0", "x1", "y1")}
    return _CHUNK_REF.validate_python({**_without(record, *window), "window": window})


def _without(record: Mapping[str, Any], *starts: str) -> dict[str, Any]:
    """The fields whose names start with none of these."""
    return {name: value for name, value in record.items() if not name.startswith(starts)}


_SCENE, _WORKING_GRID, _CHUNK_REF = TypeAdapter(Scene), TypeAdapter(WorkingGrid), TypeAdapter(ChunkRef)


def _records(store: Store, name: str) -> list[dict[str, object]]:
    records: list[dict[str, object]] = pq.read_table(BytesIO(store.read(name))).to_pylist()
    return records


def _parquet(records: Sequence[Mapping[str, object]]) -> bytes:
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), sink, compression="zstd")
    return sink.getvalue()


def _plain(value: object) -> object:
    return json.loads(json.dumps(value))
