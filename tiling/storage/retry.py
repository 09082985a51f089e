"""The retry policy of object storage: what errors mean, which may pass, and for how long to retry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from tiling import Fault, SceneError, StorageError
from tiling.storage.schemes import ObjectStorage, is_local, object_storage

T = TypeVar("T")

LONGEST_REASON = 140
"""Characters of the storage's message that are shown."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to retry."""

    seconds: float
    """After which an outage is an error."""
    scene_tries: int = 1
    """Tries of a scene that fails although the storage is well."""


BRIEF = RetryPolicy(4.0, scene_tries=3)
"""For checking a request: a wrong endpoint is reported within seconds."""
LONG = RetryPolicy(60.0, scene_tries=3)
"""For a run that is under way: a restart of the store must not end it."""


def with_retry(address: str, act: Callable[[], T], *, retry_policy: RetryPolicy = BRIEF) -> T:
    """Do something with storage; where it is object storage and away, again and again.

    Args:
        address: What is asked for, for messages.
        act: Does the whole of it, with handles of its own; doing it twice must do no harm.
        retry_policy: How long to go on.

    Raises:
        StorageError: The storage refuses, or is away for longer than that.
        FileNotFoundError: There is no such file.
        SceneError: As `act` raises it, again and again.
    """
    if is_local(address):
        return act()

    def once() -> T:
        try:
            return act()
        except FileNotFoundError as error:
            raise _missing(address, error) from error
        except Exception as error:  # every protocol brings exceptions of its own (botocore's are no OSError)
            raise explained(address, error) from error

    tries = Retrying(
        retry=retry_if_exception(_may_pass),
        wait=wait_random_exponential(multiplier=0.2, max=10.0),
        stop=lambda state: _is_over(state, retry_policy),
        reraise=True,
    )
    storage = object_storage(address)
    asked_with = storage.credentials()
    try:
        return tries(once)
    except StorageError as error:
        if error.fault is not Fault.REFUSED or not _renewed(storage, asked_with):
            raise
    return tries(once)  # the credentials in a file have been replaced meanwhile


def explained(address: str, error: Exception) -> Exception:
    """What an error of a storage client means: StorageError, or the error itself where it is one of ours."""
    if isinstance(error, SceneError | StorageError):
        return error
    return StorageError(address, _reason(address, error), _fault(address, error))


def _missing(address: str, error: FileNotFoundError) -> Exception:
    """What it means that there is no such file: perhaps there is no such bucket."""
    storage = object_storage(address)
    try:
        storage.check_bucket(address)
    except FileNotFoundError as gone:
        return StorageError(address, storage.code(gone) or "no such bucket", Fault.GONE)
    except Exception as other:
        if _fault(address, other) is Fault.AWAY:
            return explained(address, other)
    return error


def _fault(address: str, error: Exception) -> Fault:
    storage = object_storage(address)
    status = storage.status(error)
    if storage.is_refusal(error) or status in (401, 403):
        return Fault.REFUSED
    if status >= 500 or status in (408, 409, 425, 429):
        return Fault.AWAY
    return Fault.AWAY if storage.is_outage(error) else Fault.ODD


def _reason(address: str, error: Exception) -> str:
    code, message = object_storage(address).code(error), " ".join(str(error).split())
    if not code:
        text = message or type(error).__name__
    else:
        text = code if code in message or message == "None" else f"{code}: {message}"
    return text if len(text) <= LONGEST_REASON else text[:LONGEST_REASON] + " …"


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, SceneError) or (isinstance(error, StorageError) and error.fault is Fault.AWAY)


def _is_over(state: RetryCallState, retry_policy: RetryPolicy) -> bool:
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, SceneError):
        return state.attempt_number >= retry_policy.scene_tries
    return (state.seconds_since_start or 0.0) >= retry_policy.seconds


def _renewed(storage: ObjectStorage, before: object) -> bool:
    """Read the credentials again; return whether they have changed."""
    storage.forget()
    return storage.credentials() != before
