"""What the name of a model means and what is known of a model before it is loaded.

Whatever takes a model's name from a user (loading, planning, packing for a cluster) reads it here.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Self

_ORACLE = "oracle:"
_SERVERS = ("http://", "https://")


class ModelKind(StrEnum):
    """Where a model of that name is found."""

    NANO = "nano"
    """The small one that comes with the code."""
    NULL = "null"
    """The one that finds nothing."""
    ORACLE = "oracle"
    """Exact answers from a truth table, written `oracle:` and the table's address."""
    SERVED = "served"
    """Behind an OpenAI-compatible address, written http://host:port/v1#model."""
    BUCKET = "bucket"
    """A folder on object storage, which has to be brought here before it can be loaded."""
    LOCAL = "local"
    """A folder or file of this machine."""
    HUB = "hub"
    """Anything else: an id of the Hugging Face hub, if it is well formed."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """The name of a model and what it means on this machine."""

    text: str
    """The name as the user gave it."""
    kind: ModelKind
    """Where such a model is found."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name; every text is one, an unknown name is taken for a hub id."""
        return cls(text, _kind_of(text))

    @classmethod
    def oracle(cls, address: str) -> Self:
        """Return the name of the oracle that answers from a truth table at that address."""
        return cls(f"{_ORACLE}{address}", ModelKind.ORACLE)

    @property
    def is_weightless(self) -> bool:
        """Whether no weights are loaded here: it answers nothing, from a table, or on a server."""
        return self.kind in (ModelKind.NULL, ModelKind.ORACLE, ModelKind.SERVED)

    @property
    def truth(self) -> str | None:
        """Address of an oracle's truth table, None for any other model."""
        return self.text.removeprefix(_ORACLE) if self.kind is ModelKind.ORACLE else None

    @property
    def path(self) -> Path | None:
        """Folder or file of a local model, `~` expanded; None for any other model."""
        return Path(self.text).expanduser() if self.kind is ModelKind.LOCAL else None

    @property
    def endpoint(self) -> tuple[str, str] | None:
        """Base address and name on the server of a served model; None for others and without a name."""
        url, _, model = self.text.partition("#")
        return (url.rstrip("/"), model) if self.kind is ModelKind.SERVED and model else None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What is known of a model without loading it."""

    name: str
    """The name the user gave."""
    digest: str
    """Digest of the weights, and for a reasoner of the prompt version: the loaded model's own."""
    tile_px: int
    """Native tile size, pixels; 0 for a segmenter, which takes every size."""


def _kind_of(text: str) -> ModelKind:
    if text in (ModelKind.NANO, ModelKind.NULL):
        return ModelKind(text)
    for kind, starts in (
        (ModelKind.ORACLE, (_ORACLE,)),
        (ModelKind.SERVED, _SERVERS),
    ):
        if text.startswith(starts):
            return kind
    if "://" in text:
        return ModelKind.BUCKET
    return ModelKind.LOCAL if text and Path(text).expanduser().exists() else ModelKind.HUB
