"""How near is near: the tolerances and shares that the merge decides by."""

TAU = 0.5
"""Share of the lesser part in the strip both tiles see from which two outlines show the same object."""


MIN_OWN_SHARE = 0.5
"""A fragment that no neighbour supports counts only if so much of it lies in its own tile's core: the tile
whose core it lies in saw more of it, and answered that nothing is there."""


INSIDE_PX = 0.5
"""An outline lies inside a tile if it passes its edges by no more than this."""


TOUCH_PX = 0.75
"""An outline this near to an edge touches it, working pixels."""
