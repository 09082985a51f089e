"""One sighting of a thing in one tile, on the ground."""

from dataclasses import dataclass

import shapely


@dataclass(frozen=True, slots=True)
class Fragment:
    """One mask's outline in the coordinates of its scene's CRS."""

    geometry: shapely.Polygon
    """Outline of the mask with holes, world coordinates of the scene's CRS."""
    box: shapely.Polygon
    """The reasoner's box, world coordinates of the scene's CRS."""
    score: float
    """The segmenter's estimate of the mask's quality, 0 to 1."""
    tile_id: str
    """The tile it was seen in."""
    tile: shapely.Polygon
    """Ground footprint of that tile, world coordinates of the scene's CRS."""
    truncated: bool
    """It touches an edge of its tile that is not an edge of the scene."""
    touches_scene_edge: bool
    """It touches an edge of the scene."""
    edge_distance: float
    """Smallest distance from the outline to its tile's inner edges, in tile pixels; 0 where truncated."""
    core_share: float
    """Share of its area in the core of its tile, the ground that is no other tile's, 0 to 1."""
    label: str
    """What the reasoner called it, empty where it named nothing."""
    valid_fraction: float
    """Share of the tile's pixels that hold data, 0 to 1."""
