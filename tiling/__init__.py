"""Pixels and ground: scenes, grids, windowed reads, outlines, merging. Knows no model and no Ray."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
