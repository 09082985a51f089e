"""The command line: every command turns flags into a request, makes one call and prints the outcome."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
