"""Turns one mask of one tile into georeferenced fragments; the infer step calls it for every mask."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from tiling import Tile, Window
from tiling.geo import WorkingGrid, parts_of, to_world
from tiling.merge.tolerances import TOUCH_PX
from tiling.merge.vectorize import outlines


@dataclass(frozen=True, slots=True)
class Fragment:
    """One mask's outline in one tile, in the coordinates of its scene's CRS."""

    geometry: shapely.Polygon
    """Outline of the mask with holes, world coordinates of the scene's CRS."""
    box: shapely.Polygon
    """The reasoner's box, world coordinates of the scene's CRS."""
    score: float
    """The segmenter's estimate of the mask's quality, 0 to 1."""
    tile_id: str
    """The tile in which it was detected."""
    truncated: bool
    """It touches an edge of its tile that is not an edge of the scene."""
    touches_scene_edge: bool
    """It touches an edge of the scene."""
    edge_distance: float
    """Smallest distance from the outline to its tile's inner edges, in tile pixels; 0 where truncated."""
    core_share: float
    """Share of its area in the core of its tile, which lies in no other tile's core, 0 to 1."""
    label: str
    """What the reasoner called it, empty where it named nothing."""
    valid_fraction: float
    """Share of the tile's pixels that hold data, 0 to 1."""


MIN_AREA_PX = 4.0
"""Smaller pieces of a mask are noise, square working pixels."""

ISLAND_SHARE = 0.1
"""A piece smaller than this share of its mask's biggest piece is taken for a spot on a neighbouring object
and dropped, unless the tile truncates it, since it may then be the end of something larger. With the nano
models on rows of greenhouses 2 to 4 pixels apart, 57 of 122 objects were such spots."""


def fragments_of(
    mask_probabilities: NDArray[np.float32],
    *,
    box: NDArray[np.float64],
    score: float,
    label: str,
    tile: Tile,
    work: WorkingGrid,
    valid_fraction: float,
) -> list[Fragment]:
    """Outline a mask in world coordinates; every separate piece is a fragment of its own.

    Args:
        mask_probabilities: (tile_px, tile_px), 0 to 1, inside above 0.5.
        box: (4,) the reasoner's x0, y0, x1, y1, half-open, tile pixels.
        score: The segmenter's estimate of the mask's quality, 0 to 1.
        label: What the reasoner called it.
        tile: The tile of the mask.
        work: The working grid the tile lies on.
        valid_fraction: Share of the tile's pixels that hold data, 0 to 1.

    Returns:
        Fragments in world coordinates, biggest first, clipped to the scene; small islands are left out.
    """
    pieces = _pieces(mask_probabilities, tile, work)
    if not len(pieces):
        return []
    bounds = shapely.bounds(pieces)
    inner, outer = _edge_distances(bounds, tile.window, work)
    kept = _no_islands(pieces, inner)
    pieces, bounds, inner, outer = pieces[kept], bounds[kept], inner[kept], outer[kept]
    placed = to_world(pieces, work.transform)
    boxes = to_world([_box(box, bound, tile, work) for bound in bounds], work.transform)
    return [
        Fragment(
            geometry=geometry,
            box=asked,
            score=float(score),
            tile_id=tile.tile_id,
            truncated=bool(to_tile <= TOUCH_PX),
            touches_scene_edge=bool(to_scene <= TOUCH_PX),
            edge_distance=0.0 if to_tile <= TOUCH_PX else float(to_tile),
            core_share=float(share),
            label=label,
            valid_fraction=float(valid_fraction),
        )
        for geometry, asked, to_tile, to_scene, share in zip(
            placed, boxes, inner, outer, _core_shares(pieces, tile), strict=True
        )
    ]


def _no_islands(pieces: NDArray[np.object_], to_tile: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which pieces are large enough in comparison with the biggest, or truncated by the tile."""
    areas = shapely.area(pieces)
    return np.asarray((areas >= ISLAND_SHARE * areas.max()) | (to_tile <= TOUCH_PX))


def _pieces(mask: NDArray[np.float32], tile: Tile, work: WorkingGrid) -> NDArray[np.object_]:
    """The mask's polygons in working pixels, inside the scene, biggest first."""
    window = tile.window
    shift = np.array([window.x0, window.y0], dtype=np.float64)
    found = np.array(outlines(mask, min_area_px=MIN_AREA_PX), dtype=object)
    pieces = np.asarray(shapely.transform(found, lambda p: p + shift), dtype=object)
    if window.x1 <= work.width and window.y1 <= work.height:
        return pieces
    pieces = parts_of(shapely.intersection(pieces, shapely.box(0, 0, work.width, work.height)))
    areas = shapely.area(pieces)
    order = np.argsort(-areas, kind="stable")
    return pieces[order[areas[order] >= MIN_AREA_PX]]


def _core_shares(pieces: NDArray[np.object_], tile: Tile) -> NDArray[np.float64]:
    """Share (n,) of each piece's area that lies in the tile's core."""
    core = tile.core
    inside = shapely.intersection(pieces, shapely.box(core.x0, core.y0, core.x1, core.y1))
    return np.asarray(shapely.area(inside) / shapely.area(pieces), dtype=np.float64)


def _edge_distances(
    bounds: NDArray[np.float64], window: Window, work: WorkingGrid
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distance (n,) of extents (n, 4) to the tile's inner edges and to the scene's edges, working pixels.

    Distances are at most the tile's side, which also means that there is no such edge.
    """
    scene = Window(0, 0, work.width, work.height)
    far = float(window.width)
    sides = zip(_gaps(bounds, window), _inner_sides(window, scene), strict=True)
    inner = [gap for gap, is_inner in sides if is_inner]
    to_tile = np.minimum.reduce([np.full(len(bounds), far), *inner])
    to_scene = np.minimum.reduce(_gaps(bounds, scene))
    return np.clip(to_tile, 0.0, None), to_scene


def _gaps(bounds: NDArray[np.float64], window: Window) -> list[NDArray[np.float64]]:
    """Distance of extents to the left, top, right and bottom of a window."""
    return [
        bounds[:, 0] - window.x0,
        bounds[:, 1] - window.y0,
        window.x1 - bounds[:, 2],
        window.y1 - bounds[:, 3],
    ]


def _inner_sides(window: Window, scene: Window) -> list[bool]:
    """Which sides of a tile lie inside the scene: left, top, right, bottom."""
    return [window.x0 > 0, window.y0 > 0, window.x1 < scene.x1, window.y1 < scene.y1]


def _box(
    box: NDArray[np.float64], piece: NDArray[np.float64], tile: Tile, work: WorkingGrid
) -> shapely.Polygon:
    """The reasoner's box in working pixels, clipped to the scene; the piece's extent if it lies outside."""
    x, y = tile.window.x0, tile.window.y0
    x0, y0 = max(float(box[0]) + x, 0.0), max(float(box[1]) + y, 0.0)
    x1, y1 = min(float(box[2]) + x, float(work.width)), min(float(box[3]) + y, float(work.height))
    return shapely.box(x0, y0, x1, y1) if x1 > x0 and y1 > y0 else shapely.box(*piece)
