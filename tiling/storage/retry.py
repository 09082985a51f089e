"""Asking storage again: what its errors mean, which of them pass, and for how long to wait. Asks nothing."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSOError,
)
from botocore.exceptions import ConnectionError as WireError
from fsspec.exceptions import FSTimeoutError
from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from tiling import Fault, SceneError, StorageError
from tiling.storage.s3 import access, check_bucket, forget, is_local

T = TypeVar("T")

PASSING = (
    WireError, HTTPClientError, ResponseStreamingError, asyncio.TimeoutError,
    FSTimeoutError, ConnectionError, TimeoutError,
)  # fmt: skip
"""Raised where the wire broke, aiohttp's errors beside these; another try may go better."""

NOT_LET_IN = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    CredentialRetrievalError,
    SSOError,
)
"""Raised where there are no credentials to ask with."""

REFUSALS = {
    "AccessDenied", "AllAccessDisabled", "AccountProblem", "ExpiredToken", "InvalidAccessKeyId",
    "InvalidClientTokenId", "InvalidSecurity", "InvalidToken", "NotSignedUp", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch", "TokenRefreshRequired",
}  # fmt: skip
"""Codes that mean the credentials, whatever the status."""

LONGEST_REASON = 140
"""Characters of what the storage said that are shown."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to go on asking."""

    seconds: float
    """After which an outage is an error."""
    scene_tries: int = 1
    """Tries of a scene that fails although the storage is well."""


BRIEF = RetryPolicy(4.0, scene_tries=3)
"""While a request is looked at: a wrong endpoint is to be said within seconds."""
LONG = RetryPolicy(60.0, scene_tries=3)
"""While a run is under way, which a store that starts anew must not end."""


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
    asked_with = _credentials()
    try:
        return tries(once)
    except StorageError as error:
        if error.fault is not Fault.REFUSED or not _renewed(asked_with):
            raise
    return tries(once)  # the credentials in a file have been replaced meanwhile


def explained(address: str, error: Exception) -> Exception:
    """What an error of a storage client means: StorageError, or the error itself where it is one of ours."""
    if isinstance(error, SceneError | StorageError):
        return error
    return StorageError(address, _reason(error), _fault(error))


def http_status(error: BaseException) -> int:
    """Status of the HTTP answer behind an error, 0 where there was none."""
    answer = _answer(error)
    if answer is not None:
        return int(answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return int(getattr(error, "status", 0) or 0)


def _missing(address: str, error: FileNotFoundError) -> Exception:
    """What it means that there is no such file: perhaps there is no such bucket."""
    try:
        check_bucket(address)
    except FileNotFoundError as gone:
        return StorageError(address, _code(gone) or "no such bucket", Fault.GONE)
    except Exception as other:
        if _fault(other) is Fault.AWAY:
            return explained(address, other)
    return error


def _fault(error: Exception) -> Fault:
    code, status = _code(error), http_status(error)
    if isinstance(error, NOT_LET_IN) or code in REFUSALS or status in (401, 403):
        return Fault.REFUSED
    if status >= 500 or status in (408, 409, 425, 429):
        return Fault.AWAY
    return Fault.AWAY if isinstance(error, _passing()) else Fault.ODD


def _answer(error: BaseException) -> ClientError | None:
    """The answer of the store that an error was made of."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ClientError):
        cause = cause.__cause__
    return cause


def _code(error: BaseException) -> str:
    answer = _answer(error)
    return str(answer.response.get("Error", {}).get("Code", "")) if answer is not None else ""


def _reason(error: Exception) -> str:
    code, message = _code(error), " ".join(str(error).split())
    if isinstance(error, BotoCoreError) or not code:
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


def _credentials() -> tuple[str, str, str] | None:
    """What storage is asked with; None where that cannot be found out, which the request itself will say."""
    try:
        return access().credentials()
    except (BotoCoreError, ValueError):
        return None


def _renewed(before: tuple[str, str, str] | None) -> bool:
    """Look for credentials anew; whether other ones are there."""
    forget()
    return _credentials() != before


@lru_cache
def _passing() -> tuple[type[BaseException], ...]:
    """All errors of a broken wire; aiohttp takes a fifth of a second to import, so only who met one waits."""
    import aiohttp

    return (*PASSING, aiohttp.ClientError)
