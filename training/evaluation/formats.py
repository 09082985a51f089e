"""Layouts of data that a model can be evaluated on, by the names of the command line."""

from enum import StrEnum


class DataFormat(StrEnum):
    """Layouts that can be evaluated on."""

    PRACTICE = "practice"
    """A folder written by `practice`."""
    EARTHREASON = "earthreason"
    """EarthReason as published."""
    RRSISD = "rrsisd"
    """RRSIS-D as published."""
    REFSEGRS = "refsegrs"
    """RefSegRS as published."""
    RISBENCH = "risbench"
    """RISBench as published."""
    TILES = "tiles"
    """A YAML file with the `tiles` of a recipe: questions of every form about ground kept for checking."""
    LABELLED = "real"
    """A folder of labelled datasets, or a YAML file that names them."""
