"""One run from request to published result: plan, do what is open, merge, publish. Knows no pixel."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipelines import ChunkDone, Listener, MergeStarted, RequestError, RunStarted, ignore
from pipelines.engine import Drive, Telling, in_turn, run_chunks_here, wanted_cluster
from pipelines.inference import CommitStep, Pending, ReadStep, pending_chunks
from pipelines.jobs.journal import night_is_open
from pipelines.jobs.lock import LEASE, Lease, Lock
from pipelines.jobs.setup import check_engine, draft_job, freeze_job, stopping, writing
from pipelines.merge import merge_job
from pipelines.plan import Engine, JobConfig, ModelRecipe, Placement, Plan, check_same_job, job_limits
from pipelines.tables import (
    CHANGES,
    TEXTS,
    Status,
    committed,
    count_objects,
    ledger_name,
    missing_files,
    object_files,
    publish,
    published_files,
    read_table,
    withdraw,
)
from reasoner.model_name import ModelName
from tiling.geo import frame_of
from tiling.storage import LONG, Store

READERS = 16
"""Ledger files read at once: after a resumed run there may be tens of thousands in a bucket."""


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


def run_job(
    config: JobConfig, *, overwrite: bool = False, listener: Listener = ignore, lease: Lease = LEASE
) -> RunReport:
    """Answer the questions; on the output of the same job, do only what is still open.

    Raises:
        RequestError: the request is wrong, or the output folder holds another job; nothing is written.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        LockLostError: another process took the folder over.
        StorageError: object storage refuses or is away; nothing is written.
        StoppedError: it does so while work is done; what is committed stays.
        OSError: the local storage refuses.
    """
    began = time.perf_counter()
    store = Store(config.out)
    draft = draft_job(store, config, overwrite=overwrite, lease=lease)
    if draft.job is not None:
        check_same_job(store, draft.plan, draft.job)
        _refuse_open_night(store)
    with writing(store, "run", lease) as lock:
        freeze_job(store, draft, overwrite=overwrite)
        with stopping(store):
            return _do_open(
                replace(store, patience=LONG), draft.plan, lock=lock, began=began, listener=listener
            )


def _do_open(store: Store, plan: Plan, *, lock: Lock, began: float, listener: Listener) -> RunReport:
    """Do what is open of a frozen plan, merge and publish."""
    statuses, tiles = _work_off(store, plan, lock=lock, listener=listener)
    lock.check()
    finish(store, plan, failed=statuses[Status.FAILED], listener=listener)
    return _report(store, plan, statuses, done_tiles=tiles, seconds=time.perf_counter() - began)


def _refuse_open_night(store: Store) -> None:
    if night_is_open(store):
        raise RequestError(
            "out", f"{store.root} holds an unfinished night", "run: remotereasoner nightly with the same job"
        )


def _work_off(store: Store, plan: Plan, *, lock: Lock, listener: Listener) -> tuple[Counter[str], list[int]]:
    """Do what is open; statuses of all rows of the job, and tiles of each chunk done."""
    before = committed(store)
    pending = pending_chunks(plan, before)
    if pending:
        check_engine(plan.config)
        withdraw(store)
    statuses: Counter[str] = Counter()
    for done in chunk_events(store, plan, pending, listener=listener):
        lock.check()
        statuses.update(done.statuses)
    statuses.update(_earlier(store, plan, before))
    return statuses, [item.ref.n_tiles for item in pending]


def finish(store: Store, plan: Plan, *, failed: int, listener: Listener = ignore) -> None:
    """Merge and publish, unless that is done already.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    published = published_files(store)
    if published is not None and not missing_files(store, published):
        return
    listener(MergeStarted(len(plan.scenes)))
    merge_job(store, plan, drive=merge_driver(plan, listener))
    publish(store, plan, files=result_files(store), failed=failed)


def model_recipe(plan: Plan) -> ModelRecipe:
    """What a worker needs to build the plan's models."""
    config = plan.config
    recipe = ModelRecipe(config.reasoner, config.segmenter, config.profile, config.device, config.seed, ())
    if not any(ModelName.parse(name).truth for name in (config.reasoner, config.segmenter)):
        return recipe
    places = (Placement(item.scene.scene_id, frame_of(item.scene, item.work)) for item in plan.scenes)
    return replace(recipe, placements=tuple(places))


def chunk_events(
    store: Store, plan: Plan, pending: Sequence[Pending], *, listener: Listener = ignore
) -> Iterator[ChunkDone]:
    """Do the pending chunks, on what the request names; an event per committed chunk, told the listener too.

    Raises:
        RequestError: there is no such cluster.
        ModelError: a model cannot be loaded.
        OSError: the storage refuses.
    """
    listener(RunStarted(len(plan.chunks), len(pending), sum(item.ref.n_tiles for item in pending)))
    if not pending:
        return
    for done in _drive(store, plan, pending):
        listener(done)
        yield done


def _drive(store: Store, plan: Plan, pending: Sequence[Pending]) -> Iterator[ChunkDone]:
    read = ReadStep(plan.scaling, job_limits(plan.config))
    recipe, commit = model_recipe(plan), CommitStep(store)
    if plan.config.engine is Engine.LOOP:
        return run_chunks_here(pending, read=read, recipe=recipe, commit=commit)
    from pipelines.engine import run_chunks_on_ray

    cluster = wanted_cluster(plan.config)
    return run_chunks_on_ray(pending, read=read, recipe=recipe, commit=commit, cluster=cluster)


def merge_driver(plan: Plan, listener: Listener) -> Drive:
    """What drives the merge, and tells of it."""
    if plan.config.engine is Engine.LOOP:
        return Telling(in_turn, listener)
    from pipelines.engine import Spread

    return Telling(Spread(plan.config.address), listener)


def _earlier(store: Store, plan: Plan, before: set[tuple[str, str]]) -> Counter[str]:
    """Statuses in the ledger files that an earlier run committed."""
    keys = [(query.id, ref.chunk_id) for ref in plan.chunks for query in plan.queries]
    names = [ledger_name(*key) for key in keys if key in before]
    found: Counter[str] = Counter()
    with ThreadPoolExecutor(READERS) as pool:
        for table in pool.map(lambda name: read_table(store, name, ["status"]), names):
            found.update(table.column("status").to_pylist())
    return found


def result_files(store: Store) -> list[str]:
    """Names of all files that a published result is made of."""
    return [*object_files(store), *store.names(TEXTS), *store.names(CHANGES)]


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
