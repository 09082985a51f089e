"""Georeferenced labels land on the pixels where an independent computation puts them, whatever their CRS."""

from collections.abc import Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from training.errors import DatasetError
from training.labels.class_names import Naming
from training.labels.labelled_image import LabelledImage
from training.labels.polygons import read_polygons
from training.labels.raster_mask import read_raster_mask

CRS = "EPSG:32633"
PLAIN = Affine(0.5, 0.0, 400_000.0, 0.0, -0.5, 5_300_000.0)
TURNED = Affine.translation(400_000, 5_300_000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.4)
SIZE = 120
NEAR_PX = 0.01


def write(path: Path, values: NDArray[np.generic], transform: Affine, *, crs: str = CRS) -> Path:
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=bands,
        dtype=values.dtype.name,
        crs=crs,
        transform=transform,
    ) as target:
        target.write(values)
    return path


def scene(tmp_path: Path, transform: Affine = PLAIN, *, name: str = "scene.tif") -> Path:
    rng = np.random.default_rng(0)
    return write(tmp_path / name, rng.integers(1, 200, (3, SIZE, SIZE)).astype(np.uint8), transform)


def world(corners: list[tuple[float, float]], transform: Affine, crs: str = CRS) -> shapely.Polygon:
    """A polygon given in pixels, in a CRS: through affine's own product and pyproj's own way."""
    way = Transformer.from_crs(CRS, crs, always_xy=True)
    return shapely.Polygon([way.transform(*(transform @ corner)) for corner in corners])


SHAPE = [(20.25, 30.5), (60.75, 32.0), (55.0, 80.125), (22.0, 70.0)]


@pytest.mark.parametrize("transform", [PLAIN, TURNED], ids=["north up", "turned"])
@pytest.mark.parametrize(
    ("ending", "crs"),
    [
        ("parquet", CRS),
        ("parquet", "OGC:CRS84"),
        ("geojson", "OGC:CRS84"),
        ("gpkg", "EPSG:3857"),
        ("gpkg", CRS),
    ],
)
def test_polygons_lie_on_their_pixels(tmp_path: Path, transform: Affine, ending: str, crs: str) -> None:
    frame = gpd.GeoDataFrame({"geometry": [world(SHAPE, transform, crs)]}, crs=crs)
    file = tmp_path / f"labels.{ending}"
    frame.to_parquet(file) if ending == "parquet" else frame.to_file(file)
    reading = read_polygons(file, [scene(tmp_path, transform)], naming=Naming({"building": "building"}))
    (image,) = reading.images
    (outline,) = image.outlines
    assert outline is not None
    assert shapely.hausdorff_distance(outline, shapely.Polygon(SHAPE)) < NEAR_PX
    assert np.allclose(image.boxes, [[20.25, 30.5, 60.75, 80.125]], atol=NEAR_PX)
    assert image.pixel_m == pytest.approx(np.sqrt(0.25 if transform is PLAIN else 0.2), rel=0.01)
    assert reading.problems == ()


def read_shapes(
    tmp_path: Path, shapes: Sequence[object], names: Sequence[str | None]
) -> tuple[LabelledImage, dict[str, int]]:
    frame = gpd.GeoDataFrame({"what": names}, geometry=shapes, crs=CRS)
    frame.to_parquet(tmp_path / "labels.parquet")
    naming = Naming({"house": "building", "hall": "building", "oak": "tree"})
    file, scenes = tmp_path / "labels.parquet", [scene(tmp_path)]
    reading = read_polygons(file, scenes, naming=naming, kind_column="what")
    (image,) = reading.images
    return image, dict(reading.counts)


def square(x: float, y: float, side: float = 10) -> shapely.Polygon:
    return world([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], PLAIN)


def test_what_is_not_a_polygon_on_the_scene_is_counted_and_names_become_classes(tmp_path: Path) -> None:
    bow = world([(60, 60), (80, 80), (80, 60), (60, 80)], PLAIN)
    shapes = [
        square(10, 10),
        square(-5, 40),
        square(500, 40),
        None,
        shapely.Point(400_010, 5_299_990),
        shapely.MultiPolygon([square(90, 10), square(105, 10)]),
        bow,
        square(30, 30),
        square(40, 40),
    ]
    names = ["house", "hall", "house", "house", "house", "oak", "oak", "shed", None]
    image, counts = read_shapes(tmp_path, shapes, names)
    assert image.classes == ("building", "building", "tree", "tree", "tree", "tree")
    assert np.allclose(image.boxes[1], [0, 40, 5, 50])
    assert image.complete == ("building", "tree")
    assert counts == {
        "polygon outside of every scene": 1,
        "row without a polygon": 2,
        "several parts, each taken as one object": 2,
        "label 'shed' is not among hall, house, oak": 1,
        "label without a name": 1,
    }


def test_labels_without_a_crs_or_a_column_are_refused_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    gpd.GeoDataFrame(geometry=[square(1, 1)]).to_parquet(file)
    with pytest.raises(DatasetError, match="no CRS"):
        read_polygons(file, [], naming=Naming({"building": "building"}))
    gpd.GeoDataFrame(geometry=[square(1, 1)], crs=CRS).to_parquet(file)
    with pytest.raises(DatasetError, match="no column 'what'"):
        read_polygons(file, [], naming=Naming({"building": "building"}), kind_column="what")
    with pytest.raises(DatasetError, match="column that tells them apart"):
        read_polygons(file, [], naming=Naming({"a": "tree", "b": "car"}))
    file.write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match="cannot be read as a vector file"):
        read_polygons(file, [], naming=Naming({"building": "building"}))
    with pytest.raises(DatasetError, match="no such file"):
        read_polygons(tmp_path / "none.gpkg", [], naming=Naming({"building": "building"}))


def test_a_polygon_on_two_scenes_is_on_both_and_a_broken_scene_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    gpd.GeoDataFrame(geometry=[square(50, 50), square(10, 10)], crs=CRS).to_parquet(file)
    beside = scene(tmp_path, PLAIN @ Affine.translation(45, 40), name="beside.tif")
    (tmp_path / "broken.tif").write_text("no raster")
    scenes = [scene(tmp_path), beside, tmp_path / "broken.tif"]
    reading = read_polygons(file, scenes, naming=Naming({"building": "building"}))
    assert [image.boxes.round(6).tolist() for image in reading.images] == [
        [[50, 50, 60, 60], [10, 10, 20, 20]],
        [[5, 10, 15, 20]],
    ]
    assert [problem.where for problem in reading.problems] == ["broken.tif"]


def mask_of(side: int) -> NDArray[np.uint8]:
    mask = np.zeros((1, side, side), np.uint8)
    mask[0, 5:15, 10:30] = 1
    mask[0, 15:25, 30:40] = 1
    mask[0, 40:50, 2:8] = 2
    mask[0, 50, 50] = 1
    return mask


def test_a_mask_of_half_the_resolution_is_placed_by_its_georeference(tmp_path: Path) -> None:
    image = scene(tmp_path)
    mask = write(tmp_path / "mask.tif", mask_of(60), PLAIN @ Affine.scale(2))
    reading = read_raster_mask(mask, image, values=(1,), naming=Naming({"field": "field"}))
    (labelled,) = reading.images
    assert labelled.pixels.shape == (SIZE, SIZE, 3)
    # The two touch at a corner only: two fields. Edges run on pixel borders, but for what outlines round off.
    assert np.abs(labelled.boxes - [[20, 10, 60, 30], [60, 30, 80, 50]]).max() < 0.3
    both = shapely.union_all([outline for outline in labelled.outlines if outline is not None])
    assert both.area == pytest.approx(4 * (200 + 100), rel=0.02)
    assert dict(reading.counts) == {"piece of fewer than 4 pixels": 1}
    more = read_raster_mask(mask, image, values=(1, 2), naming=Naming({"field": "field"}))
    assert len(more.images[0].boxes) == 3


def test_a_larger_mask_with_an_offset_is_placed_by_its_georeference(tmp_path: Path) -> None:
    mask = write(tmp_path / "mask.tif", mask_of(150), PLAIN @ Affine.translation(-12, -8))
    (labelled,) = read_raster_mask(
        mask, scene(tmp_path), values=(1,), naming=Naming({"field": "field"})
    ).images
    assert np.abs(labelled.boxes - [[0, 0, 18, 7], [18, 7, 28, 17]]).max() < 0.2


def test_a_mask_of_other_ground_labels_nothing_and_one_in_another_crs_is_refused(tmp_path: Path) -> None:
    image = scene(tmp_path)
    away = write(tmp_path / "away.tif", mask_of(60), Affine(1, 0, 330_000, 0, -1, 5_390_000))
    reading = read_raster_mask(away, image, values=(1,), naming=Naming({"field": "field"}))
    assert reading.images == ()
    assert list(reading.counts) == ["mask does not cover its image"]
    other = write(tmp_path / "other.tif", mask_of(60), PLAIN @ Affine.scale(2), crs="EPSG:32632")
    with pytest.raises(DatasetError, match="EPSG:32632 is not the scene's EPSG:32633"):
        read_raster_mask(other, image, values=(1,), naming=Naming({"field": "field"}))
    with pytest.raises(DatasetError, match="one kind"):
        read_raster_mask(away, image, values=(1,), naming=Naming({"a": "field", "b": "tree"}))
