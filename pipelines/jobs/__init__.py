"""Whole jobs on an output folder: run, nightly, the lock and the journal that make them safe to kill."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
