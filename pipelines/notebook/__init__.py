"""A job from Python: keywords to a request, a run, and what came of it as objects that a notebook shows."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
