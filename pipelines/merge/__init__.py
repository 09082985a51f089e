"""From committed ledger files to objects in cells: block by block, across blocks, across scenes."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
