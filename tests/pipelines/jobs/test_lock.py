"""One writer at a time: the loser learns the holder, a dead lock is taken over once, a loss is noticed."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from pipelines.errors import LockedError, LockLostError
from pipelines.jobs import lock
from pipelines.jobs.lock import Lease, hold_lock, refuse_if_held
from tiling.storage.store import Store

SPAWN = multiprocessing.get_context("spawn")
RACERS = 3


@dataclass
class Clock:
    """A clock that the test sets."""

    now: float = 1_000_000.0
    lease: Lease = field(init=False)

    def __post_init__(self) -> None:
        self.lease = Lease(renew_s=3600.0, stale_s=300.0, clock=lambda: self.now)


def lock_file(store: Store) -> dict[str, object]:
    fields: dict[str, object] = json.loads(store.read(lock.LOCK_FILE))
    return fields


def from_elsewhere(store: Store, **fields: object) -> None:
    """Rewrite the lock in place as one that another machine holds."""
    store.write(
        lock.LOCK_FILE, json.dumps({**lock_file(store), "host": "node-7", "place": "", **fields}).encode()
    )


def test_the_lock_file_exists_while_held_and_is_removed_after_an_error_too(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with suppress(KeyError), hold_lock(store, "run", Lease()):
        assert lock_file(store)["pid"] == os.getpid()
        raise KeyError
    assert not store.exists(lock.LOCK_FILE)


def test_a_refusal_names_the_holder_since_when_and_when_the_lock_expires(tmp_path: Path) -> None:
    store, clock = Store(str(tmp_path)), Clock()
    with hold_lock(store, "nightly 2026-11-24", clock.lease):
        from_elsewhere(store, pid=4711)
        before = store.read(lock.LOCK_FILE)
        clock.now += 40
        for attempt in (lambda: refuse_if_held(store, clock.lease), lambda: take(store, clock.lease)):
            with pytest.raises(LockedError) as caught:
                attempt()
            message = str(caught.value)
            assert "node-7 (process 4711, nightly 2026-11-24) since 1970-01-12T13:46:40+00:00" in message
            assert "expires in 260 s" in message
        assert store.read(lock.LOCK_FILE) == before


def take(store: Store, lease: Lease) -> None:
    with hold_lock(store, "run", lease):
        pass


def test_a_lock_without_sign_of_life_is_taken_over_and_its_holder_notices(tmp_path: Path) -> None:
    store, clock = Store(str(tmp_path)), Clock()
    with ExitStack() as stack:
        first = stack.enter_context(hold_lock(store, "first", clock.lease))
        first.check()
        from_elsewhere(store)
        clock.now += 300
        refuse_if_held(store, clock.lease)
        second = stack.enter_context(hold_lock(store, "second", clock.lease))
        second.check()
        with pytest.raises(LockLostError):
            first.check()
        first.release()
        assert lock_file(store)["work"] == "second"
    assert not store.exists(lock.LOCK_FILE)


def test_a_renewed_lock_stays_and_one_whose_file_is_anothers_is_lost(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    quick = Lease(renew_s=0.02, stale_s=300.0)
    with hold_lock(store, "run", quick) as mine:
        since = lock_file(store)["renewed"]
        wait_for(lambda: lock_file(store)["renewed"] != since)
        mine.check()
        from_elsewhere(store, token="another")
        wait_for(lambda: is_lost(mine))
    assert lock_file(store)["token"] == "another"


def is_lost(mine: lock.Lock) -> bool:
    try:
        mine.check()
    except LockLostError:
        return True
    return False


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(500):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")


def test_a_lock_that_could_not_be_given_back_is_taken_by_the_same_process_at_once(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    with hold_lock(store, "first", Lease()):
        with pytest.raises(LockedError, match="first"):
            take(store, Lease())
        left = store.read(lock.LOCK_FILE)
    store.write(lock.LOCK_FILE, left)
    take(store, Lease())
    assert not store.exists(lock.LOCK_FILE)


def test_a_file_that_is_no_lock_is_refused_not_replaced(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write(lock.LOCK_FILE, b"{}")
    with pytest.raises(LockedError, match="delete it"):
        take(store, Lease())
    assert store.read(lock.LOCK_FILE) == b"{}"


def hold_until_killed(root: str, ready: Barrier) -> None:
    with hold_lock(Store(root), "run", Lease()):
        ready.wait()
        time.sleep(60)


def test_the_lock_of_a_process_killed_on_this_machine_is_free_at_once(tmp_path: Path) -> None:
    ready = SPAWN.Barrier(2)
    process = SPAWN.Process(target=hold_until_killed, args=(str(tmp_path), ready))
    process.start()
    ready.wait(timeout=60)
    with pytest.raises(LockedError, match=f"process {process.pid}, run"):
        take(Store(str(tmp_path)), Lease())
    os.kill(int(process.pid or 0), signal.SIGKILL)
    process.join()
    with hold_lock(Store(str(tmp_path)), "second", Lease()):
        assert lock_file(Store(str(tmp_path)))["work"] == "second"


def race(root: str, start: Barrier, end: Barrier, name: int) -> None:
    store = Store(root)
    start.wait()
    try:
        with hold_lock(store, f"racer {name}", Lease()):
            store.write(f"won/{name}", b"")
            end.wait()
    except LockedError:
        end.wait()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the lock lies: a folder, or a real S3 server."""
    return str(tmp_path) if request.param == "disk" else f"{request.getfixturevalue('bucket')}/out"


@pytest.mark.parametrize(
    ("place", "stale"),
    [
        ("disk", False),
        ("disk", True),
        ("s3", True),
        pytest.param("s3", False, marks=pytest.mark.thorough),
    ],
    indirect=["place"],
)
def test_of_many_processes_that_race_for_a_free_or_a_stale_lock_one_wins(place: str, stale: bool) -> None:
    store = Store(place)
    if stale:
        with hold_lock(store, "dead", Lease(clock=lambda: 1.0)):
            from_elsewhere(store)
            left = store.read(lock.LOCK_FILE)
        store.write(lock.LOCK_FILE, left)
    start, end = SPAWN.Barrier(RACERS), SPAWN.Barrier(RACERS)
    racers = [SPAWN.Process(target=race, args=(place, start, end, name)) for name in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(timeout=120)
    assert [racer.exitcode for racer in racers] == [0] * RACERS
    assert len(store.names("won")) == 1
    assert not store.exists(lock.LOCK_FILE)
