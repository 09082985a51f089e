"""The setup of work on an output folder, for run and nightly: draft the plan, lock, freeze the plan."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from pipelines import RequestError, StoppedError
from pipelines.jobs.lock import Lease, Lock, hold_lock, refuse_if_held
from pipelines.plan import (
    JobConfig,
    Plan,
    clear_job,
    frozen_scaling,
    frozen_search,
    make_plan,
    read_job,
    write_plan,
)
from tiling import StorageError
from tiling.storage import Store


@dataclass(frozen=True, slots=True)
class Draft:
    """A plan that is not written yet, and what the output folder held when it was made."""

    plan: Plan
    """What is to be done."""
    job: dict[str, object] | None
    """The folder's frozen job, None if it held none or is to be overwritten."""


@contextmanager
def stopping(store: Store) -> Iterator[None]:
    """A block in which work is done, where failing storage stops the run and is not a wrong request.

    Raises:
        StoppedError: object storage refuses or is away.
    """
    try:
        yield
    except StorageError as error:
        raise StoppedError(store.root, str(error)) from error


def draft_job(store: Store, config: JobConfig, *, overwrite: bool, lease: Lease, anew: bool = False) -> Draft:
    """Make the plan; writes nothing.

    A folder that holds the plan of the same STAC search is resumed with the scenes of that plan: the API is
    not searched again, since it may be down or return more by now. The files themselves are checked again.

    Args:
        store: the output folder.
        config: the request.
        overwrite: what the folder holds will be deleted.
        lease: lease of the folder's lock.
        anew: search again even if the folder holds the plan of the same search, as nightly does.

    Raises:
        RequestError: the request is wrong, or the cluster lacks what the models need.
        LockedError: another process writes into the folder.
        SceneError: a scene cannot be opened.
        GridError: the sizes make no grid.
        ModelError: a model is unknown.
    """
    with usable_folder(store):
        refuse_if_held(store, lease)
        job = None if overwrite else read_job(store)
        known = () if anew else frozen_search(store, config, job)
    plan = make_plan(config, frozen=frozen_scaling(job), known=known)
    return Draft(plan, job)


def freeze_job(store: Store, draft: Draft, *, overwrite: bool) -> None:
    """Write the plan, unless the folder holds it already; call it under the lock.

    Args:
        store: the output folder.
        draft: the plan.
        overwrite: first delete what another job left.

    Raises:
        RequestError: another process wrote another job here since this one was drafted.
        OSError: the storage refuses.
    """
    if overwrite:
        clear_job(store)
    check_unmoved(store, draft)
    if draft.job is None:
        write_plan(store, draft.plan)
    else:
        store.clear_temporary("")


def check_unmoved(store: Store, draft: Draft) -> None:
    """Check that the folder still holds the job it held when the draft was made.

    Raises:
        RequestError: it holds another job.
    """
    if read_job(store) != draft.job:
        raise RequestError("out", f"{store.root} changed while the job was planned", "run the command again")


@contextmanager
def writing(store: Store, work: str, lease: Lease) -> Iterator[Lock]:
    """Hold the folder's lock for a block.

    Raises:
        RequestError: the folder cannot be used.
        LockedError: another process writes into it.
    """
    with ExitStack() as stack:
        with usable_folder(store):
            lock = stack.enter_context(hold_lock(store, work, lease))
        yield lock


@contextmanager
def usable_folder(store: Store) -> Iterator[None]:
    """A block with the first access to the output folder, where a refusal means a wrong request."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = f"{store.root} cannot be used as output folder ({error})"
        raise RequestError("out", reason, "name a folder you may write to") from error
