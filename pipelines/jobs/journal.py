"""The journal of an open night, in the folder `night` of the output: where a killed night is gone on from.

`night/job.json` and `night/plan/` are copies of the published plan; while they are there, plan/ may hold the
new one. `night/stage/` holds finished files under their names in the output; `night/orders.json`, written
after all of them, says what is to be put in place and deleted. Before it is there, nothing published has been
touched; once it is there, carrying it out, also again, ends the night. Knows no file's meaning.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from pipelines.plan import AOI, CHUNKS, JOB, SCENES, Plan, read_plan
from tiling.storage import Store

NIGHT = "night"
_ORDERS = f"{NIGHT}/orders.json"
_OPEN = f"{NIGHT}/{JOB}"


@dataclass(frozen=True, slots=True)
class Orders:
    """What turns the published result into the new one."""

    date: str
    """The night's date."""
    writes: tuple[str, ...]
    """Names of the staged files to put in place."""
    removes: tuple[str, ...]
    """Names of the files to delete."""
    failed: int
    """Tiles and questions of the new plan that failed."""


def stage_of(store: Store) -> Store:
    """Where a night's finished files wait."""
    return replace(store, root=store.path(f"{NIGHT}/stage"))


def night_is_open(store: Store) -> bool:
    """Whether a night was begun here and has not ended."""
    return store.exists(_OPEN) or store.exists(_ORDERS)


def open_night(store: Store) -> None:
    """Keep the published plan; from here on plan/ may be replaced. An open night stays as it is."""
    if store.exists(_OPEN):
        return
    area = [AOI] if store.exists(AOI) else []
    for name in (SCENES, CHUNKS, *area, JOB):
        store.write(f"{NIGHT}/{name}", store.read(name))


def sweep(store: Store) -> None:
    """Delete what a night left that was killed while it opened or closed; never in an open night."""
    store.remove_folder(NIGHT)


def published_plan(store: Store) -> Plan:
    """The plan of what is published: the kept one of an open night, else the frozen one.

    Raises:
        RequestError: it cannot be read.
    """
    return read_plan(replace(store, root=store.path(NIGHT)) if store.exists(_OPEN) else store)


def give_orders(store: Store, orders: Orders) -> None:
    """Say that all staged files are there and what is to be done with them; there is no way back."""
    store.write(_ORDERS, json.dumps(asdict(orders)).encode())


def orders_of(store: Store) -> Orders | None:
    """Orders that a night gave, None where it did not come so far."""
    if not store.exists(_ORDERS):
        return None
    fields = json.loads(store.read(_ORDERS))
    lists = {name: tuple(fields[name]) for name in ("writes", "removes")}
    return Orders(**{**fields, **lists})


def carry_out(store: Store, orders: Orders, *, check: Callable[[], None]) -> None:
    """Put every staged file in place, then delete what goes.

    Args:
        store: the output folder.
        orders: what to do.
        check: called before each write; raises where the night has no right to write any more.
    """
    stage = stage_of(store)
    for name in orders.writes:
        check()
        store.write(name, stage.read(name))
    check()
    store.remove(orders.removes)


def close_night(store: Store) -> None:
    """Take the journal away; the orders outlive the kept plan, so that it never stands for newer objects."""
    store.remove([_OPEN, _ORDERS])
    store.remove_folder(NIGHT)
