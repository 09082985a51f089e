"""The grid of a mosaic: fixed cells per UTM zone, each composed of the scenes that meet it.

A cell's position follows from zone, resolution and size alone, never from the search. Cells of a zone share
one pixel grid and overlap their neighbours.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer

from tiling import Band, Composite, GridError, Kernel, Mosaic, Scene, SceneError, Window
from tiling.geo import footprint, to_lonlat, transformer

CELL_PX = 2000
"""Default side of a cell, pixels: 20 km at 10 m."""

ZONE_DEG, LAST_ZONE = 6.0, 60
NORTH_END, SOUTH_END = 84.0, -80.0
"""Latitudes at which UTM ends, degrees."""

EDGE_STEPS = 16
"""Parts into which an edge of a scene is divided before it is projected to another CRS."""

WHOLE_WITHIN = 1e-6
"""Tolerance, as a share of a pixel, for a cell's side to be a whole number of pixels."""

SAME_SIZE_WITHIN = 1e-6
"""Relative difference up to which pixel sizes of items are the same."""


@dataclass(frozen=True, slots=True)
class MosaicGrid:
    """The parameters of a mosaic."""

    composite: Composite
    """How one pixel is composed of several."""
    kernel: Kernel
    """How items' pixels are resampled to the grid."""
    resolution_m: float | None
    """Side of a pixel, metres; None takes that of the items if all have the same."""
    cell_m: float | None
    """Side of a cell without its overlap, metres, a whole number of pixels; None for the default."""
    overlap_px: int
    """Overlap of neighbouring cells of a zone, pixels."""


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Cells of one resolution, in pixels."""

    resolution_m: float
    cell_px: int
    pad_px: int

    def core(self, col: int, row: int) -> shapely.Polygon:
        side = self.resolution_m * self.cell_px
        return shapely.box(col * side, row * side, (col + 1) * side, (row + 1) * side)

    @property
    def pad_m(self) -> float:
        return self.pad_px * self.resolution_m


@dataclass(frozen=True, slots=True, order=True)
class _Zone:
    """One half of a UTM zone."""

    number: int
    north: bool

    @property
    def crs(self) -> str:
        return f"EPSG:{(32600 if self.north else 32700) + self.number}"

    @property
    def name(self) -> str:
        return f"utm{self.number:02d}{'n' if self.north else 's'}"


def mosaic_cells(items: Sequence[Scene], asked: MosaicGrid) -> list[Scene]:
    """The cells that items cover, each with the items that meet it.

    Args:
        items: Described scenes; their own CRS and transform are used, not those in a catalog.
        asked: The parameters of the mosaic.

    Returns:
        Scenes by zone, column and row. At the border of two zones there are cells in both.

    Raises:
        GridError: The items differ in bands or type, or in resolution if none is given, or a cell is not a
            whole number of pixels.
        SceneError: An item lies where there is no UTM zone.
    """
    _check_alike(items)
    lattice = _lattice(items, asked)
    ordered = sorted(items, key=lambda item: (item.datetime or "", item.scene_id))
    outlines: dict[_Zone, list[tuple[Scene, shapely.Geometry]]] = {}
    for item in ordered:
        for zone, outline in _in_zones(item):
            outlines.setdefault(zone, []).append((item, outline))
    return [
        cell for zone in sorted(outlines) for cell in _cells_of(zone, outlines[zone], lattice, asked=asked)
    ]


def _check_alike(items: Sequence[Scene]) -> None:
    first = items[0]
    for item in items:
        if (item.dtype, len(item.bands)) != (first.dtype, len(first.bands)):
            raise GridError(
                f"mosaic: {item.scene_id} has {len(item.bands)} bands of {item.dtype}, {first.scene_id} "
                f"{len(first.bands)} of {first.dtype}: choose alike ones with --assets or --bands"
            )


def _lattice(items: Sequence[Scene], asked: MosaicGrid) -> _Lattice:
    resolution = asked.resolution_m or _common_resolution(items)
    cell_px = CELL_PX if asked.cell_m is None else round(asked.cell_m / resolution)
    if asked.cell_m is not None and abs(cell_px - asked.cell_m / resolution) > WHOLE_WITHIN * cell_px:
        raise GridError(
            f"mosaic: a cell of {asked.cell_m:g} m is not a whole number of {resolution:g} m pixels: "
            f"take {max(1, cell_px) * resolution:g} m"
        )
    return _Lattice(resolution, cell_px, -(-asked.overlap_px // 2))


def _common_resolution(items: Sequence[Scene]) -> float:
    """Side of a pixel that all items share, metres."""
    sizes: dict[float, Scene] = {}
    for item in items:
        a, b, _, d, e, _ = item.transform
        square = abs(abs(a) - abs(e)) <= SAME_SIZE_WITHIN * abs(a) and b == d == 0
        if not square or not _is_metric(item.crs):
            raise GridError(
                f"mosaic: the pixels of {item.scene_id} are no squares of metres: give mosaic.resolution "
                "(--resolution) in metres"
            )
        if not any(abs(abs(a) - size) <= SAME_SIZE_WITHIN * size for size in sizes):
            sizes[abs(a)] = item
    if len(sizes) > 1:
        message = ", ".join(f"{size:g} m in {item.scene_id}" for size, item in sorted(sizes.items())[:3])
        raise GridError(
            f"mosaic: the items differ in resolution ({message}): give mosaic.resolution (--resolution), "
            "metres"
        )
    return next(iter(sizes))


@lru_cache(maxsize=256)
def _is_metric(crs: str) -> bool:
    system = CRS.from_user_input(crs)
    return system.is_projected and system.axis_info[0].unit_conversion_factor == 1.0


def _in_zones(item: Scene) -> Iterator[tuple[_Zone, shapely.Geometry]]:
    """The half zones an item lies in, and its outline in the CRS of each."""
    outline = footprint(Window(0, 0, item.width, item.height), item.transform)
    bent = shapely.segmentize(outline, shapely.length(outline) / (4 * EDGE_STEPS))
    for zone in _zones(item, outline):
        yield zone, _projected(bent, transformer(item.crs, zone.crs))


def _zones(item: Scene, outline: shapely.Polygon) -> list[_Zone]:
    found: set[_Zone] = set()
    for part in shapely.get_parts(to_lonlat([outline], item.crs)):
        west, south, east, north = part.bounds
        if north > NORTH_END or south < SOUTH_END:
            raise SceneError(item.uri, "reaches beyond 84° north or 80° south, where UTM has no zone")
        first, last = (int(min((lon + 180.0) // ZONE_DEG + 1, LAST_ZONE)) for lon in (west, east))
        for number in range(first, last + 1):
            found |= {_Zone(number, side) for side in (True, False) if (north > 0 if side else south < 0)}
    return sorted(found)


def _projected(shape: shapely.Polygon, way: Transformer) -> shapely.Polygon:
    moved: shapely.Polygon = shapely.transform(
        shape, lambda points: np.column_stack(way.transform(*points.T))
    )
    return moved


@lru_cache(maxsize=128)
def _own_ground(zone: _Zone) -> shapely.Polygon:
    """The strip of six degrees of a half zone, in its CRS."""
    west = -180.0 + (zone.number - 1) * ZONE_DEG
    south, north = (0.0, NORTH_END) if zone.north else (SOUTH_END, 0.0)
    box = shapely.segmentize(shapely.box(west, south, west + ZONE_DEG, north), 0.5)
    return _projected(box, transformer("OGC:CRS84", zone.crs))


def _cells_of(
    zone: _Zone, items: Sequence[tuple[Scene, shapely.Geometry]], lattice: _Lattice, *, asked: MosaicGrid
) -> Iterator[Scene]:
    own = shapely.buffer(_own_ground(zone), lattice.pad_m)
    outlines = np.array([outline for _, outline in items], dtype=object)
    shapely.prepare(own)
    wanted = {place for outline in outlines for place in _places(outline, own, lattice)}
    tree = shapely.STRtree(outlines)
    for col, row in sorted(wanted):
        reach = shapely.buffer(lattice.core(col, row), lattice.pad_m, join_style="mitre")
        met = sorted(int(index) for index in tree.query(reach, predicate="intersects"))
        shared = shapely.area(shapely.intersection(outlines[met], reach))
        over = [(items[index][0], area) for index, area in zip(met, shared, strict=True) if area > 0]
        yield _cell(f"{zone.name}-{col}-{row}", zone.crs, (col, row), lattice, over=over, asked=asked)


def _places(outline: shapely.Geometry, own: shapely.Geometry, lattice: _Lattice) -> Iterator[tuple[int, int]]:
    """Columns and rows of the cells whose core an outline meets, within the zone's own strip."""
    ground = shapely.intersection(outline, own)
    if not shapely.area(ground) > 0:
        return
    side = lattice.resolution_m * lattice.cell_px
    x0, y0, x1, y1 = (int(value // side) for value in ground.bounds)
    places = [(col, row) for col in range(x0, x1 + 1) for row in range(y0, y1 + 1)]
    cores: NDArray[np.object_] = np.array([lattice.core(col, row) for col, row in places], dtype=object)
    covered = shapely.area(shapely.intersection(cores, ground)) > 0
    yield from (place for place, is_met in zip(places, covered, strict=True) if is_met)


def _cell(
    name: str, crs: str, place: tuple[int, int], lattice: _Lattice,
    *, over: Sequence[tuple[Scene, float]], asked: MosaicGrid,
) -> Scene:  # fmt: skip
    res, side = lattice.resolution_m, lattice.cell_px + 2 * lattice.pad_px
    items = tuple(item for item, _ in over)
    depth = sum(area for _, area in over) / (side * res) ** 2
    left = (place[0] * lattice.cell_px - lattice.pad_px) * res
    top = ((place[1] + 1) * lattice.cell_px + lattice.pad_px) * res
    uri = f"mosaic:{name}"
    return Scene(
        uri=uri,
        scene_id=name,
        identity=_identity(items, asked),
        width=side,
        height=side,
        transform=(res, 0.0, left, 0.0, -res, top),
        crs=crs,
        dtype=items[0].dtype,
        bands=tuple(Band(uri, index) for index in range(1, len(items[0].bands) + 1)),
        nodata=None,
        datetime=max((item.datetime for item in items if item.datetime), default=None),
        mosaic=Mosaic(asked.composite, asked.kernel, round(float(depth), 4), items),
    )


def _identity(items: Sequence[Scene], asked: MosaicGrid) -> str:
    marks = [f"{item.scene_id} {item.identity} {[band.index for band in item.bands]}" for item in items]
    return hashlib.sha256("\n".join([asked.composite, asked.kernel, *marks]).encode()).hexdigest()[:32]
