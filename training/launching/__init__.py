"""Running a training: in this process or on Ray Train, with checkpoints and logs."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
