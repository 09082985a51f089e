"""What can be wrong with a scene or a grid."""


class SceneError(ValueError):
    """A scene cannot be opened, read or placed; raised by opener and reader, shown to the user by the CLI."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(uri, reason)
        self.uri = uri
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.uri}: {self.reason}"


class GridError(ValueError):
    """Sizes of tile, overlap or chunk that make no grid; raised on construction, shown by the CLI."""
