"""The journal of an unfinished nightly update, in the folder `night` of the output, from which it resumes.

`night/job.json` and `night/plan/` are copies of the published plan; while they exist, plan/ may hold the new
plan. `night/stage/` holds finished files under the names they will have in the output. `night/orders.json`,
the commit manifest, is written after all of these and lists the files to put in place and the files to
delete. Before it exists, no published file has been changed; once it exists, applying it ends the update, and
applying it again has the same result.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from pipelines.plan import AOI, CHUNKS, JOB, SCENES, Plan, read_plan
from tiling.storage import Store

JOURNAL_FOLDER = "night"
_MANIFEST = f"{JOURNAL_FOLDER}/orders.json"
_OPEN = f"{JOURNAL_FOLDER}/{JOB}"


@dataclass(frozen=True, slots=True)
class CommitManifest:
    """The changes of files that turn the published result into the new one."""

    date: str
    """The update's date."""
    writes: tuple[str, ...]
    """Names of the staged files to put in place."""
    removes: tuple[str, ...]
    """Names of the files to delete."""
    failed: int
    """Tiles and questions of the new plan that failed."""


def stage_of(store: Store) -> Store:
    """The folder that holds an update's finished files until they are put in place."""
    return replace(store, root=store.path(f"{JOURNAL_FOLDER}/stage"))


def journal_is_open(store: Store) -> bool:
    """Whether an update was begun here and has not ended."""
    return store.exists(_OPEN) or store.exists(_MANIFEST)


def open_journal(store: Store) -> None:
    """Copy the published plan, so that plan/ may be replaced; the copy of an unfinished update is kept."""
    if store.exists(_OPEN):
        return
    area = [AOI] if store.exists(AOI) else []
    for name in (SCENES, CHUNKS, *area, JOB):
        store.write(f"{JOURNAL_FOLDER}/{name}", store.read(name))


def clean_up(store: Store) -> None:
    """Delete the remains of a journal whose update was killed while opening or closing it.

    Must not be called while an update is unfinished.
    """
    store.remove_folder(JOURNAL_FOLDER)


def published_plan(store: Store) -> Plan:
    """The plan of the published result: the journal's copy during an unfinished update, else the frozen plan.

    Raises:
        RequestError: the plan cannot be read.
    """
    return read_plan(replace(store, root=store.path(JOURNAL_FOLDER)) if store.exists(_OPEN) else store)


def write_manifest(store: Store, manifest: CommitManifest) -> None:
    """Write the commit manifest, which ends staging; from here on the update can only be completed."""
    store.write(_MANIFEST, json.dumps(asdict(manifest)).encode())


def read_manifest(store: Store) -> CommitManifest | None:
    """The commit manifest, None if the update has not reached it."""
    if not store.exists(_MANIFEST):
        return None
    fields = json.loads(store.read(_MANIFEST))
    lists = {name: tuple(fields[name]) for name in ("writes", "removes")}
    return CommitManifest(**{**fields, **lists})


def apply_manifest(store: Store, manifest: CommitManifest, *, check: Callable[[], None]) -> None:
    """Put every staged file in place, then delete the files that the manifest removes.

    Args:
        store: the output folder.
        manifest: what to do.
        check: called before each write; raises if the update no longer holds the folder's lock.
    """
    stage = stage_of(store)
    for name in manifest.writes:
        check()
        store.write(name, stage.read(name))
    check()
    store.remove(manifest.removes)


def close_journal(store: Store) -> None:
    """Delete the journal, the plan's copy before the manifest, so that it never describes newer objects."""
    store.remove([_OPEN, _MANIFEST])
    store.remove_folder(JOURNAL_FOLDER)
