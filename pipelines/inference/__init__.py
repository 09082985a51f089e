"""One chunk from pixels to committed ledger rows, as plain steps."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
