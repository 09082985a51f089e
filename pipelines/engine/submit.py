"""The client of Ray Jobs: submits a job to a cluster, follows its log, and says how it ended."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import aiohttp
from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from pipelines import OTHER, ClusterError, RequestError
from tiling.storage import storage_settings

ERRORS = ("error: ", "incomplete: ")
"""How the last sentence of a failed command begins."""


class JobLog:
    """Takes a log piece by piece, passes whole lines on, and keeps the command's JSON report apart."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""
        self._last = ""
        self._error = ""
        self._report: Mapping[str, object] = {}

    def take(self, piece: str) -> None:
        """Add the next piece, which may end inside a line."""
        *lines, self._rest = (self._rest + piece).split("\n")
        for line in lines:
            self._line(line)

    def close(self) -> None:
        """End the log: the rest without a line break is its last line."""
        self.take("\n")

    @property
    def report(self) -> Mapping[str, object]:
        """The JSON object that the command printed, empty where it printed none."""
        return self._report

    @property
    def error(self) -> str:
        """The last line that reports an error, or the last line of all if none does."""
        return self._error or self._last

    def _line(self, line: str) -> None:
        # A progress bar returns to the line's start; only the text after the last return is visible.
        shown = line.rstrip("\r").rsplit("\r", 1)[-1].rstrip()
        if not shown:
            return
        report = _report_in(shown)
        if report is not None:
            self._report = report
            return
        self._last = shown
        if shown.startswith(ERRORS):
            self._error = shown.split(": ", 1)[1]
        self._say(shown)


def _report_in(line: str) -> Mapping[str, object] | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


OVERRIDES = ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS")
"""Variables that Ray's client prefers to the address it is given; they must not send a job elsewhere."""

WAIT_S, WARM_S = 2.0, 60.0
"""Seconds between two tries, and in all, for a cluster that has just been started."""
POLL_S = 0.5
"""Seconds between the end of a log's stream and the check whether the job has ended too."""
_SECRET = re.compile(r"://[^/@\s]+@")

Say = Callable[[str], None]
"""Takes pieces of a job's log as they come."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended."""

    job: str
    """Its id."""
    status: str
    """succeeded, failed or stopped."""
    exit_code: int
    """Exit code of its command; 1 where there is none, because it was stopped or never ran."""
    message: str
    """The cluster's message about the job."""


def submit_job(address: str, folder: Path, command: str, *, metadata: Mapping[str, str]) -> str:
    """Send a folder to a cluster, start a command in it, and return the job's id.

    Args:
        address: of the cluster's dashboard, http://host:8265.
        folder: becomes the working directory; its packages take precedence over installed ones.
        command: a shell command.
        metadata: shown beside the job.

    Raises:
        RequestError: no cluster answers at the address.
        ClusterError: the cluster refuses the job.
    """
    environment: dict[str, object] = {
        "working_dir": str(folder),
        "env_vars": passed_on(os.environ),
    }
    with _message(address):
        client = _client(address)
        send = partial(
            client.submit_job, entrypoint=command, runtime_env=environment, metadata=dict(metadata)
        )
        return _when_warm(send)


def _when_warm(send: Callable[[], str]) -> str:
    """Send a job to a cluster that may have been started a moment ago and cannot run it yet."""
    until = time.monotonic() + WARM_S
    while True:
        try:
            return send()
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(WAIT_S)


def follow_job(address: str, job: str, say: Say) -> Ended:
    """Pass on a job's log until it ends.

    Raises:
        RequestError: no cluster answers at the address.
        ClusterError: the connection to the cluster is lost.
    """
    with _message(address):
        client = _client(address)
        asyncio.run(_tail(client, job, say))
        details = client.get_job_info(job)
    code = OTHER if details.driver_exit_code is None else int(details.driver_exit_code)
    if details.status is not JobStatus.SUCCEEDED and code == 0:
        code = OTHER
    return Ended(job, str(details.status).lower(), code, details.message or "")


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that are sent with a job: which storage an address means, and whether hubs are asked.

    Keys, tokens and addresses that hold a password are left out: everyone who sees the dashboard can read a
    job's environment, so the cluster must have its own.
    """
    names = (*storage_settings(), "HF_HUB_OFFLINE")
    given = {name: environment[name] for name in names if environment.get(name)}
    return {name: value for name, value in given.items() if not _SECRET.search(value)}


def _client(address: str) -> JobSubmissionClient:
    """A client of the cluster that the address names, whatever Ray's variables say."""
    kept = {name: os.environ.pop(name) for name in OVERRIDES if name in os.environ}
    try:
        return JobSubmissionClient(address)
    except AuthenticationError as error:
        raise RequestError(
            "cluster",
            f"{address} asks for a token, and the one given here is missing or not its own",
            "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN to the cluster's (there: ray get-auth-token)",
        ) from error
    except (ConnectionError, ValueError) as error:
        message = " ".join(str(error).split())
        raise RequestError(
            "cluster",
            f"no Ray cluster answers at {address} ({message:.200})",
            "give its dashboard: http://host:8265",
        ) from error
    finally:
        os.environ.update(kept)


@contextmanager
def _message(address: str) -> Iterator[None]:
    """A block in which errors of the cluster's client become ClusterError."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        raise ClusterError(address, f"{' '.join(str(error).split()):.500}") from error


async def _tail(client: JobSubmissionClient, job: str, say: Say) -> None:
    """Pass on the log until the job has ended; a broken stream is resumed where it broke."""
    seen = 0
    while not client.get_job_status(job).is_terminal():
        position = 0
        with suppress(RuntimeError, OSError, aiohttp.ClientError):
            async for piece in client.tail_job_logs(job):
                if fresh := piece[max(0, seen - position) :]:
                    say(fresh)
                position += len(piece)
                seen = max(seen, position)
        await asyncio.sleep(POLL_S)
    say(client.get_job_logs(job)[seen:])
