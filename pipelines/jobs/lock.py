"""lock.json: one writer at a time in an output folder, by conditional writes of the store. Knows no result.

The file is made only if there is none. Its holder renews it from a thread; one that was not renewed for long,
or whose process is known to be dead, is taken over by replacing exactly the content that was seen, so of many
takers one wins. A holder that lost its lock learns it at its next check and stops.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from pipelines import LockedError, LockLostError
from tiling.storage import Store

LOCK_FILE = "lock.json"
_TRIES = 5
"""Of a taker that finds the lock gone or changed each time it looks."""


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a lock holds without a sign of life; holder and takers must agree."""

    renew_s: float = 20.0
    """Seconds between two signs of life."""
    stale_s: float = 300.0
    """Seconds without one after which the lock may be taken over; far above what machines' clocks differ."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""


LEASE: Lease = Lease()
"""What everyone uses outside of tests."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock, as it stands in the file."""

    host: str
    """Name of the machine."""
    pid: int
    """Process on it."""
    born: str
    """When that process started, as its system counts; empty where that cannot be known."""
    place: str
    """What process numbers mean there: boot and process namespace; empty where that cannot be known."""
    work: str
    """What it does: run, or nightly with its date."""
    since: float
    """When it took the lock, seconds since 1970."""
    renewed: float
    """Its last sign of life, seconds since 1970."""
    token: str
    """Random; tells this holding from any other."""

    def data(self) -> bytes:
        """The file's content."""
        return json.dumps(asdict(self), indent=2, sort_keys=True).encode()


class Lock:
    """A lock that is held."""

    def __init__(self, store: Store, holder: Holder, lease: Lease) -> None:
        self._store, self._holder, self._lease = store, holder, lease
        self._renewed = holder.renewed
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=_thread_name(holder), daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Go on only if the lock is still ours.

        Raises:
            LockLostError: another process has it, or may have it, because it could not be renewed in time.
        """
        unrenewed_s = self._lease.clock() - self._renewed
        if self._lost or unrenewed_s >= self._lease.stale_s:
            raise LockLostError(self._store.path(LOCK_FILE), unrenewed_s)

    def release(self) -> None:
        """Give the lock back; one that is no longer ours stays as it is."""
        self._ended.set()
        self._thread.join()
        try:
            seen = self._store.read_versioned(LOCK_FILE)
            if seen is not None and _read(seen.data) == self._current():
                self._store.remove([LOCK_FILE])
        except OSError:
            return  # it expires by itself

    def _keep(self) -> None:
        while not self._lost and not self._ended.wait(self._lease.renew_s):
            self._renew()

    def _renew(self) -> None:
        now = self._lease.clock()
        try:
            seen = self._store.read_versioned(LOCK_FILE)
            ours = seen is not None and _read(seen.data) == self._current()
            fresh = self._renewal(now)
            if seen is None or not ours or not self._store.replace_if(LOCK_FILE, fresh, version=seen.version):
                self._lost = True
                return
        except OSError:
            return  # tried again at the next turn; the check knows how long it has been
        self._renewed = now

    def _current(self) -> Holder:
        return _holder({**asdict(self._holder), "renewed": self._renewed})

    def _renewal(self, now: float) -> bytes:
        return _holder({**asdict(self._holder), "renewed": now}).data()


@contextmanager
def hold_lock(store: Store, work: str, lease: Lease) -> Iterator[Lock]:
    """Hold the folder's lock for a block; given back however the block ends.

    Raises:
        LockedError: another process holds it.
        OSError: the storage refuses.
    """
    lock = Lock(store, _acquire(store, work, lease), lease)
    try:
        yield lock
    finally:
        lock.release()


def refuse_if_held(store: Store, lease: Lease) -> None:
    """Say at once, before anything costly, that another process writes here; takes nothing.

    Raises:
        LockedError: another process holds the lock.
        OSError: the storage does not answer.
    """
    seen = store.read_versioned(LOCK_FILE)
    if seen is not None:
        _refuse(store, _read(seen.data), lease)


def _acquire(store: Store, work: str, lease: Lease) -> Holder:
    for _ in range(_TRIES):
        mine = _myself(work, lease.clock())
        if _created(store, mine):
            return mine
        seen = store.read_versioned(LOCK_FILE)
        if seen is None:
            continue  # given back between the two looks
        _refuse(store, _read(seen.data), lease)
        if store.replace_if(LOCK_FILE, mine.data(), version=seen.version):
            return mine
    raise LockedError(store.path(LOCK_FILE), "others that come and go", "")


def _created(store: Store, mine: Holder) -> bool:
    try:
        return store.create(LOCK_FILE, mine.data())
    except FileNotFoundError:
        return False  # a holder swept away what looked half-written in a local folder, ours among it


def _refuse(store: Store, holder: Holder | None, lease: Lease) -> None:
    """Raise unless the holder is given up for dead."""
    if holder is None:
        raise LockedError(
            store.path(LOCK_FILE), "a file that is not a lock", "delete it if nothing writes here"
        )
    unrenewed_s = lease.clock() - holder.renewed
    if unrenewed_s >= lease.stale_s or _is_dead(holder):
        return
    since = datetime.fromtimestamp(holder.since, UTC).isoformat(timespec="seconds")
    raise LockedError(
        store.path(LOCK_FILE),
        f"{holder.host} (process {holder.pid}, {holder.work}) since {since}",
        f"wait for it to end; should it be dead, its lock expires in {lease.stale_s - unrenewed_s:.0f} s",
    )


def _myself(work: str, now: float) -> Holder:
    pid = os.getpid()
    token = secrets.token_hex(8)
    return Holder(socket.gethostname(), pid, _born(pid), _place(), work, since=now, renewed=now, token=token)


def _is_dead(holder: Holder) -> bool:
    """Whether the holder is known to have ended: only where its process number means the same as here."""
    if not holder.place or holder.place != _place() or holder.host != socket.gethostname():
        return False
    if holder.pid == os.getpid() and holder.born == _born(holder.pid):
        # Ours, but no longer renewed: the storage was away when it should have been given back.
        return _thread_name(holder) not in {thread.name for thread in threading.enumerate()}
    return _born(holder.pid) != holder.born


def _thread_name(holder: Holder) -> str:
    return f"lock {holder.token}"


def _place() -> str:
    """Boot and process namespace of this machine, which give process numbers their meaning."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Start of a process in clock ticks since boot, empty where there is no such process."""
    try:
        # The name in parentheses may hold blanks; the start is the 20th field after it.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(data: bytes) -> Holder | None:
    """The holder in a file's content, None where it is none."""
    try:
        return _holder(json.loads(data))
    except (ValueError, TypeError):
        return None


def _holder(fields: dict[str, object]) -> Holder:
    return Holder(**fields)  # type: ignore[arg-type]
