"""The batch job: from a request to a published table, its checks, its map and the command line."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
