"""The errors of scenes, grids and storage."""

import re
from enum import StrEnum

_SIGNED = re.compile(r"(\w+://[^\s?'\"<>]+)\?[^\s'\"<>,;)]*")


def without_queries(text: str) -> str:
    """A text without the query strings of its addresses, which may contain signatures."""
    return _SIGNED.sub(r"\1", text)


class SceneError(ValueError):
    """A scene cannot be opened, read or georeferenced; raised by opener and reader, shown by the CLI."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = without_queries(uri)
        self.reason = without_queries(reason)
        super().__init__(self.uri, self.reason)

    def __str__(self) -> str:
        return f"{self.uri}: {self.reason}"


class GridError(ValueError):
    """Sizes of tile, overlap or chunk that make no grid; raised on construction, shown by the CLI."""


class Fault(StrEnum):
    """Why object storage refuses a request; the fault is never that of one file."""

    AWAY = "away"
    """It does not answer or fails temporarily; another try may succeed."""
    REFUSED = "refused"
    """The credentials are missing, wrong, expired or insufficient."""
    GONE = "gone"
    """The bucket does not exist."""
    ODD = "odd"
    """Any other answer."""


_SENTENCES = {
    Fault.AWAY: "the storage does not answer ({reason}): check the network and AWS_ENDPOINT_URL, "
    "or try again later",
    Fault.REFUSED: "the storage refuses ({reason}): check AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, with a new AWS_SESSION_TOKEN where one is in use",
    Fault.GONE: "there is no such bucket ({reason}): check its name and AWS_ENDPOINT_URL, or make it first",
    Fault.ODD: "the storage cannot do it ({reason}): check the address and AWS_ENDPOINT_URL",
}


class StorageError(OSError):
    """Storage does not answer or refuses; raised by reads and writes, shown by the command line.

    It is not caused by the file that was requested, and so it is never recorded as a failed tile.
    """

    def __init__(self, address: str, reason: str, fault: Fault) -> None:
        self.address = without_queries(address)
        self.reason = without_queries(reason)
        super().__init__(self.address, self.reason)
        self.fault = fault

    def __reduce__(self) -> tuple[type["StorageError"], tuple[str, str, Fault]]:
        return type(self), (self.address, self.reason, self.fault)

    def __str__(self) -> str:
        return f"{self.address}: {_SENTENCES[self.fault].format(reason=self.reason)}"
