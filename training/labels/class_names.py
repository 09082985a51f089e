"""How a source's own names become ours: labels to catalogue kinds, image names to places. Opens nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from training import DatasetError

DROPPED = ""
"""Kind of labels that are left out on purpose."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What labels mean, what they are complete in, and which ground an image shows."""

    kinds: Mapping[str, str]
    """Catalogue kind by label as written, in lower case; an empty kind leaves the label out on purpose."""
    absent: tuple[str, ...] = ()
    """Kinds known not to occur in any image."""
    place: str = "(.+)"
    """Regular expression whose groups, found in an image's name and joined, say which ground it shows."""
    complete: tuple[str, ...] = field(init=False)
    """Kinds that the labels speak of, sorted."""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.place).groups
        except re.error as error:
            raise DatasetError(f"place {self.place!r} is not a regular expression: {error}") from error
        if not groups or not self.kinds:
            raise DatasetError(f"place {self.place!r} needs a group and kinds {dict(self.kinds)} an entry")
        names = {kind for kind in self.kinds.values() if kind}
        if names & set(self.absent):
            raise DatasetError(f"{sorted(names & set(self.absent))} cannot be both labelled and absent")
        object.__setattr__(self, "complete", tuple(sorted(names)))

    def kind_of(self, label: str) -> tuple[str | None, str]:
        """Kind of a label and what was wrong with it.

        Returns:
            The catalogue kind, None where the label is left out; and what to count, empty if all is well.
        """
        written = label.strip().lower()
        known = self.kinds.get(written, written if written in self.complete else None)
        if known is not None:
            return (known, "") if known != DROPPED else (None, f"label {label.strip()!r} left out on purpose")
        if not label.strip():
            # With one kind in the whole set a nameless label can mean nothing else.
            kind = self.complete[0] if len(self.complete) == 1 else None
            return kind, "label without a name" + (f", taken as {kind}" if kind else "")
        mended = self.kinds.get(re.sub(r"[\W_]+", "", label.lower()))
        if mended:
            return mended, f"label {label!r} mended to {mended}"
        return None, f"label {label!r} is not among {', '.join(sorted(self.kinds))}"

    def place_of(self, name: str) -> str:
        """Ground that an image shows: the groups of the pattern joined, the name where it does not match."""
        found = re.search(self.place, name)
        return "".join(group or "" for group in found.groups()) if found else name
