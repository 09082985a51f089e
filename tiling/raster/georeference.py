"""The georeference of an opened raster: its CRS and geotransform, or the reason why it has none."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from affine import Affine
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError
from rasterio.control import GroundControlPoint
from rasterio.io import DatasetReader
from rasterio.transform import from_gcps

from tiling import SceneError, Transform
from tiling.geo import inverse, lonlat_transformer, moved

EARTH_RADIUS_M = (6_300_000.0, 6_400_000.0)
"""Semi-major axes of ellipsoids of the Earth lie between these; those of other bodies do not."""

MAX_GCP_RESIDUAL_PX = 1.0
"""Ground control points must lie on one affine grid within this."""


def read_georeference(uri: str, dataset: DatasetReader, *, assume_crs: str | None) -> tuple[str, Transform]:
    """CRS (authority code or WKT) and geotransform of a raster.

    Args:
        uri: Its address, for messages.
        dataset: The opened raster.
        assume_crs: CRS to take where the file has none.

    Raises:
        SceneError: It has no georeference, only RPCs, control points that fit no affine grid, a CRS that is
            not of the Earth, or corners without longitude and latitude.
    """
    matrix, wkt = _declared(uri, dataset)
    if abs(matrix.determinant) == 0 or not np.isfinite(tuple(matrix)).all():
        raise SceneError(uri, f"its geotransform {tuple(matrix)[:6]} has no inverse")
    crs = _system(uri, wkt or assume_crs)
    transform = (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)
    _check_corners(uri, dataset, transform, crs)
    return crs, transform


def _declared(uri: str, dataset: DatasetReader) -> tuple[Affine, str]:
    """Geotransform and WKT as the file declares them; WKT is empty if it has none."""
    if not dataset.transform.is_identity:
        return dataset.transform, dataset.crs.to_wkt() if dataset.crs else ""
    points, system = dataset.gcps
    if points:
        return _from_points(uri, points), system.to_wkt() if system else ""
    if dataset.rpcs is not None:
        raise SceneError(uri, "is placed by RPCs only: orthorectify it first (gdalwarp -rpc)")
    raise SceneError(uri, "has no geotransform: georeference it first (gdal_translate -a_ullr … -a_srs …)")


def _from_points(uri: str, points: Sequence[GroundControlPoint]) -> Affine:
    matrix: Affine = from_gcps(points)
    if matrix.determinant == 0:
        raise SceneError(uri, "its ground control points span no area")
    world = np.array([(p.x, p.y) for p in points])
    back = moved(world, inverse((matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)))
    offsets = np.hypot(*(back - [(p.col, p.row) for p in points]).T)
    if offsets.max() >= MAX_GCP_RESIDUAL_PX:
        raise SceneError(
            uri,
            f"its {len(points)} ground control points miss a straight grid by up to {offsets.max():.1f} px: "
            "rectify it first (gdalwarp -tps)",
        )
    return matrix


def _system(uri: str, text: str | None) -> str:
    """The authority code or WKT of a CRS of the Earth."""
    if not text:
        raise SceneError(uri, "has no CRS: name it with --assume-crs EPSG:…")
    try:
        system = CRS.from_user_input(text)
        name = _crs_name(text)
    except CRSError as exc:
        raise SceneError(uri, f"its CRS cannot be understood: {exc}") from exc
    ellipsoid = system.ellipsoid
    if ellipsoid is None:
        raise SceneError(uri, f"its CRS {system.name!r} is local: give the true one with --assume-crs")
    low, high = EARTH_RADIUS_M
    if not low < ellipsoid.semi_major_metre < high:
        raise SceneError(uri, f"its CRS {system.name!r} is not on the Earth")
    return name


@lru_cache(maxsize=256)
def _crs_name(text: str) -> str:
    """The authority code if it means exactly this CRS, else its WKT; cached, as this takes half a second."""
    system = CRS.from_user_input(text)
    authority = system.to_authority(min_confidence=100)
    if authority and CRS.from_authority(*authority).equals(system, ignore_axis_order=True):
        return ":".join(authority)
    return str(system.to_wkt())


def _check_corners(uri: str, dataset: DatasetReader, transform: Transform, crs: str) -> None:
    w, h = dataset.width, dataset.height
    corners = moved(np.array([(x, y) for x in (0, w / 2, w) for y in (0, h / 2, h)]), transform)
    try:
        lon, lat = lonlat_transformer(crs).transform(corners[:, 0], corners[:, 1])
    except ProjError as exc:
        raise SceneError(uri, f"there is no way from its CRS to longitude and latitude: {exc}") from exc
    if not (np.isfinite(lon).all() and np.isfinite(lat).all() and np.abs(lat).max() <= 90.001):
        raise SceneError(uri, "its corners have no longitude and latitude in its CRS: cut it to the Earth")
