"""Raster files: described without guessing, read once per chunk, scaled, warped, composed, written."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
