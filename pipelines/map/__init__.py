"""The map of a result: its data, its tile archives, its page and its server."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
