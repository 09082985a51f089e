"""From masks to objects within one scene: outlines, fragments, matching, the rule, merged objects."""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
