"""Selects the tiles of a plan: those that meet the area of interest, on ground that their scene owns."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pipelines import RequestError
from pipelines.plan.config import SceneOverlap
from pipelines.plan.plan import PlannedScene, scene_outline
from pipelines.plan.sources import PARALLEL_READS
from tiling.geo import lonlat_to_pixels
from tiling.overlap import (
    SceneCoverage,
    by_priority,
    find_valid_area,
    neighbours,
    owned_ground,
    wanted_tiles,
)
from tiling.raster import OpenOptions

MARGIN_DEGREES = 0.01
"""The area of interest is clipped to a scene's bounds plus this margin when the scene's tiles are chosen."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Which scenes overlap, and which scene owns ground that several share."""

    coverages: tuple[SceneCoverage, ...]
    """What each scene covers, before tiles are planned."""
    ranks: tuple[int, ...]
    """Rank of each scene among all: of scenes that share ground, the one with the lowest rank owns it."""
    beside: tuple[tuple[int, ...], ...]
    """Per scene, the scenes that overlap it; empty if every scene is answered on its own."""

    def before(self, scene: int) -> tuple[int, ...]:
        """Scenes of higher priority that overlap a scene."""
        return tuple(other for other in self.beside[scene] if self.ranks[other] < self.ranks[scene])


def ownership_of(scenes: Sequence[PlannedScene], overlap: SceneOverlap) -> Ownership:
    """Find out which scenes overlap, and their order of priority.

    Args:
        scenes: the planned scenes.
        overlap: whether shared ground has one owner.
    """
    ranks = [0] * len(scenes)
    for rank, index in enumerate(by_priority([item.scene for item in scenes])):
        ranks[index] = rank
    coverages = _coverages(scenes)
    if overlap is SceneOverlap.KEEP_ALL:
        return Ownership(coverages, tuple(ranks), ((),) * len(scenes))
    return Ownership(coverages, tuple(ranks), tuple(neighbours([scene_outline(item) for item in scenes])))


def _coverages(scenes: Sequence[PlannedScene]) -> tuple[SceneCoverage, ...]:
    """Coverages of whole scenes before tiles are planned, valid where they are known to hold data."""
    areas = [item.work.area for item in scenes]
    return tuple(
        SceneCoverage(item.work, area if item.valid is None else item.valid, covered=area)
        for item, area in zip(scenes, areas, strict=True)
    )


def with_valid_areas(
    scenes: Sequence[PlannedScene], ownership: Ownership, options: OpenOptions
) -> tuple[PlannedScene, ...]:
    """The scenes, with the valid area of those that would take ground from another scene.

    A collar without data must not own ground that another scene shows.
    """
    owners = sorted({other for index in range(len(scenes)) for other in ownership.before(index)})

    def with_valid_area(index: int) -> PlannedScene:
        item = scenes[index]
        return replace(item, valid=find_valid_area(item.scene, item.work, options))

    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        found = dict(zip(owners, pool.map(with_valid_area, owners), strict=True))
    return tuple(found.get(index, item) for index, item in enumerate(scenes))


def scenes_within(scenes: Sequence[PlannedScene], aoi: shapely.Geometry | None) -> list[PlannedScene]:
    """The scenes that an area of interest meets, or all if there is none.

    Raises:
        RequestError: the area meets no scene.
    """
    if aoi is None:
        return list(scenes)
    outlines = np.asarray([scene_outline(item) for item in scenes], dtype=object)
    shapely.prepare(aoi)
    met = [item for item, meets in zip(scenes, shapely.intersects(aoi, outlines), strict=True) if meets]
    if not met:
        west, south, east, north = shapely.total_bounds(outlines)
        raise RequestError(
            "aoi",
            f"the area meets none of the {len(scenes)} scenes",
            f"they lie within longitudes {west:.3f} to {east:.3f} and latitudes {south:.3f} to {north:.3f}",
        )
    return met


def planned_tiles(
    scenes: Sequence[PlannedScene], ownership: Ownership, *, aoi: shapely.Geometry | None
) -> list[NDArray[np.bool_] | None]:
    """Per scene, (rows, columns) true where a tile is planned, None where all are.

    Args:
        scenes: the planned scenes, with where they hold data.
        ownership: which scenes share ground; the valid areas are taken from the scenes, not from here.
        aoi: area of interest, longitude and latitude; None if there is none.

    Raises:
        SceneError: a scene's outline cannot be expressed in the CRS of an overlapping scene.
    """
    coverages = _coverages(scenes)
    return [
        wanted_tiles(
            item.grid,
            owned=owned_ground(coverages, ownership.before(index), index),
            asked=None if aoi is None else _aoi_in(item, aoi),
        )
        for index, item in enumerate(scenes)
    ]


def _aoi_in(item: PlannedScene, aoi: shapely.Geometry) -> shapely.Geometry:
    """The part of the area near a scene, in its working pixels."""
    pieces = []
    for part in shapely.get_parts(scene_outline(item)):
        west, south, east, north = shapely.bounds(part)
        near = shapely.box(west, south, east, north).buffer(MARGIN_DEGREES, join_style="mitre")
        pieces.append(shapely.intersection(aoi, near))
    moved = lonlat_to_pixels([piece for piece in pieces if not piece.is_empty], item.work)
    union: shapely.Geometry = shapely.union_all(shapely.make_valid(moved, method="structure"))
    return union
