"""Claim: a cell of a mosaic holds what plain numpy makes of its items, and cells agree where they meet.

Checked: masks and nodata, median and first-valid, chunks, other grids and zones, 180 degrees, the equator.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray
from rasterio.transform import Affine

from tests.worlds.mosaics import RES, Drawn, asked, cells_of, composed, doubtful, draw, nearest, read_cell
from tiling.errors import GridError, SceneError
from tiling.raster.describe import describe_scene
from tiling.raster.mosaic_grid import mosaic_cells
from tiling.raster.scaling import estimate_scaling
from tiling.scene import Composite, Kernel, Scene

ZONE_33 = Affine(RES, 0, 500_300, 0, -RES, 5_001_700)


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> list[Drawn]:
    """Four dates with clouds, oldest first, masked in every way; two lie shifted by whole pixels."""
    folder = tmp_path_factory.mktemp("dates")
    east = ZONE_33 @ Affine.translation(95, -20)
    return [
        draw(folder / "d.tif", ZONE_33, seed=1, day=1, cloud=np.s_[20:90, 30:120]),
        draw(folder / "b.tif", ZONE_33, seed=2, day=2, cloud=np.s_[0:60, 100:200], mask="mask"),
        draw(folder / "c.tif", east, seed=3, day=3, cloud=np.s_[40:150, 0:90], mask="alpha"),
        draw(folder / "a.tif", east, seed=4, day=3 + 1, cloud=np.s_[50:70, 50:70]),
    ]


@pytest.mark.parametrize("composite", Composite)
def test_every_pixel_is_what_numpy_makes_of_the_items(dates: list[Drawn], composite: Composite) -> None:
    cells = cells_of(dates, asked(composite))
    assert len(cells) > 4
    for cell in cells:
        values, valid = read_cell(cell)
        true = composed(dates, cell, composite)
        assert (valid == np.isfinite(true).all(axis=0)).all()
        assert (values[:, valid] == true[:, valid]).all()
        assert not values[:, ~valid].any()
    assert any(read_cell(cell)[1].any() and not read_cell(cell)[1].all() for cell in cells)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32"])
def test_every_type_of_pixel_comes_through(tmp_path: Path, dtype: str) -> None:
    items = [
        draw(tmp_path / f"{k}.tif", ZONE_33, seed=k, day=k + 1, dtype=dtype, cloud=np.s_[:, k * 30 : 99])
        for k in range(3)
    ]
    (cell, *_) = cells_of(items, asked())
    values, valid = read_cell(cell)
    true = composed(items, cell, Composite.MEDIAN)
    assert values.dtype == dtype
    if dtype == "float32":  # of an even number the middle is no whole number
        true = np.nanmedian(np.stack([nearest(item, cell) for item in items]), axis=0).astype(dtype)
    assert valid.any()
    assert (values[:, valid] == true[:, valid]).all()


def test_the_order_of_items_and_the_chunks_change_nothing(dates: list[Drawn]) -> None:
    first = cells_of(dates, asked(Composite.FIRST_VALID))
    assert cells_of(dates[::-1], asked(Composite.FIRST_VALID)) == first
    for cell in first[:2]:
        whole = read_cell(cell)
        for chunk in (50, 73):
            assert all((a == b).all() for a, b in zip(read_cell(cell, chunk=chunk), whole, strict=True))


def test_the_grid_is_that_of_the_zone_whatever_is_found(dates: list[Drawn]) -> None:
    every = {cell.scene_id: cell for cell in cells_of(dates, asked())}
    few = cells_of(dates[:1], asked())
    assert {cell.scene_id for cell in few} < set(every)
    for cell in few:
        other = every[cell.scene_id]
        assert (cell.transform, cell.width, cell.crs) == (other.transform, other.width, other.crs)
        assert cell.identity != other.identity
        assert (cell.transform[2] + 20 * RES) % 1000 == 0
    assert cells_of(dates, asked(Composite.FIRST_VALID))[0].identity != every[few[0].scene_id].identity
    assert max(cell.datetime or "" for cell in every.values()) == "2024-05-04T10:00:00Z"


def overlaps(cells: Sequence[Scene]) -> int:
    """How many pairs of cells of one zone share pixels; those must be the same."""
    pixels = {cell.scene_id: read_cell(cell) for cell in cells}
    count = 0
    for one, other in combinations(cells, 2):
        dx = round((other.transform[2] - one.transform[2]) / RES)
        dy = round((one.transform[5] - other.transform[5]) / RES)
        if one.crs != other.crs or max(abs(dx), abs(dy)) >= one.width:
            continue
        x0, x1, y0, y1 = (
            max(0, dx),
            min(one.width, one.width + dx),
            max(0, dy),
            min(one.height, one.height + dy),
        )
        mine, theirs = np.s_[..., y0:y1, x0:x1], np.s_[..., y0 - dy : y1 - dy, x0 - dx : x1 - dx]
        assert min(x1 - x0, y1 - y0) >= 40
        for a, b in zip(pixels[one.scene_id], pixels[other.scene_id], strict=True):
            assert (a[mine] == b[theirs]).all()
        count += bool(pixels[one.scene_id][1][mine[1:]].any())
    return count


@pytest.mark.parametrize("kernel", Kernel)
def test_neighbouring_cells_share_a_tile_of_equal_pixels(tmp_path: Path, kernel: Kernel) -> None:
    turned = Affine.translation(500_950, 5_001_800) @ Affine.rotation(7) @ Affine.scale(9.3, -9.3)
    shifted = ZONE_33 @ Affine.translation(0.5, 0.5)
    items = [
        draw(tmp_path / "a.tif", ZONE_33, seed=1, cloud=np.s_[60:90, 40:99]),
        draw(tmp_path / "b.tif", turned, seed=2, day=2, cloud=np.s_[0:40, :]),
        draw(tmp_path / "c.tif", shifted, seed=3, day=3, cloud=np.s_[:, 9:]),
    ]
    assert overlaps(cells_of(items, asked(resolution_m=RES, kernel=kernel))) >= 5


def test_items_on_other_grids_are_taken_by_the_nearest_pixel(tmp_path: Path) -> None:
    turned = Affine.translation(500_950, 5_001_800) @ Affine.rotation(7) @ Affine.scale(9.3, -9.3)
    other = pyproj.Transformer.from_crs("EPSG:32633", "EPSG:32632", always_xy=True)
    x, y = other.transform(500_400, 5_001_500)
    items = [
        draw(tmp_path / "a.tif", turned, seed=2, day=1, cloud=np.s_[0:40, :]),
        draw(tmp_path / "b.tif", Affine(11, 0, x, 0, -11, y), seed=3, day=2, crs="EPSG:32632"),
    ]
    cells = cells_of(items, asked(Composite.FIRST_VALID, resolution_m=RES))
    assert {cell.crs for cell in cells} == {"EPSG:32633"}
    assert_whole(items, cells)


def drawn_at(path: Path, lon: float, lat: float, *, crs: str, **options: object) -> Drawn:
    """A scene whose middle lies at a longitude and latitude."""
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    left, top = round(x / RES) * RES - 100 * RES, round(y / RES) * RES + 75 * RES
    return draw(path, Affine(RES, 0, left, 0, -RES, top), crs=crs, **options)  # type: ignore[arg-type]


def assert_whole(items: Sequence[Drawn], cells: Sequence[Scene]) -> NDArray[np.bool_]:
    """Cells hold what numpy makes of the items; validity of all pixels by the way.

    Left out is what lies within a thousandth of a pixel of the border of two: builds of PROJ differ there.
    """
    seen = []
    for cell in cells:
        values, valid = read_cell(cell)
        true = composed(items, cell, Composite.FIRST_VALID)
        clear = ~doubtful(items, cell)
        assert clear.mean() > 0.98
        assert (valid == np.isfinite(true).all(axis=0))[clear].all()
        assert (values == true)[:, valid & clear].all()
        seen.append(valid)
    return np.stack(seen)


@pytest.mark.parametrize(("lat", "half"), [(-17.0, "s"), (65.0, "n")])
def test_nothing_is_lost_at_180_degrees(tmp_path: Path, lat: float, half: str) -> None:
    code = 32600 if half == "n" else 32700
    items = [
        drawn_at(tmp_path / "a.tif", 180.0, lat, crs=f"EPSG:{code + 60}", seed=1, day=1),
        drawn_at(tmp_path / "b.tif", -179.999, lat, crs=f"EPSG:{code + 1}", seed=2, day=2, cloud=np.s_[:60]),
        drawn_at(tmp_path / "c.tif", 179.98, lat, crs=f"EPSG:{code + 60}", seed=3, day=3, cloud=np.s_[60:]),
    ]
    cells = cells_of(items, asked(Composite.FIRST_VALID))
    assert {cell.scene_id[:6] for cell in cells} == {f"utm01{half}", f"utm60{half}"}
    assert assert_whole(items, cells).any(axis=(1, 2)).all()
    east, west = (ground_of(cells, f"utm{zone}{half}") for zone in ("01", "60"))
    for lon, side in ((-179.9985, east), (179.9985, west)):
        assert side(lon, lat)


def ground_of(cells: Sequence[Scene], zone: str) -> Callable[[float, float], bool]:
    """A function that says whether a zone's cells have data at a longitude and latitude."""

    def has_data(lon: float, lat: float) -> bool:
        for cell in (cell for cell in cells if cell.scene_id.startswith(zone)):
            way = pyproj.Transformer.from_crs("EPSG:4326", cell.crs, always_xy=True)
            col, row = ~Affine(*cell.transform) @ way.transform(lon, lat)
            if 0 <= col < cell.width and 0 <= row < cell.height and read_cell(cell)[1][int(row), int(col)]:
                return True
        return False

    return has_data


def test_a_zone_border_and_the_equator_are_covered_from_both_sides(tmp_path: Path) -> None:
    items = [drawn_at(tmp_path / "a.tif", 6.0, 0.0, crs="EPSG:32631", seed=1)]
    cells = cells_of(items, asked(Composite.FIRST_VALID))
    zones = {cell.scene_id[:6]: cell.crs for cell in cells}
    assert zones == {
        "utm31n": "EPSG:32631", "utm31s": "EPSG:32731", "utm32n": "EPSG:32632", "utm32s": "EPSG:32732",
    }  # fmt: skip
    assert_whole(items, cells)
    for lon, lat, zone in ((5.9995, 0.0005, "31n"), (6.0005, 0.0005, "32n"), (6.0005, -0.0005, "32s")):
        has_data = ground_of(cells, f"utm{zone}")
        assert has_data(lon, lat)


def test_a_file_of_one_item_that_is_gone_fails_the_tiles_not_the_pixels(dates: list[Drawn]) -> None:
    cell = cells_of(dates, asked())[0]
    assert cell.mosaic is not None
    first = cell.mosaic.items[0]
    lost = replace(first, bands=tuple(replace(band, uri="/gone.tif") for band in first.bands))
    mosaic = replace(cell.mosaic, items=(lost, *cell.mosaic.items[1:]))
    with pytest.raises(SceneError, match=r"gone\.tif"):
        read_cell(replace(cell, mosaic=mosaic))


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"dtype": "uint8"}, {}, "3 bands of uint8, a 3 of uint16"),
        ({"place": ZONE_33 @ Affine.scale(2)}, {}, r"10 m in a, 20 m in b.*--resolution"),
        ({"place": Affine(1e-4, 0, 15, 0, -1e-4, 45), "crs": "EPSG:4326"}, {}, r"b are no squares of metres"),
        ({}, {"cell_m": 1005.0}, "not a whole number of 10 m pixels: take 1000 m"),
        ({}, {"cell_m": 2.0}, "not a whole number of 10 m pixels: take 10 m"),
    ],
)
def test_items_that_make_no_mosaic_are_refused_with_the_reason(
    tmp_path: Path, change: dict[str, object], options: dict[str, object], message: str
) -> None:
    draw(tmp_path / "a.tif", ZONE_33)
    place = change.pop("place", ZONE_33)
    draw(tmp_path / "b.tif", place, **change)  # type: ignore[arg-type]
    items = [describe_scene(str(tmp_path / f"{name}.tif")) for name in "ab"]
    with pytest.raises(GridError, match=message):
        mosaic_cells(items, asked(**options))


def test_the_poles_have_no_zone(tmp_path: Path) -> None:
    item = draw(tmp_path / "a.tif", Affine(RES, 0, 2_000_000, 0, -RES, 1_700_000), crs="EPSG:32661")
    with pytest.raises(SceneError, match="84° north"):
        cells_of([item], asked())


def test_the_scaling_of_a_mosaic_is_that_of_its_items(dates: list[Drawn]) -> None:
    items = [describe_scene(str(item.path)) for item in dates]
    assert estimate_scaling(cells_of(dates, asked())) == estimate_scaling(
        sorted(items, key=lambda i: i.datetime or "")
    )
