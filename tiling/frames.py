"""The work pixels of one scene seen from those of another, over any two CRS. Knows no files and no tiles."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from tiling.errors import SceneError
from tiling.placing import LONLAT, MAX_STEP_M, Geometries, footprint, to_pixels, to_world, unrolled
from tiling.scene import Scene, Transform
from tiling.window import Window
from tiling.work import WorkGrid

STEP_DEGREES = 0.01
"""Edges in degrees are cut into steps of at most this before they are bent into another CRS."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The work pixels of a scene and where they lie: a metric near enough for everything local."""

    crs: str
    """CRS of the world coordinates, authority code or WKT."""
    transform: Transform
    """Work pixel to world."""
    width: int
    """Columns, work pixels."""
    height: int
    """Rows, work pixels."""

    @property
    def area(self) -> shapely.Polygon:
        """All of the scene, work pixels."""
        return shapely.box(0, 0, self.width, self.height)


def frame_of(scene: Scene, work: WorkGrid) -> Frame:
    """The frame of a scene's work grid."""
    return Frame(scene.crs, work.transform, work.width, work.height)


def moved_between(geometries: Geometries, origin: Frame, target: Frame) -> NDArray[np.object_]:
    """Map geometries from the work pixels of one scene to those of another, same shapes and order.

    Straight edges stay straight within one CRS; between two they are cut short first. Longitudes are taken
    within half a turn of the target's centre, so scenes on both sides of ±180° see each other.

    Raises:
        SceneError: a coordinate has no place in the target's CRS.
    """
    if origin == target:
        return np.asarray(geometries, dtype=object)
    return to_frame(to_world(geometries, origin.transform), origin.crs, target)


def lonlat_to_frame(geometries: Geometries, target: Frame) -> NDArray[np.object_]:
    """Map geometries from longitude and latitude, degrees, to work pixels.

    Raises:
        SceneError: a coordinate has no place in the target's CRS.
    """
    return to_frame(geometries, LONLAT, target)


def to_frame(geometries: Geometries, crs: str, target: Frame) -> NDArray[np.object_]:
    """Map geometries from world coordinates of any CRS to work pixels.

    Raises:
        SceneError: a coordinate has no place in the target's CRS.
    """
    world = np.asarray(geometries, dtype=object)
    if crs != target.crs:
        whole = unrolled(world) if _is_geographic(crs) else world
        cut = shapely.segmentize(whole, _step(crs))
        world = np.asarray(shapely.transform(cut, lambda xy: _between(xy, crs, target.crs)), dtype=object)
    if _is_geographic(target.crs):
        middle = shapely.centroid(footprint(Window(0, 0, target.width, target.height), target.transform)).x
        world = np.asarray(shapely.transform(world, lambda xy: _near(xy, middle)), dtype=object)
    return to_pixels(world, target.transform)


def _between(points: NDArray[np.float64], origin: str, target: str) -> NDArray[np.float64]:
    try:
        x, y = _transformer(origin, target).transform(points[:, 0], points[:, 1], errcheck=True)
    except ProjError as exc:
        raise SceneError(origin, f"coordinates have no place in {target}: {exc}") from exc
    moved = np.column_stack((x, y))
    if not np.isfinite(moved).all():
        raise SceneError(origin, f"some coordinates have no place in {target}")
    return moved


def _near(points: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """The same longitudes within half a turn of a middle one."""
    lon = points[:, 0] - 360.0 * np.round((points[:, 0] - middle) / 360.0)
    return np.column_stack((lon, points[:, 1]))


@lru_cache(maxsize=1024)
def _transformer(origin: str, target: str) -> Transformer:
    return Transformer.from_crs(CRS.from_user_input(origin), CRS.from_user_input(target), always_xy=True)


@lru_cache(maxsize=256)
def _is_geographic(crs: str) -> bool:
    return bool(CRS.from_user_input(crs).is_geographic)


@lru_cache(maxsize=256)
def _step(crs: str) -> float:
    """Longest edge that may be bent into another CRS whole, in units of the CRS."""
    system = CRS.from_user_input(crs)
    if system.is_geographic:
        return STEP_DEGREES
    return MAX_STEP_M / (system.axis_info[0].unit_conversion_factor or 1.0)
