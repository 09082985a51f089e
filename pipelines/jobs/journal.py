"""The journal of an unfinished nightly update, in the folder `night` of the output: where it resumes.

`night/job.json` and `night/plan/` are copies of the published plan; while they are there, plan/ may hold the
new one. `night/stage/` holds finished files under their names in the output; `night/orders.json`, the commit
manifest, is written after all of them and says what is to be put in place and deleted. Before it is there,
nothing published has been touched; once it is there, applying it, also again, ends the update.
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
    """What turns the published result into the new one."""

    date: str
    """The update's date."""
    writes: tuple[str, ...]
    """Names of the staged files to put in place."""
    removes: tuple[str, ...]
    """Names of the files to delete."""
    failed: int
    """Tiles and questions of the new plan that failed."""


def stage_of(store: Store) -> Store:
    """Where an update's finished files wait."""
    return replace(store, root=store.path(f"{JOURNAL_FOLDER}/stage"))


def journal_is_open(store: Store) -> bool:
    """Whether an update was begun here and has not ended."""
    return store.exists(_OPEN) or store.exists(_MANIFEST)


def open_journal(store: Store) -> None:
    """Keep the published plan; from here on plan/ may be replaced. An unfinished update stays as it is."""
    if store.exists(_OPEN):
        return
    area = [AOI] if store.exists(AOI) else []
    for name in (SCENES, CHUNKS, *area, JOB):
        store.write(f"{JOURNAL_FOLDER}/{name}", store.read(name))


def clean_up(store: Store) -> None:
    """Delete what an update left that was killed while it opened or closed; never in an unfinished update."""
    store.remove_folder(JOURNAL_FOLDER)


def published_plan(store: Store) -> Plan:
    """The plan of what is published: the kept one of an unfinished update, else the frozen one.

    Raises:
        RequestError: it cannot be read.
    """
    return read_plan(replace(store, root=store.path(JOURNAL_FOLDER)) if store.exists(_OPEN) else store)


def write_manifest(store: Store, manifest: CommitManifest) -> None:
    """Say that all staged files are there and what is to be done with them; there is no way back."""
    store.write(_MANIFEST, json.dumps(asdict(manifest)).encode())


def read_manifest(store: Store) -> CommitManifest | None:
    """The commit manifest, None where the update did not come so far."""
    if not store.exists(_MANIFEST):
        return None
    fields = json.loads(store.read(_MANIFEST))
    lists = {name: tuple(fields[name]) for name in ("writes", "removes")}
    return CommitManifest(**{**fields, **lists})


def apply_manifest(store: Store, manifest: CommitManifest, *, check: Callable[[], None]) -> None:
    """Put every staged file in place, then delete what goes.

    Args:
        store: the output folder.
        manifest: what to do.
        check: called before each write; raises where the update has no right to write any more.
    """
    stage = stage_of(store)
    for name in manifest.writes:
        check()
        store.write(name, stage.read(name))
    check()
    store.remove(manifest.removes)


def close_journal(store: Store) -> None:
    """Take the journal away; the manifest outlives the kept plan, which so never describes newer objects."""
    store.remove([_OPEN, _MANIFEST])
    store.remove_folder(JOURNAL_FOLDER)
