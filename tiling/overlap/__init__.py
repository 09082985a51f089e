"""Overlapping scenes: which scene owns shared ground, and which of their objects are one."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
