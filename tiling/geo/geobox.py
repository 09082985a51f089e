"""Pixel grids on the ground: a scene's working grid, and geometries mapped between the grids of scenes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import ProjError

from tiling import Scene, SceneError, Transform, Window
from tiling.geo.crs import (
    GEOD,
    LONLAT,
    MAX_STEP_M,
    Geometries,
    footprint,
    lonlat_points,
    moved,
    to_pixels,
    to_world,
    transformer,
    unrolled,
)

SAME_WITHIN = 0.01
"""Relative difference up to which a requested resolution counts as the native one."""


@dataclass(frozen=True, slots=True)
class GeoBox:
    """A grid of pixels with its georeference."""

    crs: str
    """CRS of the world coordinates, authority code or WKT."""
    transform: Transform
    """Pixel to world."""
    width: int
    """Columns, pixels."""
    height: int
    """Rows, pixels."""

    @property
    def area(self) -> shapely.Polygon:
        """The rectangle of the whole grid, pixels."""
        return shapely.box(0, 0, self.width, self.height)


@dataclass(frozen=True, slots=True)
class WorkingGrid(GeoBox):
    """The grid on which a scene is tiled: its own pixels, or resampled ones of a given ground resolution.

    Its transform is exact: width by height working pixels cover exactly the native raster.
    """

    scale: float
    """Working pixels per native pixel (geometric mean of both axes), exactly 1.0 without resampling."""
    gsd: float
    """Metres on the ground per working pixel at the scene's centre (geometric mean of both axes)."""


def working_grid(scene: Scene, *, gsd_m: float | None) -> WorkingGrid:
    """The working grid of a scene.

    Args:
        scene: The scene.
        gsd_m: Requested metres per pixel; None keeps the native pixels.

    Raises:
        SceneError: The resolution is not positive, or the scene's centre has no longitude and latitude.
    """
    across, down = pixel_size_m(scene)
    if gsd_m is None:
        return _native(scene, across, down)
    if not (gsd_m > 0 and np.isfinite(gsd_m)):
        raise SceneError(scene.uri, f"cannot be resampled to {gsd_m} m: give a positive number of metres")
    if max(abs(across / gsd_m - 1), abs(down / gsd_m - 1)) <= SAME_WITHIN:
        return _native(scene, across, down)
    width, height = (max(1, round(n * s / gsd_m)) for n, s in ((scene.width, across), (scene.height, down)))
    fx, fy = width / scene.width, height / scene.height
    scale = float(np.sqrt(fx * fy))
    a, b, c, d, e, f = scene.transform
    transform = (a / fx, b / fy, c, d / fx, e / fy, f)
    return WorkingGrid(scene.crs, transform, width, height, scale, float(np.sqrt(across * down)) / scale)


def _native(scene: Scene, across: float, down: float) -> WorkingGrid:
    return WorkingGrid(
        scene.crs, scene.transform, scene.width, scene.height, 1.0, float(np.sqrt(across * down))
    )


def pixel_size_m(scene: Scene) -> tuple[float, float]:
    """Metres on the ground of one native pixel's width and height, at the scene's centre.

    Raises:
        SceneError: The centre has no longitude and latitude.
    """
    x, y = scene.width / 2, scene.height / 2
    # Half a pixel to each side of the centre.
    pixels = np.array([[x - 0.5, y], [x + 0.5, y], [x, y - 0.5], [x, y + 0.5]])
    world = moved(pixels, scene.transform)
    try:
        lonlat = lonlat_points(world, scene.crs)
    except SceneError as exc:
        raise SceneError(scene.uri, f"its centre cannot be placed: {exc.reason}") from exc
    _, _, metres = GEOD.inv(lonlat[::2, 0], lonlat[::2, 1], lonlat[1::2, 0], lonlat[1::2, 1])
    across, down = float(metres[0]), float(metres[1])
    if not min(across, down) > 0:
        raise SceneError(scene.uri, "its pixels have no size on the ground: the geotransform is degenerate")
    return across, down


STEP_DEGREES = 0.01
"""Edges in degrees are divided into steps of at most this before they are projected to another CRS."""


def moved_between(geometries: Geometries, origin: GeoBox, target: GeoBox) -> NDArray[np.object_]:
    """Map geometries from the working pixels of one scene to those of another, same shapes and order.

    Within one CRS straight edges stay straight; between two CRSs they are divided into short steps first.
    Longitudes are shifted to within half a turn of the target's centre, so that scenes on both sides of ±180°
    can be compared.

    Raises:
        SceneError: a coordinate cannot be expressed in the target's CRS.
    """
    if origin == target:
        return np.asarray(geometries, dtype=object)
    return to_pixels_of(to_world(geometries, origin.transform), origin.crs, target)


def lonlat_to_pixels(geometries: Geometries, target: GeoBox) -> NDArray[np.object_]:
    """Map geometries from longitude and latitude, degrees, to working pixels.

    Raises:
        SceneError: a coordinate has no place in the target's CRS.
    """
    return to_pixels_of(geometries, LONLAT, target)


def to_pixels_of(geometries: Geometries, crs: str, target: GeoBox) -> NDArray[np.object_]:
    """Map geometries from world coordinates of any CRS to working pixels.

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
        x, y = transformer(origin, target).transform(points[:, 0], points[:, 1], errcheck=True)
    except ProjError as exc:
        raise SceneError(origin, f"coordinates have no place in {target}: {exc}") from exc
    moved = np.column_stack((x, y))
    if not np.isfinite(moved).all():
        raise SceneError(origin, f"some coordinates have no place in {target}")
    return moved


def _near(points: NDArray[np.float64], middle: float) -> NDArray[np.float64]:
    """The points with longitudes shifted to within half a turn of a middle one."""
    lon = points[:, 0] - 360.0 * np.round((points[:, 0] - middle) / 360.0)
    return np.column_stack((lon, points[:, 1]))


@lru_cache(maxsize=256)
def _is_geographic(crs: str) -> bool:
    return bool(CRS.from_user_input(crs).is_geographic)


@lru_cache(maxsize=256)
def _step(crs: str) -> float:
    """Longest edge that may be projected to another CRS whole, in units of the CRS."""
    system = CRS.from_user_input(crs)
    if system.is_geographic:
        return STEP_DEGREES
    return MAX_STEP_M / (system.axis_info[0].unit_conversion_factor or 1.0)
