"""A night: a standing dataset brought up to date with the scenes and questions that its job names now.

What is published stays whole and readable until all of the night's work is done. The order of writes:

1. lock.json. 2. The journal keeps the published plan (`night_files`). 3. The new plan. 4. The ledger files of
new chunks and questions. 5. The new cells, texts and change table, into the stage. 6. The orders.
7. collection.json goes. 8. Staged files are put in place; files without rows and of questions no longer asked
are deleted. 9. collection.json. 10. Ledger files of chunks no longer planned are deleted. 11. The journal
goes. 12. The lock goes.

A night killed before 6 has touched nothing published, and the next one plans again from the published plan. A
night killed after it is finished by the next one from the orders alone, whatever the scenes are by then.

The change table compares a question's published objects with its new ones: a first night and a new question
have nothing to compare with, so their objects are no changes, and those of a question no longer asked are
none either. A second night of one date that finds more adds to that date's table.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime

from pipelines.config import JobConfig
from pipelines.errors import RequestError
from pipelines.lock import LEASE, Lease
from pipelines.night import Night, NightReport
from pipelines.opening_job import check_unmoved, draft_job, stopping, writing
from pipelines.plan_files import GROWS, check_same_job, clear_job
from pipelines.progress import Listener, ignore
from pipelines.storage import Store
from tiling.patience import LONG


def today() -> str:
    """Today's date in UTC, as change tables are filed."""
    return datetime.now(UTC).date().isoformat()


def nightly(
    config: JobConfig,
    *,
    date: str,
    overwrite: bool = False,
    listener: Listener = ignore,
    lease: Lease = LEASE,
) -> NightReport:
    """Bring the dataset in the output folder up to date; make it there if there is none.

    Args:
        config: the request; only its scenes and questions may differ from what is published.
        date: the night's date, YYYY-MM-DD.
        overwrite: begin anew in place of what the folder holds.
        listener: told of progress.
        lease: how the folder's lock is held.

    Raises:
        RequestError: the request is wrong, or the folder holds another kind of job; nothing is written.
        LockedError: another process writes into the folder; nothing is written.
        SceneError: a scene cannot be opened; nothing is written.
        GridError: the sizes make no grid; nothing is written.
        ModelError: a model cannot be found or loaded.
        LockLostError: another process took the folder over.
        StorageError: object storage refuses or is away; nothing is written.
        StoppedError: it does so while work is done; the next night goes on from there.
        OSError: the local storage refuses.
    """
    began = time.perf_counter()
    _check_date(date)
    store = Store(config.out)
    draft = draft_job(store, config, overwrite=overwrite, lease=lease, anew=True)
    if draft.job is not None:
        check_same_job(store, draft.plan, draft.job, may_differ=GROWS)
    with writing(store, f"nightly {date}", lease) as lock:
        if overwrite:
            clear_job(store)
        check_unmoved(store, draft)
        store.clear_temporary("")
        with stopping(store):
            night = Night(replace(store, patience=LONG), date, lock, listener)
            report = night.bring_up_to(draft.plan)
    return replace(report, seconds=round(time.perf_counter() - began, 3))


def _check_date(date: str) -> None:
    try:
        good = datetime.strptime(date, "%Y-%m-%d").strftime("%Y-%m-%d") == date
    except ValueError:
        good = False
    if not good:
        raise RequestError("date", f"{date!r} is no date", "write it as 2026-11-25")
