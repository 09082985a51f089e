"""What can go wrong while examples are made or a model is trained."""

from __future__ import annotations


class PracticeError(ValueError):
    """A practice scene cannot be drawn or written as asked; the command line shows it to the user."""


class RecipeError(ValueError):
    """A training recipe cannot be read or names unknown fields; the command line shows it to the user."""


class DatasetError(ValueError):
    """A folder or file is not the dataset that the request names; the command line shows it to the user."""


class LaunchError(RuntimeError):
    """A training cannot be started, resumed or finished; the command line shows it to the user."""
