"""What can be wrong with one entry of a dataset."""

from training import DatasetError


class UnusableError(DatasetError):
    """One entry cannot be used; the message names the problem in words that stay the same for all like it.

    Raised while an entry is read; `read_entries` catches it and counts it.
    """
