"""Runs a command in a process of its own with a time limit, and measures its memory."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import end_tree, tree_memory

SAMPLE_S = 0.2
"""Seconds between two measurements of the memory."""


class RunError(RuntimeError):
    """A run failed or took too long; nobody catches it, a benchmark without its runs is void."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(command, reason)
        self.command = command
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.command}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left."""

    output: bytes
    """Its standard output."""
    peak_bytes: int
    """Peak memory of the process and all its descendants together, 0 if it was not watched."""


def watched(command: Sequence[str], log: Path, *, watch: bool, timeout_s: float) -> Ended:
    """Run a command to its end.

    Args:
        command: what to run.
        log: where its standard error goes.
        watch: measure the memory while it runs.
        timeout_s: after so long it is ended, seconds.

    Raises:
        RunError: it fails or takes too long.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors, _started(command, errors.fileno()) as process:
        until, peak = time.monotonic() + timeout_s, 0
        while process.poll() is None:
            if time.monotonic() > until:
                raise RunError(" ".join(command), f"took longer than {timeout_s:g} s")
            peak = max(peak, tree_memory(process.pid)) if watch else 0
            time.sleep(SAMPLE_S)
        output = process.stdout.read() if process.stdout else b""
    if process.returncode:
        raise RunError(" ".join(command), f"exit code {process.returncode}, see {log}")
    return Ended(output, peak)


@contextmanager
def _started(command: Sequence[str], errors: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The running process; it and its descendants are ended when the block ends."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                end_tree(process.pid)
