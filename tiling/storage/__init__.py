"""Files by address, on disk or object storage: credentials, retries, atomic writes."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
