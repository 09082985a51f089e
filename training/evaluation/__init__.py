"""Evaluation: scores with intervals, by the protocols of the papers, and their reports."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
