"""How steps are run: in this process or on Ray, with the resources their models need."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
