"""What can be wrong with a request, an output folder or a finished run."""

from tiling.storage import REMEDY


class RequestError(ValueError):
    """The request is wrong; raised before anything is written, shown by the command line, exit code 2."""

    def __init__(self, field: str, reason: str, remedy: str) -> None:
        super().__init__(field, reason, remedy)
        self.field = field
        self.reason = reason
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}; {self.remedy}"


class StorageError(OSError):
    """Object storage does not answer or refuses; raised by the store, the command line shows it."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        remedy = REMEDY
        return f"{self.address}: cannot be reached ({self.reason}); {remedy}"


class IncompleteError(RuntimeError):
    """Work is missing where all of it was promised; raised by the merge, shown by the command line."""

    def __init__(self, out: str, missing: tuple[str, ...]) -> None:
        super().__init__(out, missing)
        self.out = out
        self.missing = missing

    def __str__(self) -> str:
        shown = ", ".join(self.missing[:3]) + (" …" if len(self.missing) > 3 else "")
        return (
            f"{self.out}: {len(self.missing)} planned files are missing ({shown}); run the same command again"
        )


class ClusterError(RuntimeError):
    """A Ray cluster refuses a job or is lost while it is followed; raised by submit, which shows it."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address = address
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}; what the job has committed stays, submit the same again"
