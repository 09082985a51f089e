"""How a source's own names become ours: labels to catalogue classes, image names to places."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from training import DatasetError

DROPPED = ""
"""Class of labels that are left out on purpose."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What labels mean, what they are complete in, and which ground an image shows."""

    classes: Mapping[str, str]
    """Catalogue class by label as written, in lower case; an empty class leaves the label out on purpose."""
    absent: tuple[str, ...] = ()
    """Classes known not to occur in any image."""
    place: str = "(.+)"
    """Regular expression whose groups, found in an image's name and joined, say which ground it shows."""
    complete: tuple[str, ...] = field(init=False)
    """Classes that the labels speak of, sorted."""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.place).groups
        except re.error as error:
            raise DatasetError(f"place {self.place!r} is not a regular expression: {error}") from error
        if not groups or not self.classes:
            raise DatasetError(f"place {self.place!r} needs a group and kinds {dict(self.classes)} an entry")
        names = {class_name for class_name in self.classes.values() if class_name}
        if names & set(self.absent):
            raise DatasetError(f"{sorted(names & set(self.absent))} cannot be both labelled and absent")
        object.__setattr__(self, "complete", tuple(sorted(names)))

    def class_of(self, label: str) -> tuple[str | None, str]:
        """Class of a label and what was wrong with it.

        Returns:
            The catalogue class, None where the label is left out; and what to count, empty if all is well.
        """
        written = label.strip().lower()
        known = self.classes.get(written, written if written in self.complete else None)
        if known is not None:
            return (known, "") if known != DROPPED else (None, f"label {label.strip()!r} left out on purpose")
        if not label.strip():
            # With one class in the whole set a nameless label can mean nothing else.
            class_name = self.complete[0] if len(self.complete) == 1 else None
            return class_name, "label without a name" + (f", taken as {class_name}" if class_name else "")
        mended = self.classes.get(re.sub(r"[\W_]+", "", label.lower()))
        if mended:
            return mended, f"label {label!r} mended to {mended}"
        return None, f"label {label!r} is not among {', '.join(sorted(self.classes))}"

    def place_of(self, name: str) -> str:
        """Ground that an image shows: the groups of the pattern joined, the name where it does not match."""
        found = re.search(self.place, name)
        return "".join(group or "" for group in found.groups()) if found else name
