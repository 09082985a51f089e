"""The command line: flags to a request, one call, and what is printed of it."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
