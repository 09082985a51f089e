"""Sets are read as their file says, the real ones hold what is known of them, no place is on both sides."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.worlds.practice import data_folder
from training.errors import DatasetError, RecipeError
from training.labels.class_names import Naming
from training.labels.coco import read_coco
from training.labels.dataset_list import ImageArea, LabelledDataset, read_dataset_list
from training.labels.labelled_image import LabelReading
from training.labels.open_datasets import read_labelled_dataset, split
from training.labels.raster_mask import read_raster_mask

SHIPPED_DATASETS = Path(__file__).parents[3] / "training" / "recipes" / "real-sets.yaml"
CARS = {"format": "yolo", "root": "cars", "images": "*.png", "labels": "names", "kind": "car", "scale": 0.5}


def shipped(name: str, folder: str) -> LabelledDataset:
    root = data_folder(folder)
    sets = {real.name: real for real in read_dataset_list(SHIPPED_DATASETS, root=root)}
    return replace(sets[name], root=root)


def places(reading: LabelReading) -> tuple[set[str], set[str]]:
    training, validation = split(reading.images)
    assert len(training) + len(validation) == len(reading.images)
    return {image.place for image in training}, {image.place for image in validation}


def test_neon_plots_hold_555_crowns_12_mended_and_11_nameless() -> None:
    reading = read_labelled_dataset(shipped("neon-trees", "neon_trees"))
    assert len(reading.images) == 35
    assert sum(len(image.boxes) for image in reading.images) == 555
    assert dict(reading.counts) == {
        "label 'Tree\\\\' mended to tree": 12,
        "label without a name, taken as tree": 11,
    }
    complete = [image for image in reading.images if image.complete]
    assert len(complete) == 35 - len(shipped("neon-trees", "neon_trees").partial)
    assert all(image.pixel_m == pytest.approx(0.1, rel=1e-2) for image in reading.images)
    training, validation = places(reading)
    assert not training & validation
    assert len(validation) == 11
    assert {image.place for image in complete} & validation


def test_cars_of_one_junction_are_split_by_ground() -> None:
    real = shipped("aerial-cars", "aerial_cars")
    whole, parts = read_labelled_dataset(replace(real, areas=())), read_labelled_dataset(real)
    assert len(whole.images) == 12
    lines = [line for file in real.root.glob("DJI*.txt") for line in file.read_text().splitlines()]
    assert sum(len(image.boxes) for image in whole.images) == len(lines)
    training, validation = places(parts)
    assert validation == {"DJI_0005/3-east"}
    assert len(training) == 2
    widths = {image.valid.shape[1] for image in parts.images if image.place in validation}
    assert widths == {640}
    assert Counter(class_name for image in parts.images for class_name in image.classes).keys() == {"car"}


def test_a_crop_of_several_years_is_one_place_and_points_are_boxes() -> None:
    real = shipped("urban-trees", "urban_trees")
    reading = read_labelled_dataset(real)
    rows = sum(len(file.read_text().split()) - 1 for file in real.root.glob("csv/*.csv"))
    assert (len(reading.images), sum(len(i.boxes) for i in reading.images), reading.problems) == (
        48,
        rows,
        (),
    )
    stems = {image.name for image in reading.images}
    assert {"claremont_2016_59", "claremont_2018_59"} <= stems
    by_name = {image.name: image.place for image in reading.images}
    assert by_name["claremont_2016_59"] == by_name["claremont_2018_59"] == "claremont_59"
    training, validation = places(reading)
    assert not training & validation


def test_ships_are_read_from_one_file_a_band_and_every_mask_has_an_outline() -> None:
    reading = read_labelled_dataset(shipped("ships", "sen2ships"))
    assert {image.place: len(image.boxes) for image in reading.images} == {
        "cartagena": 19,
        "casablanca": 15,
        "hedland": 18,
        "honolulu": 12,
    }
    assert reading.problems == ()
    assert all(outline is not None for image in reading.images for outline in image.outlines)
    for image in reading.images:
        low, high = np.percentile(image.pixels, [1, 99])
        assert low < 30
        assert high > 200


@pytest.mark.parametrize(("name", "count"), [("durban", 36), ("gdynia", 20), ("hamburg", 33)])
def test_ships_whose_image_ids_dangle_are_counted(name: str, count: int) -> None:
    (file,) = data_folder("sen2ships", "broken").glob(f"{name}*.json")
    reading = read_coco(file, lambda _: None, naming=Naming({"ship": "ship"}))
    assert reading.images == ()
    assert dict(reading.counts) == {
        "annotation of an image that is not listed": count,
        "image is not there": 2,
    }


def test_buildings_lie_on_the_pan_scene_cut_into_thirds() -> None:
    reading = read_labelled_dataset(shipped("buildings", "scenes/spacenet"))
    assert [image.valid.shape for image in reading.images] == [(900, 300)] * 3
    assert sum(len(image.boxes) for image in reading.images) == 43
    assert (reading.images[0].pixels[:, :, 0] == reading.images[0].pixels[:, :, 2]).all()
    assert split(reading.images)[1] == (reading.images[2],)


def test_the_field_mask_is_of_other_ground_than_the_scene_beside_it() -> None:
    folder = data_folder("scenes", "ftw_sentinel2")
    reading = read_raster_mask(
        folder / "mask.tif",
        folder / "inference-img.tif",
        values=(1,),
        naming=Naming({"field": "field"}),
        bands=(3, 2, 1),
    )
    assert reading.images == ()
    assert list(reading.counts) == ["mask does not cover its image"]


def cars(tmp_path: Path, **changes: object) -> LabelledDataset:
    folder = tmp_path / "cars"
    folder.mkdir(exist_ok=True)
    (folder / "names").write_text("car\n")
    for name in ("b", "a"):
        Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(folder / f"{name}.png")
        # x 6..12 and 15..27, of which 15..20 and 20..27 fall into the two areas below.
        (folder / f"{name}.txt").write_text("0 0.15 0.5 0.1 0.5\n0 0.35 0.5 0.2 0.5\n")
    return write(tmp_path, {"cars": CARS | changes})[0]


def write(tmp_path: Path, content: object) -> tuple[LabelledDataset, ...]:
    file = tmp_path / "sets.yaml"
    file.write_text(yaml.safe_dump(content))
    return read_dataset_list(file, root=tmp_path)


def test_areas_cut_images_into_places_and_keep_what_is_well_visible(tmp_path: Path) -> None:
    areas = [
        {"name": "1", "x0": 0, "y0": 0, "x1": 20, "y1": 40},
        {"name": "2", "x0": 20, "y0": 0, "x1": 999, "y1": 30},
        {"name": "3", "x0": 70, "y0": 0, "x1": 90, "y1": 30},
    ]
    reading = read_labelled_dataset(cars(tmp_path, areas=areas))
    assert [image.name for image in reading.images] == ["a/1", "a/2", "b/1", "b/2"]
    assert np.allclose(reading.images[0].boxes, [[6, 10, 12, 30], [15, 10, 20, 30]])
    assert np.allclose(reading.images[1].boxes, [[0, 10, 7, 30]])
    assert reading.images[1].valid.shape == (30, 40)


def test_an_image_that_misses_objects_is_complete_in_nothing(tmp_path: Path) -> None:
    reading = read_labelled_dataset(cars(tmp_path, partial=["a"], absent=["ship"]))
    assert [image.complete for image in reading.images] == [(), ("car",)]
    assert [image.absent for image in reading.images] == [("ship",), ("ship",)]


def test_every_third_place_validates_whatever_is_known_of_it(tmp_path: Path) -> None:
    (one, *_) = read_labelled_dataset(cars(tmp_path)).images
    named = [replace(one, name=name, place=name, complete=()) for name in "abcdef"]
    assert [image.name for image in split(named)[1]] == ["c", "f"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"colour": 1}, "cars: unknown key colour: one of"),
        ({"scale": "big"}, "cars.scale: needs a number, not 'big'"),
        ({"scale": 0}, "cars: scale 0.0 must be above 0"),
        ({"format": "csv"}, "cars: format 'csv' is not one of voc, coco"),
        ({"bands": [1, "2"]}, "cars.bands: needs a list of int"),
        ({"place": "("}, "is not a regular expression"),
        ({"absent": ["car"]}, "cannot be both labelled and absent"),
        ({"areas": [{"name": "1", "x0": 5}]}, "cars.areas.0: x1 is missing"),
        ({"areas": [{"name": "1", "x0": 5, "y0": 0, "x1": 5, "y1": 9}]}, "area 1: 5,0,5,9 is not an area"),
        ({"kinds": ["car"]}, "cars.kinds: needs a mapping"),
    ],
)
def test_a_wrong_file_of_sets_is_refused_in_a_sentence(
    tmp_path: Path, change: dict[str, object], sentence: str
) -> None:
    with pytest.raises(RecipeError, match=r"sets\.yaml: ") as caught:
        write(tmp_path, {"cars": CARS | change})
    assert sentence in str(caught.value)


@pytest.mark.parametrize("content", [None, [], {"cars": 1}, {"cars": {"format": "yolo"}}])
def test_a_file_without_sets_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(RecipeError, match=r"sets\.yaml"):
        write(tmp_path, content)
    with pytest.raises(RecipeError, match="cannot be read as YAML"):
        read_dataset_list(tmp_path / "none.yaml", root=tmp_path)


def test_a_folder_that_is_not_the_dataset_is_refused_naming_the_missing_file(tmp_path: Path) -> None:
    real = cars(tmp_path)
    assert real.root == tmp_path / "cars"
    for change, sentence in (
        ({"root": tmp_path / "none"}, "there is no folder"),
        ({"images": "*.jpg"}, r"no images '\*\.jpg'"),
        ({"labels": "aerial.names"}, r"no names of classes 'aerial\.names'"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            read_labelled_dataset(replace(real, **change))
    with pytest.raises(DatasetError, match="is not an area"):
        ImageArea("a", 3, 0, 2, 1)
