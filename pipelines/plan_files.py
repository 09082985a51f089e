"""The frozen plan on storage: job.json and plan/*.parquet, written before work starts, read back later."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config import JobConfig
from pipelines.errors import RequestError
from pipelines.plan import RULES_VERSION, ChunkRef, ModelFacts, Plan, PlannedScene
from pipelines.planning import FrozenScaling
from pipelines.storage import Store
from tiling.grid import Grid
from tiling.scaling import Scaling
from tiling.scene import Band, Scene
from tiling.window import Window
from tiling.work import WorkGrid

JOB = "job.json"
SCENES = "plan/scenes.parquet"
CHUNKS = "plan/chunks.parquet"
_OWN_FOLDERS = ("answers", "objects", "texts", "plan", "map")
_OWN_FILES = (JOB, "collection.json", "map.html")


def write_plan(store: Store, plan: Plan) -> None:
    """Freeze the plan; job.json comes last, so that its presence means the plan is whole.

    Raises:
        OSError: the storage refuses.
    """
    store.write(SCENES, _parquet([_scene_record(item) for item in plan.scenes]))
    store.write(CHUNKS, _parquet([_chunk_record(ref) for ref in plan.chunks]))
    store.write(JOB, json.dumps(job_record(plan), indent=2, sort_keys=True).encode())


def read_plan(store: Store) -> Plan:
    """The frozen plan of an output folder.

    Raises:
        RequestError: there is none, or it is not readable.
    """
    job = read_job(store)
    if job is None:
        raise RequestError("out", f"{store.root} holds no run (no {JOB})", "name the --out of an earlier run")
    try:
        return _plan_of(store, job)
    except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
        raise RequestError(
            "out", f"the plan in {store.root} cannot be read ({error})", "run with --overwrite"
        ) from error


def read_job(store: Store) -> dict[str, object] | None:
    """The frozen job, None where the folder holds none.

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
    """Scaling that the frozen job estimated, None where there is no job or it was given."""
    if job is None or not isinstance(config := job.get("config"), dict) or config.get("scaling") != "auto":
        return None
    return FrozenScaling(_scaling_of(job.get("scaling")))


def check_same_job(store: Store, plan: Plan, job: Mapping[str, object]) -> None:
    """Refuse an output folder that holds another job.

    Raises:
        RequestError: it does; the message names the fields that differ.
    """
    fields = [
        name for name, value in _identity(job_record(plan)).items() if value != _identity(job).get(name)
    ]
    if fields:
        detail = _scene_detail(store, plan) if fields == ["scenes"] else ""
        raise RequestError(
            "out",
            f"{store.root} holds another job: {', '.join(fields)} differ{detail}",
            "give --overwrite, or another --out",
        )


def clear_job(store: Store) -> None:
    """Delete everything an earlier job left in the folder, and nothing else; job.json goes first."""
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
        "chunk_count": len(plan.chunks),
        "tile_count": plan.n_tiles,
    }


def _identity(job: Mapping[str, object]) -> dict[str, object]:
    config = job.get("config")
    given = config if isinstance(config, dict) else {}
    names = ("rules", "queries", "grid", "scaling", "scenes")
    models = {
        name: value.get("digest")
        for name in ("reasoner", "segmenter")
        if isinstance(value := job.get(name), dict)
    }
    asked = {name: given.get(name) for name in ("gsd", "bands", "assume_crs", "seed")}
    return {**{name: job.get(name) for name in names}, **models, **asked, "run_id": job.get("run_id")}


def _scene_detail(store: Store, plan: Plan) -> str:
    old = {item.scene.scene_id: item.scene.identity for item in read_plan(store).scenes}
    new = {item.scene.scene_id: item.scene.identity for item in plan.scenes}
    parts = {
        "added": sorted(new.keys() - old.keys()),
        "missing": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }
    said = [
        f"{word} {', '.join(ids[:3])}{' …' if len(ids) > 3 else ''}" for word, ids in parts.items() if ids
    ]
    return f" ({'; '.join(said)})"


def _plan_of(store: Store, job: Mapping[str, object]) -> Plan:
    config = JobConfig.model_validate(job["config"])
    reasoner, segmenter, grid = job["reasoner"], job["segmenter"], job["grid"]
    assert isinstance(reasoner, dict) and isinstance(segmenter, dict) and isinstance(grid, dict)  # noqa: PT018
    sizes = (int(grid["tile"]), int(grid["overlap"]), int(grid["chunk"]))
    return Plan(
        run_id=str(job["run_id"]),
        config=config,
        queries=config.queries(),
        reasoner=ModelFacts(**reasoner),
        segmenter=ModelFacts(**segmenter),
        scaling=_scaling_of(job["scaling"]),
        scenes=tuple(_planned_scene(record, sizes) for record in _records(store, SCENES)),
        chunks=tuple(_chunk_ref(record) for record in _records(store, CHUNKS)),
    )


def _scaling_of(value: object) -> Scaling | None:
    if not isinstance(value, dict):
        return None
    return Scaling(low=tuple(value["low"]), high=tuple(value["high"]))


def _scene_record(item: PlannedScene) -> dict[str, object]:
    work = {f"work_{name}": value for name, value in asdict(item.work).items()}
    return {**asdict(item.scene), **work}


def _planned_scene(record: Mapping[str, object], sizes: tuple[int, int, int]) -> PlannedScene:
    fields = dict(record)
    work = {name.removeprefix("work_"): fields.pop(name) for name in list(fields) if name.startswith("work_")}
    bands, transform = fields.pop("bands"), fields.pop("transform")
    assert isinstance(bands, list) and isinstance(transform, list)  # noqa: PT018
    scene = Scene(bands=tuple(Band(**band) for band in bands), transform=_six(transform), **fields)  # type: ignore[arg-type]
    work_grid = WorkGrid(**{**work, "transform": _six(work["transform"])})  # type: ignore[arg-type]
    grid = Grid(scene.scene_id, work_grid.width, work_grid.height, *sizes)
    return PlannedScene(scene, work_grid, grid)


def _six(values: object) -> tuple[float, float, float, float, float, float]:
    assert isinstance(values, Sequence)
    a, b, c, d, e, f = values
    return (a, b, c, d, e, f)


def _chunk_record(ref: ChunkRef) -> dict[str, object]:
    fields = asdict(ref)
    return {**{name: value for name, value in fields.items() if name != "window"}, **asdict(ref.window)}


def _chunk_ref(record: Mapping[str, object]) -> ChunkRef:
    fields = dict(record)
    x0, y0, x1, y1 = (fields.pop(name) for name in ("x0", "y0", "x1", "y1"))
    return ChunkRef(window=Window(x0, y0, x1, y1), **fields)  # type: ignore[arg-type]


def _records(store: Store, name: str) -> list[dict[str, object]]:
    records: list[dict[str, object]] = pq.read_table(BytesIO(store.read(name))).to_pylist()
    return records


def _parquet(records: Sequence[Mapping[str, object]]) -> bytes:
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(list(records)), sink, compression="zstd")
    return sink.getvalue()


def _plain(value: object) -> object:
    return json.loads(json.dumps(value))
