"""lock.json: one writer at a time in an output folder, by conditional writes of the store.

The file is created only if there is none, and its holder renews it from a thread. A lock that was not renewed
for long, or whose process is known to be dead, may be taken over: the taker replaces exactly the content that
it read, so that of several takers one succeeds. A holder that lost its lock finds out at its next check and
stops.
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
"""Tries of a taker that finds the lock released or changed at each read."""


@dataclass(frozen=True, slots=True)
class Lease:
    """How long a lock is valid without renewal; holder and takers must use the same values."""

    renew_s: float = 20.0
    """Seconds between two renewals."""
    stale_s: float = 300.0
    """Seconds without renewal until the lock may be taken over; far more than machines' clocks differ."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""


LEASE: Lease = Lease()
"""The lease that all commands use; tests use shorter ones."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The holder of the lock, as written in the file."""

    host: str
    """Name of the machine."""
    pid: int
    """Process on it."""
    born: str
    """Start of that process in clock ticks since boot; empty where it is not known."""
    place: str
    """Boot id and process namespace, within which the process number is unique; empty where not known."""
    work: str
    """The command it runs: run, or nightly with its date."""
    since: float
    """Time when it took the lock, seconds since 1970."""
    renewed: float
    """Time of its last renewal, seconds since 1970."""
    token: str
    """Random text that identifies this acquisition of the lock."""

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
        """Check that this process still holds the lock.

        Raises:
            LockLostError: another process took the lock, or may have, as it was not renewed in time.
        """
        unrenewed_s = self._lease.clock() - self._renewed
        if self._lost or unrenewed_s >= self._lease.stale_s:
            raise LockLostError(self._store.path(LOCK_FILE), unrenewed_s)

    def release(self) -> None:
        """Release the lock; if another process holds it, it stays as it is."""
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
            return  # tried again at the next turn; the check counts the seconds without renewal
        self._renewed = now

    def _current(self) -> Holder:
        return _holder({**asdict(self._holder), "renewed": self._renewed})

    def _renewal(self, now: float) -> bytes:
        return _holder({**asdict(self._holder), "renewed": now}).data()


@contextmanager
def hold_lock(store: Store, work: str, lease: Lease) -> Iterator[Lock]:
    """Hold the folder's lock for a block; it is released however the block ends.

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
    """Refuse at once, before any costly work, if another process writes here; the lock is not taken.

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
            continue  # released between the two reads
        _refuse(store, _read(seen.data), lease)
        if store.replace_if(LOCK_FILE, mine.data(), version=seen.version):
            return mine
    raise LockedError(store.path(LOCK_FILE), "others that come and go", "")


def _created(store: Store, mine: Holder) -> bool:
    try:
        return store.create(LOCK_FILE, mine.data())
    except FileNotFoundError:
        return False  # another holder deleted what seemed half-written in a local folder, this file included


def _refuse(store: Store, holder: Holder | None, lease: Lease) -> None:
    """Raise unless the holder's lease has expired or its process is known to have ended."""
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
    return Holder(
        socket.gethostname(), pid, _born(pid), _process_space(), work, since=now, renewed=now, token=token
    )


def _is_dead(holder: Holder) -> bool:
    """Whether the holder is known to have ended; only known if it ran in this boot and process namespace."""
    if not holder.place or holder.place != _process_space() or holder.host != socket.gethostname():
        return False
    if holder.pid == os.getpid() and holder.born == _born(holder.pid):
        # Held by this process but no longer renewed: the storage was away when it should have been released.
        return _thread_name(holder) not in {thread.name for thread in threading.enumerate()}
    return _born(holder.pid) != holder.born


def _thread_name(holder: Holder) -> str:
    return f"lock {holder.token}"


def _process_space() -> str:
    """Boot id and process namespace of this machine, within which process numbers are unique."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """Start of a process in clock ticks since boot, empty if there is no such process."""
    try:
        # The name in parentheses may contain blanks; the start is the 20th field after it.
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _read(data: bytes) -> Holder | None:
    """The holder in a file's content, None if the content is not that of a lock."""
    try:
        return _holder(json.loads(data))
    except (ValueError, TypeError):
        return None


def _holder(fields: dict[str, object]) -> Holder:
    return Holder(**fields)  # type: ignore[arg-type]
