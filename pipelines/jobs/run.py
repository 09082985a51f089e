"""One run from request to published result: plan, answer the open chunks, merge, publish."""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from pipelines import Listener, MergeStarted, RequestError, ignore
from pipelines.engine import WithProgress, check_engine, executor_of
from pipelines.inference import open_chunks
from pipelines.jobs.journal import journal_is_open
from pipelines.jobs.lock import LEASE, Lease, Lock
from pipelines.jobs.setup import draft_job, freeze_job, stopping, writing
from pipelines.jobs.work import answer_chunks
from pipelines.merge import merge_job
from pipelines.plan import PARALLEL_READS, JobConfig, Plan, check_same_job
from pipelines.tables import (
    LedgerKey,
    Status,
    committed,
    count_objects,
    ledger_name,
    missing_files,
    publish,
    published_files,
    read_table,
    result_files,
    withdraw,
)
from tiling.storage import LONG, Store


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run did; rows are counted over all tiles and questions of the job."""

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
    """Chunks done by this run."""
    seconds: float
    """Wall time of this run."""
    tiles_per_second: float
    """Tiles done by this run per second of it."""
    out: str
    """The output folder."""


def run_job(
    config: JobConfig, *, overwrite: bool = False, listener: Listener = ignore, lease: Lease = LEASE
) -> RunReport:
    """Answer the questions of a job; in the output folder of the same job, do only the work that is missing.

    Raises:
        RequestError: the request is wrong, or the output folder holds another job; nothing is written.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        LockLostError: another process took the folder over.
        StorageError: object storage refuses or is away; nothing is written.
        StoppedError: object storage fails while work is done; what is committed stays.
        OSError: the local storage refuses.
    """
    began = time.perf_counter()
    store = Store(config.out)
    draft = draft_job(store, config, overwrite=overwrite, lease=lease)
    if draft.job is None:
        check_engine(config)
    else:
        check_same_job(store, draft.plan, draft.job)
        _refuse_open_journal(store)
    with writing(store, "run", lease) as lock:
        freeze_job(store, draft, overwrite=overwrite)
        with stopping(store):
            return _do_open(
                replace(store, retry_policy=LONG), draft.plan, lock=lock, began=began, listener=listener
            )


def _do_open(store: Store, plan: Plan, *, lock: Lock, began: float, listener: Listener) -> RunReport:
    """Answer the open chunks of a frozen plan, merge and publish."""
    statuses, tiles = _answer_open(store, plan, lock=lock, listener=listener)
    lock.check()
    finish(store, plan, failed=statuses[Status.FAILED], listener=listener)
    return _report(store, plan, statuses, done_tiles=tiles, seconds=time.perf_counter() - began)


def _refuse_open_journal(store: Store) -> None:
    if journal_is_open(store):
        raise RequestError(
            "out", f"{store.root} holds an unfinished update", "run: remotereasoner nightly with the same job"
        )


def _answer_open(
    store: Store, plan: Plan, *, lock: Lock, listener: Listener
) -> tuple[Counter[str], list[int]]:
    """Answer the open chunks; returns the statuses of all the job's rows, and the tiles of each chunk."""
    before = committed(store)
    tasks = open_chunks(plan, before)
    if tasks:
        check_engine(plan.config)
        withdraw(store)
    statuses: Counter[str] = Counter()
    executor = executor_of(plan.config)
    for done in answer_chunks(store, plan, tasks, executor=executor, listener=listener):
        lock.check()
        statuses.update(done.statuses)
    statuses.update(_earlier(store, plan, before))
    return statuses, [task.ref.n_tiles for task in tasks]


def finish(store: Store, plan: Plan, *, failed: int, listener: Listener = ignore) -> None:
    """Merge and publish, unless that has been done already.

    Raises:
        IncompleteError: a ledger file is missing.
        OSError: the storage refuses.
    """
    published = published_files(store)
    if published is not None and not missing_files(store, published):
        return
    listener(MergeStarted(len(plan.scenes)))
    merge_job(store, plan, WithProgress(executor_of(plan.config), listener))
    publish(store, plan, files=result_files(store), failed=failed)


def _earlier(store: Store, plan: Plan, before: set[LedgerKey]) -> Counter[str]:
    """Statuses in the ledger files that an earlier run committed."""
    keys = [(query.id, ref.chunk_id) for ref in plan.chunks for query in plan.queries]
    names = [ledger_name(*key) for key in keys if key in before]
    found: Counter[str] = Counter()
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        for table in pool.map(lambda name: read_table(store, name, ["status"]), names):
            found.update(table.column("status").to_pylist())
    return found


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
