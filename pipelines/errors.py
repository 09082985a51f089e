"""What can be wrong with a request, an output folder or a finished run, and the exit codes of commands."""

from tiling import without_queries


class RequestError(ValueError):
    """The request is wrong; raised before anything is written, shown by the command line, exit code 2."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        self.field = field
        self.reason = without_queries(reason)
        self.remedy = remedy
        super().__init__(field, self.reason, remedy)

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}; {self.remedy}"


class UnreadableError(RequestError):
    """A file of a result is broken or was replaced during the read; raised after the query was repeated."""


class StoppedError(RuntimeError):
    """A run stopped because its storage failed; raised by the run, shown by the command line."""

    def __init__(self, out: str, reason: str) -> None:
        super().__init__(out, reason)
        self.out = out
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.reason}; stopped, and what {self.out} holds is kept: the same command goes on from there"
        )


class IncompleteError(RuntimeError):
    """Planned ledger files are missing; raised by the merge, shown by the command line."""

    def __init__(self, out: str, missing: tuple[str, ...]) -> None:
        super().__init__(out, missing)
        self.out = out
        self.missing = missing

    def __str__(self) -> str:
        shown = ", ".join(self.missing[:3]) + (" …" if len(self.missing) > 3 else "")
        return (
            f"{self.out}: {len(self.missing)} planned files are missing ({shown}); run the same command again"
        )


class LockedError(RuntimeError):
    """Another process writes in the output folder; raised before anything is written, exit code 2."""

    def __init__(self, address: str, holder: str, remedy: str) -> None:
        super().__init__(address, holder, remedy)
        self.address = address
        self.holder = holder
        self.remedy = remedy

    def __str__(self) -> str:
        return f"out: {self.address} is held by {self.holder}; {self.remedy or 'run the same command again'}"


class LockLostError(RuntimeError):
    """Another process took the output folder's lock; raised by the former holder, which stops, code 1."""

    def __init__(self, address: str, unrenewed_s: float) -> None:
        super().__init__(address, unrenewed_s)
        self.address = address
        self.unrenewed_s = unrenewed_s

    def __str__(self) -> str:
        return (
            f"{self.address}: the lock was lost after {self.unrenewed_s:.0f} s without renewal, another "
            "process may write here now; run the same command again when that one has ended"
        )


class ClusterError(RuntimeError):
    """A Ray cluster refuses a job or is lost while it is followed; raised by submit, which shows it."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}; what the job has committed stays, submit the same again"


DONE = 0
"""The command succeeded."""
OTHER = 1
"""The command failed for a reason that has no code of its own."""
WRONG = 2
"""The request is wrong; nothing was written."""
INCOMPLETE = 3
"""Done, but some tiles failed or files are missing; the result is marked incomplete."""
