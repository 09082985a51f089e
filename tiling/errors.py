"""What can be wrong with a scene or a grid."""

import re

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
