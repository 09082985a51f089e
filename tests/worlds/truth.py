"""Objects on the ground that we drew, and the fragments an exact observer would report of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity, box

from tiling.geo.crs import to_world
from tiling.geo.polygon_array import polygons_from_shapes
from tiling.grid import Grid, Tile, Window
from tiling.merge.fragment_table import FragmentTable
from tiling.merge.fragments import Fragment
from tiling.merge.objects import MergedObjects
from tiling.merge.resolve import NO_WINDOWS, merge_fragments
from tiling.scene import Transform

PLACE: Transform = (0.5, 0.1, 500_000.0, 0.1, -0.5, 5_000_000.0)
"""A rotated grid: nothing may rely on the axes of the world."""


def apart(candidates: Iterable[shapely.Geometry], side: int, gap: float = 2.0) -> NDArray[np.object_]:
    """Those inside a scene that keep a distance from the ones before them."""
    kept: list[shapely.Geometry] = []
    for candidate in candidates:
        shape = candidate.intersection(box(0, 0, side, side))
        if shape.geom_type != "Polygon" or shape.area < 60:
            continue
        if not kept or shapely.distance(np.array(kept), shape).min() >= gap - 1e-9:
            kept.append(shape)
    return np.array(kept, dtype=object)


def drawn_objects(seed: int, side: int = 1500) -> NDArray[np.object_]:
    """Strips over many tiles, rings, discs, small turned rectangles and a block of them 2 px apart."""
    rng = np.random.default_rng(seed)
    s = side / 3000

    def ring(x: float, y: float, outer: float, inner: float) -> shapely.Polygon:
        return shapely.Point(x, y).buffer(outer, 32).difference(shapely.Point(x, y).buffer(inner, 32))

    block = [
        box(300 + c * 14, 1200 + r * 22, 312 + c * 14, 1220 + r * 22) for r in range(8) for c in range(12)
    ]
    strips = [
        affinity.rotate(box(200 * s, 1500 * s, 2800 * s, 1500 * s + 30), 17 + rng.uniform(-5, 5)),
        affinity.rotate(box(100 * s, 400 * s, 2900 * s, 400 * s + 20), -3),
    ]
    rings = [ring(*rng.uniform(200, side - 200, 2), r, r - 20) for r in rng.uniform(60, 300, 6)]
    discs = [shapely.Point(*rng.uniform(100, side - 100, 2)).buffer(r, 32) for r in rng.uniform(80, 160, 4)]
    corners = rng.uniform(0, side, (400, 2))
    small = [
        affinity.rotate(box(x, y, x + w, y + h), turn)
        for (x, y), (w, h), turn in zip(
            corners, rng.uniform(9, 60, (400, 2)), rng.uniform(0, 180, 400), strict=True
        )
    ]
    return apart([*block, *strips, *rings, *discs, *small], side)


def seen(
    truth: NDArray[np.object_],
    grid: Grid,
    transform: Transform = PLACE,
    *,
    sloppy: float = 0.0,
    seed: int = 0,
) -> list[Fragment]:
    """What every tile shows of the truth, each connected piece of 4 px² or more a fragment.

    With `sloppy`, every outline is grown or shrunk at random, standard deviation in pixels.
    """
    rng = np.random.default_rng(seed)
    tree = shapely.STRtree(truth)
    fragments = []
    for tile in grid.tiles():
        w = tile.window
        ground = box(w.x0, w.y0, w.x1, w.y1)
        near = truth[np.sort(tree.query(ground))]
        if sloppy:
            near = shapely.buffer(shapely.intersection(near, ground), rng.normal(0, sloppy, len(near)))
        pieces = shapely.get_parts(shapely.intersection(near, ground))
        kept = pieces[(shapely.area(pieces) >= 4) & (shapely.get_type_id(pieces) == 3)]
        fragments += [fragment(piece, tile, grid, transform) for piece in kept]
    return fragments


def fragment(
    piece: shapely.Polygon, tile: Tile, grid: Grid, transform: Transform = PLACE, *, score: float = 0.9
) -> Fragment:
    x0, y0, x1, y1 = piece.bounds
    w = tile.window
    gaps = [
        gap
        for gap, inner in (
            (x0 - w.x0, w.x0 > 0), (y0 - w.y0, w.y0 > 0), (w.x1 - x1, w.x1 < grid.width),
            (w.y1 - y1, w.y1 < grid.height),
        )
        if inner
    ]  # fmt: skip
    distance = min([*gaps, float(grid.tile_px)])
    geometry, asked = to_world([piece, box(x0, y0, x1, y1)], transform)
    return Fragment(
        geometry=geometry,
        box=asked,
        score=score,
        tile_id=tile.tile_id,
        truncated=distance <= 0.75,
        touches_scene_edge=min(x0, y0, grid.width - x1, grid.height - y1) <= 0.75,
        edge_distance=0.0 if distance <= 0.75 else distance,
        core_share=piece.intersection(box(tile.core.x0, tile.core.y0, tile.core.x1, tile.core.y1)).area
        / piece.area,
        label="thing",
        valid_fraction=1.0,
    )


@dataclass(frozen=True)
class MergedRow:
    """One object of a merge, as a row."""

    geometry: shapely.Geometry
    region: shapely.Polygon
    tile_ids: tuple[str, ...]
    thinking: str
    """Here the id of the tile of its largest fragment."""
    score: float
    n_fragments: int


def listed(merged: MergedObjects) -> list[MergedRow]:
    starts, shapes = merged.tile_starts, merged.outlines.shapes()
    return [
        MergedRow(
            shapes[i],
            shapely.Polygon(merged.region[i]),
            tuple(merged.tile_ids[starts[i] : starts[i + 1]]),
            merged.thinking[i],
            float(merged.score[i]),
            int(merged.n_fragments[i]),
        )
        for i in range(len(merged))
    ]


def fragment_table(fragments: Sequence[Fragment], grid: Grid) -> FragmentTable:
    """Fragments as columns, in their order; of every tile its id is the thinking about it."""
    windows = {tile.tile_id: tile.window for tile in grid.tiles()}
    names = list(dict.fromkeys(each.tile_id for each in fragments))
    numbers = {name: number for number, name in enumerate(names)}
    sides = [(windows[name].x0, windows[name].y0, windows[name].x1, windows[name].y1) for name in names]
    plain = ("score", "truncated", "touches_scene_edge", "edge_distance", "core_share", "valid_fraction")
    return FragmentTable(
        outlines=polygons_from_shapes(column([each.geometry for each in fragments])),
        box=shapely.get_coordinates([each.box for each in fragments]).reshape(-1, 5, 2),
        label=column([each.label for each in fragments]),
        tile=np.array([numbers[each.tile_id] for each in fragments], dtype=np.int64),
        windows=np.array(sides, dtype=np.int64).reshape(-1, 4),
        tile_ids=column(names),
        thinking=column(names),
        **{name: np.array([getattr(each, name) for each in fragments], dtype=TYPES[name]) for name in plain},
    )


TYPES = {"truncated": np.bool_, "touches_scene_edge": np.bool_, **dict.fromkeys(
    ("score", "edge_distance", "core_share", "valid_fraction"), np.float64
)}  # fmt: skip


def column(values: Sequence[object]) -> NDArray[np.object_]:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def merged_objects(
    fragments: Sequence[Fragment],
    grid: Grid,
    transform: Transform = PLACE,
    *,
    missing: Sequence[Window] = (),
) -> MergedObjects:
    windows = [(each.x0, each.y0, each.x1, each.y1) for each in missing]
    gaps = np.array(windows, dtype=np.int64) if windows else NO_WINDOWS
    found, still_open = merge_fragments(fragment_table(fragments, grid), transform=transform, missing=gaps)
    assert not len(still_open.objects)
    return found


def merged_list(
    fragments: Sequence[Fragment],
    grid: Grid,
    transform: Transform = PLACE,
    *,
    missing: Sequence[Window] = (),
) -> list[MergedRow]:
    return listed(merged_objects(fragments, grid, transform, missing=missing))
