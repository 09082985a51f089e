"""The tables a run writes: ledger, objects, texts, changes, and the STAC records that describe them."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
