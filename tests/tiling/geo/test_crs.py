"""Claim: pixels, world, longitude and latitude and square metres agree; ±180° is cut, not wrapped round."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer
from shapely.geometry import mapping

from tiling.errors import SceneError
from tiling.geo.crs import areas_m2, footprint, to_lonlat, to_pixels, to_world
from tiling.geo.geobox import working_grid
from tiling.geo.polygon_array import polygons_from_shapes
from tiling.grid import Window
from tiling.scene import Scene

TRANSFORMS = st.tuples(
    st.floats(0.1, 30), st.floats(-3, 3), st.floats(-1e6, 1e6), st.floats(-3, 3), st.floats(-30, -4),
    st.floats(-1e6, 1e6),
)  # fmt: skip


@given(TRANSFORMS, st.floats(0, 1e4), st.floats(0, 1e4))
def test_pixels_and_world_are_a_round_trip(
    transform: tuple[float, float, float, float, float, float], x: float, y: float
) -> None:
    if abs(transform[0] * transform[4] - transform[1] * transform[3]) < 1:
        return
    shape = shapely.box(x, y, x + 7, y + 3)
    (there,) = to_world([shape], transform)
    (back,) = to_pixels([there], transform)
    assert shapely.equals_exact(back, shape, 1e-5)


def test_a_footprint_is_the_grids_own_rectangle() -> None:
    polygon = footprint(Window(10, 20, 30, 60), (2.0, 0.0, 100.0, 0.0, -2.0, 500.0))
    assert polygon.equals(shapely.box(120, 380, 160, 460))
    rotated = footprint(Window(0, 0, 10, 10), (1.0, 1.0, 0.0, 1.0, -1.0, 0.0))
    assert rotated.area == pytest.approx(200)


def test_long_edges_bend_with_the_projection() -> None:
    edge = shapely.box(400_000, 6_600_000, 480_000, 6_600_010)
    (placed,) = to_lonlat([edge], "EPSG:32633")
    to_utm = Transformer.from_crs("OGC:CRS84", "EPSG:32633", always_xy=True)
    middles = shapely.get_coordinates(shapely.segmentize(placed, 0.001))
    _, y = to_utm.transform(middles[:, 0], middles[:, 1])
    assert min(np.min(np.abs(y - 6_600_000)), np.min(np.abs(y - 6_600_010))) < 0.01
    assert np.max(np.minimum(np.abs(y - 6_600_000), np.abs(y - 6_600_010))) < 5.1


def test_what_crosses_180_is_cut_there() -> None:
    (placed,) = to_lonlat([shapely.box(700_000, 0, 1_000_000, 10_000)], "EPSG:32660")
    assert placed.geom_type == "MultiPolygon"
    assert placed.bounds[0] == -180.0
    assert placed.bounds[2] == 180.0
    widths = sorted(part.bounds[2] - part.bounds[0] for part in placed.geoms)
    assert widths[1] < 4
    assert areas_m2(polygons_from_shapes(np.array([placed], dtype=object)))[0] == pytest.approx(
        300_000 * 10_000, rel=0.01
    )
    (shifted,) = to_lonlat([shapely.box(179, 10, 182, 11)], "EPSG:4326")
    assert sorted(round(p.bounds[0], 9) for p in shifted.geoms) == [-180, 179]
    (plain,) = to_lonlat([shapely.box(-180, -90, 180, 90)], "EPSG:4326")
    assert plain.equals(shapely.box(-180, -90, 180, 90))
    (mercator,) = to_lonlat([shapely.box(-2.0e7, -1e6, 2.0e7, 1e6)], "EPSG:3857")
    assert mercator.bounds[2] - mercator.bounds[0] == pytest.approx(359.3, abs=0.1)
    assert mercator.geom_type == "Polygon"


def test_coordinates_without_a_place_are_an_error() -> None:
    with pytest.raises(SceneError, match="longitude and latitude"):
        to_lonlat([shapely.box(-6e6, -6e6, -5e6, -5e6)], "+proj=geos +h=35785831 +lon_0=0 +type=crs")


@pytest.mark.parametrize("clockwise", [True, False])
def test_area_is_geodesic_and_holes_are_subtracted(clockwise: bool) -> None:
    shell, hole = shapely.box(13, 50, 13.1, 50.1), shapely.box(13.02, 50.02, 13.05, 50.05)
    geod = Geod(ellps="WGS84")
    true = abs(geod.geometry_area_perimeter(shell)[0]) - abs(geod.geometry_area_perimeter(hole)[0])
    polygon = shapely.orient_polygons(shell.difference(hole), exterior_cw=clockwise)
    assert mapping(polygon)["type"] == "Polygon"
    assert areas_m2(polygons_from_shapes(np.array([polygon], dtype=object)))[0] == pytest.approx(
        true, rel=1e-9
    )
    both = shapely.MultiPolygon([polygon, shapely.box(14, 50, 14.1, 50.1)])
    assert areas_m2(polygons_from_shapes(np.array([both], dtype=object)))[0] == pytest.approx(
        true + abs(geod.geometry_area_perimeter(shell)[0]), rel=1e-9
    )


def scene(transform: tuple[float, ...], crs: str, width: int = 1003, height: int = 777) -> Scene:
    a, b, c, d, e, f = transform
    return Scene("u", "s", "i", width, height, (a, b, c, d, e, f), crs, "uint8", (), None, None)


def test_the_working_grid_keeps_native_pixels_within_one_percent() -> None:
    native = scene((0.5, 0, 5e5, 0, -0.5, 5e6), "EPSG:32633")
    for gsd in (None, 0.5, 0.504):
        work = working_grid(native, gsd_m=gsd)
        assert (work.width, work.height, work.scale, work.transform) == (1003, 777, 1.0, native.transform)
        assert work.gsd == pytest.approx(0.5, rel=0.001)


@given(st.floats(0.2, 9))
def test_the_working_grid_covers_exactly_the_native_ground(gsd: float) -> None:
    native = scene((0.6, 0.1, 5e5, 0.1, -0.6, 5e6), "EPSG:32633")
    work = working_grid(native, gsd_m=gsd)
    whole = footprint(Window(0, 0, native.width, native.height), native.transform)
    assert shapely.equals_exact(footprint(Window(0, 0, work.width, work.height), work.transform), whole, 1e-6)
    assert work.gsd == pytest.approx(gsd, rel=0.02)


def test_degrees_and_web_mercator_are_measured_on_the_ground() -> None:
    degrees = scene((1e-5, 0, 13, 0, -1e-5, 60), "EPSG:4326")
    work = working_grid(degrees, gsd_m=1.0)
    assert work.width == pytest.approx(1003 * 0.558, rel=0.01)  # a degree of longitude is half as long there
    assert work.height == pytest.approx(777 * 1.114, rel=0.01)
    mercator = scene((10, 0, 1.4e6, 0, -10, 8.4e6), "EPSG:3857")
    assert working_grid(mercator, gsd_m=None).gsd == pytest.approx(5, rel=0.01)
    with pytest.raises(SceneError, match="positive"):
        working_grid(mercator, gsd_m=-1.0)


@given(st.floats(-85, 85), st.floats(-179, 179), st.floats(0.0005, 0.04), st.integers(0, 1000))
def test_areas_of_small_outlines_agree_with_geodesics(lat: float, lon: float, size: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 7))
    ring = np.column_stack((np.cos(angles), np.sin(angles))) * rng.uniform(0.3, 0.5, (7, 1)) * size
    polygon = shapely.Polygon(ring + np.array([lon, lat]))
    (found,) = areas_m2(polygons_from_shapes(np.array([polygon], dtype=object)))
    true = abs(Geod(ellps="WGS84").geometry_area_perimeter(polygon)[0])
    span = size * 111_320  # of a sliver, the deviation of its long edges is a larger share
    assert found == pytest.approx(true, rel=0, abs=5e-8 * span**2 + 1e-3)
