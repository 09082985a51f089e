"""The steps of one night under its lock, in the order that `nightly` writes down. Knows no pixel."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pipelines import night_files
from pipelines.changes import Change, Kind, changes_name, dates_in, joined, read_changes, write_changes
from pipelines.collection import missing_files, publish, published_failed, published_files, withdraw
from pipelines.errors import RequestError
from pipelines.ledger import Status, committed, ledger_name, read_table
from pipelines.lock import Lock
from pipelines.merge_job import merge_job
from pipelines.night_files import Orders
from pipelines.night_merge import NightMerge, strangers
from pipelines.plan import Plan
from pipelines.plan_difference import Difference, difference, is_same
from pipelines.plan_files import read_plan, write_plan
from pipelines.progress import Listener, MergeStarted
from pipelines.run_job import chunk_events, merge_driver, result_files
from pipelines.storage import Store
from pipelines.tasks import pending_chunks

Key = tuple[str, str]
"""Question id and chunk id of a ledger file."""


@dataclass(frozen=True, slots=True)
class NightReport:
    """What a night did."""

    date: str
    """The night's date."""
    scenes_new: int
    """Scenes that were not there before."""
    scenes_replaced: int
    """Scenes whose file is another one."""
    scenes_gone: int
    """Scenes no longer there."""
    questions_new: int
    """Questions not asked before."""
    questions_gone: int
    """Questions no longer asked."""
    chunks_planned: int
    """Chunks of the whole dataset."""
    chunks_done: int
    """Chunks done by this very command."""
    files_written: int
    """Files of objects and texts written anew."""
    files_removed: int
    """Files of objects and texts deleted."""
    appeared: int
    """Rows of the change table of that date: things that were not there before."""
    disappeared: int
    """Things that are not there any more."""
    changed: int
    """Things with another outline or label."""
    failed: int
    """Tiles and questions of the whole dataset that failed."""
    seconds: float
    """Wall time of this command."""
    out: str
    """The output folder."""


@dataclass(frozen=True, slots=True)
class _Answered:
    """What asking the models came to."""

    chunks: int
    """Chunks done."""
    failed: int
    """Tiles and questions of the plan that failed."""


@dataclass(frozen=True, slots=True)
class Night:
    """One night in one output folder, whose lock is held."""

    store: Store
    """The output folder."""
    date: str
    """The night's date, YYYY-MM-DD."""
    lock: Lock
    """The lock; checked before whatever others could be writing too."""
    listener: Listener
    """Told of progress."""

    def bring_up_to(self, plan: Plan) -> NightReport:
        """Make what is published what the plan says.

        Raises:
            RequestError: published files are missing, or a later night is published; nothing is written.
            LockLostError: another process took the folder over.
            OSError: the storage refuses.
        """
        given = night_files.orders_of(self.store)
        if given is not None:
            self._end(given)
        published = published_files(self.store)
        is_open = night_files.is_open(self.store)
        if not is_open:
            night_files.sweep(self.store)
        if published is None and not is_open:
            return self._first(plan)
        before = night_files.published_plan(self.store)
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
                "date", f"the night of {later[-1]} is published already", "give that date or a later one"
            )

    def _first(self, plan: Plan) -> NightReport:
        """Make the dataset; there is nothing to compare it with."""
        write_plan(self.store, plan)
        answered = self._answer(plan, settled=())
        merge_job(self.store, plan, drive=merge_driver(plan, self.listener))
        self.store.remove(strangers(self.store, plan))
        self._forget(plan)
        write_changes(self.store, self.date, [])
        self._publish(plan, answered.failed)
        written = tuple(result_files(self.store))
        what = difference(replace(plan, scenes=(), chunks=(), queries=()), plan)
        return self._report(plan, what, Orders(self.date, written, (), answered.failed), answered.chunks)

    def _nothing_new(self, plan: Plan, published: Sequence[str]) -> NightReport:
        failed = published_failed(self.store)
        if self.date not in dates_in(published):
            write_changes(self.store, self.date, [])
            self._publish(plan, failed)
        return self._report(plan, difference(plan, plan), Orders(self.date, (), (), failed), 0)

    def _update(self, before: Plan, plan: Plan) -> NightReport:
        what = difference(before, plan)
        night_files.open_night(self.store)
        write_plan(self.store, plan)
        answered = self._answer(plan, settled=_keys(before))
        orders = self._stage(plan, what, failed=answered.failed)
        self.lock.check()
        night_files.give_orders(self.store, orders)
        self._end(orders)
        return self._report(plan, what, orders, answered.chunks)

    def _answer(self, plan: Plan, *, settled: Collection[Key]) -> _Answered:
        """Do what is open, and count what failed in the whole plan."""
        done = committed(self.store)
        pending = pending_chunks(plan, done, settled=settled)
        failed = published_failed(self.store) if settled else 0
        failed -= self._failed_in(set(settled) - _keys(plan))
        failed += self._failed_in((_keys(plan) - set(settled)) & done)
        for each in chunk_events(self.store, plan, pending, listener=self.listener):
            self.lock.check()
            failed += each.statuses.get(Status.FAILED, 0)
        return _Answered(len(pending), failed)

    def _failed_in(self, keys: Collection[Key]) -> int:
        names = (ledger_name(*key) for key in sorted(keys))
        columns = (read_table(self.store, name, ["status"]).column("status").to_pylist() for name in names)
        return sum(column.count(Status.FAILED) for column in columns)

    def _stage(self, plan: Plan, what: Difference, *, failed: int) -> Orders:
        stage = night_files.stage_of(self.store)
        n_scenes = len(plan.scenes) if what.new_queries else len(what.changed.scene_ids)
        self.listener(MergeStarted(n_scenes))
        merge = NightMerge(self.store, stage, plan, what)
        staged = merge(merge_driver(plan, self.listener))
        table = write_changes(stage, self.date, joined(self._earlier_changes(), staged.changes))
        return Orders(self.date, (*staged.writes, table), staged.removes, failed)

    def _earlier_changes(self) -> Sequence[Change]:
        """Rows of a table that an earlier night of the same date published."""
        name = changes_name(self.date)
        return read_changes(self.store, self.date) if name in (published_files(self.store) or []) else []

    def _end(self, orders: Orders) -> None:
        """Carry out a night's orders and publish; doing it again changes nothing."""
        plan = read_plan(self.store)
        withdraw(self.store)
        night_files.carry_out(self.store, orders, check=self.lock.check)
        self._publish(plan, orders.failed)
        self._forget(plan)
        night_files.close_night(self.store)

    def _publish(self, plan: Plan, failed: int) -> None:
        self.lock.check()
        publish(self.store, plan, files=result_files(self.store), failed=failed)

    def _forget(self, plan: Plan) -> None:
        """Delete ledger files of chunks and questions that are no longer planned."""
        stale = committed(self.store) - _keys(plan)
        self.store.remove([ledger_name(*key) for key in sorted(stale)])

    def _report(self, plan: Plan, what: Difference, orders: Orders, chunks_done: int) -> NightReport:
        kinds = Counter(item.kind for item in read_changes(self.store, self.date))
        return NightReport(
            date=self.date,
            scenes_new=len(what.new),
            scenes_replaced=len(what.replaced),
            scenes_gone=len(what.gone),
            questions_new=len(what.new_queries),
            questions_gone=what.n_gone_queries,
            chunks_planned=len(plan.chunks),
            chunks_done=chunks_done,
            files_written=len([name for name in orders.writes if name != changes_name(self.date)]),
            files_removed=len(orders.removes),
            appeared=kinds[Kind.APPEARED],
            disappeared=kinds[Kind.DISAPPEARED],
            changed=kinds[Kind.CHANGED],
            failed=orders.failed,
            seconds=0.0,
            out=self.store.root,
        )


def _keys(plan: Plan) -> set[Key]:
    return {(query.id, ref.chunk_id) for query in plan.queries for ref in plan.chunks}
