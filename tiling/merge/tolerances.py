"""The tolerances and shares of the merge's rules."""

TAU = 0.5
"""Share of the smaller part in the common strip of two tiles from which two outlines show the same object."""


MIN_OWN_SHARE = 0.5
"""An unsupported fragment counts only if at least this share of it lies in its own tile's core. Otherwise
another tile saw more of it and answered that nothing is there."""


INSIDE_PX = 0.5
"""An outline lies inside a tile if it reaches past the tile's edges by at most this, working pixels."""


TOUCH_PX = 0.75
"""Distance to an edge up to which an outline touches it, working pixels."""
