"""One run from request to published result: plan, do what is open, merge, publish. Knows no pixel."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipelines import loop_engine
from pipelines.collection import publish, published_files, withdraw
from pipelines.config import Engine, JobConfig
from pipelines.dataset import TEXTS, count_objects, object_files
from pipelines.errors import RequestError, StorageError
from pipelines.ledger import Status, committed, ledger_name, read_table
from pipelines.merge_job import MergeParts, merge_job, one_by_one
from pipelines.models import ModelRecipe
from pipelines.needs import wanted_cluster
from pipelines.plan import Plan
from pipelines.plan_files import check_same_job, clear_job, frozen_scaling, read_job, write_plan
from pipelines.planning import job_limits, make_plan
from pipelines.progress import Listener, MergeStarted, RunStarted, ignore
from pipelines.steps import CommitStep, ReadStep
from pipelines.storage import Store
from pipelines.tasks import ChunkDone, Pending, pending_chunks
from pipelines.truth import PREFIX, Placement

RAY_MERGES = 16
"""Scenes times questions from which the merge is spread over Ray."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did; counts of rows are over all tiles and questions of the job."""

    tiles: int
    """Tiles planned."""
    ok: int
    """Rows with boxes, or with a text."""
    empty: int
    """Rows that say nothing is there."""
    nodata: int
    """Rows of tiles without a valid pixel."""
    malformed: int
    """Rows whose answer cannot be read."""
    failed: int
    """Rows whose tile could not be read or answered."""
    objects: int
    """Objects in the result."""
    chunks_planned: int
    """Chunks of the job."""
    chunks_done: int
    """Chunks done by this very run."""
    seconds: float
    """Wall time of this run."""
    tiles_per_second: float
    """Tiles done by this run per second of it."""
    out: str
    """The output folder."""


def run_job(config: JobConfig, *, overwrite: bool = False, listener: Listener = ignore) -> RunReport:
    """Answer the questions; on the output of the same job, do only what is still open.

    Raises:
        RequestError: the request is wrong, or the output folder holds another job; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        OSError: the storage refuses.
    """
    began = time.perf_counter()
    store = Store(config.out)
    plan = open_job(store, config, overwrite=overwrite)
    before = committed(store)
    pending = pending_chunks(plan, before)
    tiles = {item.ref.chunk_id: item.ref.n_tiles for item in pending}
    listener(RunStarted(len(plan.chunks), len(pending), sum(tiles.values())))
    if pending:
        check_engine(config)
        withdraw(store)
    statuses: Counter[str] = Counter()
    for done in _chunk_events(store, plan, pending):
        statuses.update(done.statuses)
        listener(done)
    statuses.update(_earlier(store, plan, before))
    finish(store, plan, failed=statuses[Status.FAILED], listener=listener)
    return _report(
        store, plan, statuses, done_tiles=list(tiles.values()), seconds=time.perf_counter() - began
    )


def open_job(store: Store, config: JobConfig, *, overwrite: bool) -> Plan:
    """Make the plan and freeze it, or find it frozen.

    Raises:
        RequestError: the request is wrong, or the folder holds another job.
        SceneError: a scene cannot be opened.
        GridError: the sizes make no grid.
        ModelError: a model is unknown.
    """
    with _usable(store):
        job = None if overwrite else read_job(store)
    plan = make_plan(config, frozen=frozen_scaling(job))
    if job is not None:
        check_same_job(store, plan, job)
        store.clear_temporary("")
        return plan
    check_engine(config)
    with _usable(store):
        if overwrite:
            clear_job(store)
        write_plan(store, plan)
    return plan


def check_engine(config: JobConfig) -> None:
    """See that what is to drive the run is there and has what the models need.

    Raises:
        RequestError: there is no such cluster, or it lacks a GPU or room for the workers.
        ModelError: there is no such model.
    """
    if config.engine is Engine.RAY:
        from pipelines import ray_cluster

        ray_cluster.check_room(wanted_cluster(config))


@contextmanager
def _usable(store: Store) -> Iterator[None]:
    """A block that first touches the output folder; a refusal there is a wrong request."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = f"{store.root} cannot be used as output folder ({error})"
        raise RequestError("out", reason, "name a folder you may write to") from error


def finish(store: Store, plan: Plan, *, failed: int, listener: Listener = ignore) -> None:
    """Merge and publish, unless that is done already.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    published = published_files(store)
    if published is not None and set(published) <= set(_result_files(store)):
        return
    listener(MergeStarted(len(plan.scenes)))
    merge_job(store, plan, merge_parts=_merge_parts(plan))
    publish(store, plan, files=_result_files(store), failed=failed)


def model_recipe(plan: Plan) -> ModelRecipe:
    """What a worker needs to build the plan's models."""
    config = plan.config
    recipe = ModelRecipe(config.reasoner, config.segmenter, config.profile, config.device, config.seed, ())
    if not any(name.startswith(PREFIX) for name in (config.reasoner, config.segmenter)):
        return recipe
    places = (Placement(item.scene.scene_id, item.scene.crs, item.work.transform) for item in plan.scenes)
    return replace(recipe, placements=tuple(places))


def _chunk_events(store: Store, plan: Plan, pending: Sequence[Pending]) -> Iterator[ChunkDone]:
    read = ReadStep(plan.scaling, job_limits(plan.config))
    recipe, commit = model_recipe(plan), CommitStep(store)
    if plan.config.engine is Engine.LOOP:
        return loop_engine.run_chunks(pending, read=read, recipe=recipe, commit=commit)
    from pipelines import ray_engine

    cluster = wanted_cluster(plan.config)
    return ray_engine.run_chunks(pending, read=read, recipe=recipe, commit=commit, cluster=cluster)


def _merge_parts(plan: Plan) -> MergeParts:
    """What drives the merge; a few scenes are merged sooner than Ray tasks start."""
    if plan.config.engine is Engine.LOOP or len(plan.scenes) * len(plan.queries) < RAY_MERGES:
        return one_by_one
    from pipelines import ray_engine

    return ray_engine.merge_parts


def _earlier(store: Store, plan: Plan, before: set[tuple[str, str]]) -> Counter[str]:
    """Statuses in the ledger files that an earlier run committed."""
    found: Counter[str] = Counter()
    for ref in plan.chunks:
        for query in plan.queries:
            if (query.id, ref.chunk_id) in before:
                table = read_table(store, ledger_name(query.id, ref.chunk_id), ["status"])
                found.update(table.column("status").to_pylist())
    return found


def _result_files(store: Store) -> list[str]:
    return [*object_files(store), *store.names(TEXTS)]


def _report(
    store: Store, plan: Plan, statuses: Counter[str], *, done_tiles: Sequence[int], seconds: float
) -> RunReport:
    return RunReport(
        tiles=plan.n_tiles,
        ok=statuses[Status.OK],
        empty=statuses[Status.EMPTY],
        nodata=statuses[Status.NODATA],
        malformed=statuses[Status.MALFORMED],
        failed=statuses[Status.FAILED],
        objects=count_objects(store),
        chunks_planned=len(plan.chunks),
        chunks_done=len(done_tiles),
        seconds=round(seconds, 3),
        tiles_per_second=round(sum(done_tiles) / max(seconds, 1e-9), 3),
        out=store.root,
    )
