"""What can be wrong with a scene, a grid or the storage they lie on."""

import re
from enum import StrEnum

_SIGNED = re.compile(r"(\w+://[^\s?'\"<>]+)\?[^\s'\"<>,;)]*")


def without_queries(text: str) -> str:
    """A text with the query string of every address in it cut off: signatures stand there."""
    return _SIGNED.sub(r"\1", text)


class SceneError(ValueError):
    """A scene cannot be opened, read or placed; raised by opener and reader, shown to the user by the CLI."""

    def __init__(self, uri: str, reason: str) -> None:
        self.uri = without_queries(uri)
        self.reason = without_queries(reason)
        super().__init__(self.uri, self.reason)

    def __str__(self) -> str:
        return f"{self.uri}: {self.reason}"


class GridError(ValueError):
    """Sizes of tile, overlap or chunk that make no grid; raised on construction, shown by the CLI."""


class Fault(StrEnum):
    """Why object storage does not do as asked; never a property of one file."""

    AWAY = "away"
    """It does not answer, or fails for now: another try may go better."""
    REFUSED = "refused"
    """The credentials are missing, wrong, expired or not enough."""
    GONE = "gone"
    """There is no such bucket."""
    ODD = "odd"
    """Anything else it says."""


_SENTENCES = {
    Fault.AWAY: "the storage does not answer ({reason}): check the network and AWS_ENDPOINT_URL, "
    "or try again later",
    Fault.REFUSED: "the storage refuses ({reason}): check AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, with a new AWS_SESSION_TOKEN where one is in use",
    Fault.GONE: "there is no such bucket ({reason}): check its name and AWS_ENDPOINT_URL, or make it first",
    Fault.ODD: "the storage cannot do it ({reason}): check the address and AWS_ENDPOINT_URL",
}


class StorageError(OSError):
    """Storage does not answer or refuses; raised by whatever asks it, the command line shows it.

    It says nothing about the file that was asked for, and so never becomes a failed tile.
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
