"""The question: text, task and a slug that identifies both."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from reasoner.errors import QueryError


class Task(StrEnum):
    """What is wanted of the reasoner."""

    LOCATE = "locate"
    """Boxes, and from them masks and contours."""
    CAPTION = "caption"
    """One text per tile."""
    VQA = "vqa"
    """One answer in words per tile."""


@dataclass(frozen=True, slots=True)
class Query:
    """One question asked of every tile."""

    text: str
    """The question in plain words, stripped, never empty."""
    task: Task = Task.LOCATE
    """What is wanted."""

    def __post_init__(self) -> None:
        text = " ".join(self.text.split())
        if not text:
            raise QueryError("the question is empty: give --ask a question in words")
        object.__setattr__(self, "text", text)

    @property
    def id(self) -> str:
        """Slug of the text, ending in a digest of text and task; safe in file names."""
        words = re.sub(r"[^a-z0-9]+", "-", self.text.lower()).strip("-")[:40].strip("-")
        digest = hashlib.sha256(f"{self.task}\n{self.text}".encode()).hexdigest()[:8]
        return f"{words}-{digest}" if words else digest
