"""The Python interface: runs a job from keywords, and shows results as values in a notebook."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
