"""Everything about pixels and ground: scenes, grids, storage, reads, outlines and the merge."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
