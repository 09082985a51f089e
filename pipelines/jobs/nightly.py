"""The nightly update: brings a published dataset up to date with the scenes and questions its job names now.

The published result stays complete and readable until all of the update's work is done. The order of writes:

1. lock.json is taken.
2. The journal copies the published plan (`journal.py`).
3. The new plan is written.
4. Ledger files of new chunks and questions are written.
5. New cells, texts and the change table are staged.
6. The commit manifest is written.
7. collection.json is deleted.
8. Staged files are put in place; files without rows and files of questions no longer asked are deleted.
9. collection.json is written.
10. Ledger files of chunks that are no longer planned are deleted.
11. The journal is deleted.
12. The lock is released.

An update killed before step 6 has changed no published file, and the next one plans again from the published
plan. An update killed after step 6 is finished by the next one from the commit manifest alone, even if the
scenes have changed since.

The change table compares a question's published objects with its new ones. A first update and a new question
have nothing to compare with, so their objects are not listed as changes, nor are the objects of a question
that is no longer asked. A second update of the same date adds to that date's table.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pipelines import Listener, MergeStarted, RequestError, ignore
from pipelines.engine import WithProgress, check_engine, executor_of
from pipelines.inference import open_chunks
from pipelines.jobs import journal
from pipelines.jobs.journal import CommitManifest
from pipelines.jobs.lock import LEASE, Lease, Lock
from pipelines.jobs.nightly_merge import UpdateMerge, orphans
from pipelines.jobs.setup import check_unmoved, draft_job, stopping, writing
from pipelines.jobs.work import answer_chunks
from pipelines.merge import merge_job
from pipelines.plan import (
    GROWS,
    Difference,
    JobConfig,
    Plan,
    check_same_job,
    clear_job,
    difference,
    is_same,
    read_plan,
    write_plan,
)
from pipelines.tables import (
    Change,
    ChangeKind,
    LedgerKey,
    Status,
    changes_name,
    combine_changes,
    committed,
    dates_in,
    ledger_name,
    missing_files,
    publish,
    published_failed,
    published_files,
    read_changes,
    read_table,
    result_files,
    withdraw,
    write_changes,
)
from tiling.storage import LONG, Store


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """What an update did."""

    date: str
    """The update's date."""
    scenes_new: int
    """Scenes that were not there before."""
    scenes_replaced: int
    """Scenes whose file is a different one."""
    scenes_gone: int
    """Scenes no longer there."""
    questions_new: int
    """Questions not asked before."""
    questions_gone: int
    """Questions no longer asked."""
    chunks_planned: int
    """Chunks of the whole dataset."""
    chunks_done: int
    """Chunks done by this command."""
    files_written: int
    """Files of objects and texts written anew."""
    files_removed: int
    """Files of objects and texts deleted."""
    appeared: int
    """Rows of the change table of that date: objects that were not there before."""
    disappeared: int
    """Objects that are no longer there."""
    changed: int
    """Objects whose outline or label is different."""
    failed: int
    """Tiles and questions of the whole dataset that failed."""
    seconds: float
    """Wall time of this command."""
    out: str
    """The output folder."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """The outcome of answering the open chunks."""

    chunks: int
    """Chunks done."""
    failed: int
    """Tiles and questions of the plan that failed."""


@dataclass(frozen=True, slots=True)
class Update:
    """One update of one output folder, whose lock is held."""

    store: Store
    """The output folder."""
    date: str
    """The update's date, YYYY-MM-DD."""
    lock: Lock
    """The lock; checked before writes that another process could be making too."""
    listener: Listener
    """Receives the events of progress."""

    def bring_up_to(self, plan: Plan) -> UpdateReport:
        """Bring the published result up to date with a plan.

        Raises:
            RequestError: published files are missing, or a later update is published; nothing is written.
            LockLostError: another process took the folder over.
            OSError: the storage refuses.
        """
        given = journal.read_manifest(self.store)
        if given is not None:
            self._complete(given)
        published = published_files(self.store)
        is_open = journal.journal_is_open(self.store)
        if not is_open:
            journal.clean_up(self.store)
        if published is None and not is_open:
            return self._first(plan)
        before = journal.published_plan(self.store)
        self._check(published or [])
        if is_same(before, plan) and not is_open:
            return self._nothing_new(plan, published or [])
        return self._update(before, plan)

    def _check(self, published: Sequence[str]) -> None:
        if missing := missing_files(self.store, published):
            raise RequestError(
                "out",
                f"{self.store.root} lacks {len(missing)} published files ({missing[0]} …)",
                "put them back, or begin anew with --overwrite",
            )
        later = [date for date in dates_in(published) if date > self.date]
        if later and self.date not in dates_in(published):
            raise RequestError(
                "date", f"the update of {later[-1]} is published already", "give that date or a later one"
            )

    def _first(self, plan: Plan) -> UpdateReport:
        """Make a new dataset; there is no published result to compare it with."""
        write_plan(self.store, plan)
        answered = self._answer(plan, published=())
        merge_job(self.store, plan, self._executor(plan))
        self.store.remove(orphans(self.store, plan))
        self._remove_stale_answers(plan)
        write_changes(self.store, self.date, [])
        self._publish(plan, answered.failed)
        written = tuple(result_files(self.store))
        what = difference(replace(plan, scenes=(), chunks=(), queries=()), plan)
        return self._report(
            plan, what, CommitManifest(self.date, written, (), answered.failed), answered.chunks
        )

    def _nothing_new(self, plan: Plan, published: Sequence[str]) -> UpdateReport:
        failed = published_failed(self.store)
        if self.date not in dates_in(published):
            write_changes(self.store, self.date, [])
            self._publish(plan, failed)
        return self._report(plan, difference(plan, plan), CommitManifest(self.date, (), (), failed), 0)

    def _update(self, before: Plan, plan: Plan) -> UpdateReport:
        what = difference(before, plan)
        journal.open_journal(self.store)
        write_plan(self.store, plan)
        answered = self._answer(plan, published=_keys(before))
        manifest = self._stage(plan, what, failed=answered.failed)
        self.lock.check()
        journal.write_manifest(self.store, manifest)
        self._complete(manifest)
        return self._report(plan, what, manifest, answered.chunks)

    def _answer(self, plan: Plan, *, published: Collection[LedgerKey]) -> _Answered:
        """Answer the open chunks, and count the tiles and questions of the whole plan that failed."""
        done = committed(self.store)
        tasks, executor = open_chunks(plan, done, published=published), executor_of(plan.config)
        failed = published_failed(self.store) if published else 0
        failed -= self._failed_in(set(published) - _keys(plan))
        failed += self._failed_in((_keys(plan) - set(published)) & done)
        for each in answer_chunks(self.store, plan, tasks, executor=executor, listener=self.listener):
            self.lock.check()
            failed += each.statuses.get(Status.FAILED, 0)
        return _Answered(len(tasks), failed)

    def _executor(self, plan: Plan) -> WithProgress:
        return WithProgress(executor_of(plan.config), self.listener)

    def _failed_in(self, keys: Collection[LedgerKey]) -> int:
        names = (ledger_name(*key) for key in sorted(keys))
        columns = (read_table(self.store, name, ["status"]).column("status").to_pylist() for name in names)
        return sum(column.count(Status.FAILED) for column in columns)

    def _stage(self, plan: Plan, what: Difference, *, failed: int) -> CommitManifest:
        stage = journal.stage_of(self.store)
        n_scenes = len(plan.scenes) if what.new_queries else len(what.changed.scene_ids)
        self.listener(MergeStarted(n_scenes))
        merge = UpdateMerge(self.store, stage, plan, what)
        staged = merge(self._executor(plan))
        table = write_changes(stage, self.date, combine_changes(self._earlier_changes(), staged.changes))
        return CommitManifest(self.date, (*staged.writes, table), staged.removes, failed)

    def _earlier_changes(self) -> Sequence[Change]:
        """Rows of a table that an earlier update of the same date published."""
        name = changes_name(self.date)
        return read_changes(self.store, self.date) if name in (published_files(self.store) or []) else []

    def _complete(self, manifest: CommitManifest) -> None:
        """Apply an update's commit manifest and publish; doing it again changes nothing."""
        plan = read_plan(self.store)
        withdraw(self.store)
        journal.apply_manifest(self.store, manifest, check=self.lock.check)
        self._publish(plan, manifest.failed)
        self._remove_stale_answers(plan)
        journal.close_journal(self.store)

    def _publish(self, plan: Plan, failed: int) -> None:
        self.lock.check()
        publish(self.store, plan, files=result_files(self.store), failed=failed)

    def _remove_stale_answers(self, plan: Plan) -> None:
        """Delete ledger files of chunks and questions that are no longer planned."""
        stale = committed(self.store) - _keys(plan)
        self.store.remove([ledger_name(*key) for key in sorted(stale)])

    def _report(
        self, plan: Plan, what: Difference, manifest: CommitManifest, chunks_done: int
    ) -> UpdateReport:
        kinds = Counter(item.kind for item in read_changes(self.store, self.date))
        return UpdateReport(
            date=self.date,
            scenes_new=len(what.new),
            scenes_replaced=len(what.replaced),
            scenes_gone=len(what.gone),
            questions_new=len(what.new_queries),
            questions_gone=what.n_gone_queries,
            chunks_planned=len(plan.chunks),
            chunks_done=chunks_done,
            files_written=len([name for name in manifest.writes if name != changes_name(self.date)]),
            files_removed=len(manifest.removes),
            appeared=kinds[ChangeKind.APPEARED],
            disappeared=kinds[ChangeKind.DISAPPEARED],
            changed=kinds[ChangeKind.CHANGED],
            failed=manifest.failed,
            seconds=0.0,
            out=self.store.root,
        )


def _keys(plan: Plan) -> set[LedgerKey]:
    return {(query.id, ref.chunk_id) for query in plan.queries for ref in plan.chunks}


def today() -> str:
    """Today's date in UTC, YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def run_nightly(
    config: JobConfig,
    *,
    date: str,
    overwrite: bool = False,
    listener: Listener = ignore,
    lease: Lease = LEASE,
) -> UpdateReport:
    """Bring the dataset in the output folder up to date; an empty folder gets a new dataset.

    Args:
        config: the request; only its scenes and questions may differ from what is published.
        date: the update's date, YYYY-MM-DD.
        overwrite: delete what the folder holds and begin anew.
        listener: receives the events of progress.
        lease: how the folder's lock is held.

    Raises:
        RequestError: the request is wrong, or the folder holds another kind of job; nothing is written.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        LockLostError: another process took the folder over.
        StorageError: object storage refuses or is away; nothing is written.
        StoppedError: object storage fails while work is done; the next update goes on from there.
        OSError: the local storage refuses.
    """
    began = time.perf_counter()
    _check_date(date)
    store = Store(config.out)
    draft = draft_job(store, config, overwrite=overwrite, lease=lease, anew=True)
    if draft.job is None:
        check_engine(config)
    else:
        check_same_job(store, draft.plan, draft.job, may_differ=GROWS)
    with writing(store, f"nightly {date}", lease) as lock:
        if overwrite:
            clear_job(store)
        check_unmoved(store, draft)
        store.clear_temporary("")
        with stopping(store):
            update = Update(replace(store, retry_policy=LONG), date, lock, listener)
            report = update.bring_up_to(draft.plan)
    return replace(report, seconds=round(time.perf_counter() - began, 3))


def _check_date(date: str) -> None:
    try:
        good = datetime.strptime(date, "%Y-%m-%d").strftime("%Y-%m-%d") == date
    except ValueError:
        good = False
    if not good:
        raise RequestError("date", f"{date!r} is not a date", "write it as 2026-11-25")
