"""Every label format gives the true boxes; what cannot be used is counted by name, never dropped unsaid."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from training.errors import DatasetError
from training.labels.class_names import Naming
from training.labels.coco import read_coco
from training.labels.labelled_image import LabelReading
from training.labels.points import read_points
from training.labels.voc import read_voc
from training.labels.yolo import read_yolo

WIDTH, HEIGHT = 60, 40

SHIPS = Naming({"ship": "ship"})


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "one.png"
    Image.fromarray(np.full((HEIGHT, WIDTH, 3), 90, np.uint8)).save(path)
    return path


def voc(name: str, *objects: tuple[str, object, object, object, object], width: int = WIDTH) -> str:
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin>"
        f"<xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in objects
    )
    size = f"<size><width>{width}</width><height>{HEIGHT}</height></size>"
    return f"<annotation><filename>{name}</filename>{size}{objects}</annotation>"


def read_one_voc(tmp_path: Path, text: str, images: Mapping[str, Path]) -> LabelReading:
    file = tmp_path / "one.xml"
    file.write_text(text)
    return read_voc([file], images, naming=Naming({"tree": "tree"}))


def test_voc_boxes_are_kept_and_bent_names_mended_and_counted(tmp_path: Path, picture: Path) -> None:
    text = voc(
        "one.png",
        ("Tree", 1, 2, 11, 12),
        ("Tree\\", 5, 5, 15, 20),
        ("", 20, 20, 30, 30),
        ("bush", 20, 20, 30, 30),
        ("Tree", "nan", 2, 3, 4),
        ("Tree", "x", 2, 3, 4),
        ("Tree", 9, 2, 9, 4),
        ("Tree", 70, 2, 90, 4),
        ("Tree", 50, 30, 61, 41),
        ("Tree", 50, 30, 90, 40),
    )
    reading = read_one_voc(tmp_path, text, {"one.png": picture})
    (image,) = reading.images
    assert image.boxes.tolist() == [
        [1, 2, 11, 12],
        [5, 5, 15, 20],
        [20, 20, 30, 30],
        [50, 30, 60, 40],
        [50, 30, 60, 40],
    ]
    assert set(image.classes) == {"tree"}
    assert dict(reading.counts) == {
        "label 'Tree\\\\' mended to tree": 1,
        "label without a name, taken as tree": 1,
        "label 'bush' is not among tree": 1,
        "box is not four finite numbers": 2,
        "box without area": 1,
        "box outside of its image": 1,
        "box reaches past its image, clipped": 1,
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("<annotation><object>", "annotation is not XML"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>', "annotation is too large or defines entities"),
        (voc("two.png").replace("two.png", "two.png"), "image is not there"),
        (voc("one.png", width=61), "image is not of the declared size"),
        (voc("text.png"), "image cannot be read"),
    ],
)
def test_a_broken_voc_file_is_a_problem_and_no_image(
    tmp_path: Path, picture: Path, text: str, what: str
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    images = {"one.png": picture, "text.png": tmp_path / "text.png"}
    file = tmp_path / "other.xml"
    file.write_text(text)
    reading = read_voc([file], images, naming=Naming({"tree": "tree"}))
    assert reading.images == ()
    assert list(reading.counts) == [what]


def test_yolo_lines_become_pixels_and_classes_are_merged(tmp_path: Path, picture: Path) -> None:
    (tmp_path / "names").write_text("car\nbus\ncyclist\n")
    picture.with_suffix(".txt").write_text(
        "0 0.5 0.5 0.1 0.2\n1 0.25 0.25 0.5 0.5\n\n2 0.5 0.5 0.1 0.1\n7 0 0 1 1\n1 a\n"
    )
    naming = Naming({"car": "car", "bus": "car", "cyclist": ""})
    reading = read_yolo([picture], tmp_path / "names", naming=naming)
    (image,) = reading.images
    assert np.allclose(image.boxes, [[27, 16, 33, 24], [0, 0, 30, 20]])
    assert image.classes == ("car", "car")
    assert image.complete == ("car",)
    assert dict(reading.counts) == {
        "label 'cyclist' left out on purpose": 1,
        "class has no name": 1,
        "line is not a class and four shares": 1,
    }
    with pytest.raises(DatasetError, match="names of the classes"):
        read_yolo([picture], tmp_path / "none", naming=naming)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet="0123 .-+naifx\n", max_size=80))
def test_any_yolo_text_gives_boxes_within_the_image(tmp_path: Path, picture: Path, text: str) -> None:
    (tmp_path / "names").write_text("car\n")
    picture.with_suffix(".txt").write_text(text)
    reading = read_yolo([picture], tmp_path / "names", naming=Naming({"car": "car"}))
    lines = sum(1 for line in text.splitlines() if line.strip())
    (image,) = reading.images
    lost = [p for p in reading.problems if "clipped" not in p.what]
    assert len(image.boxes) + len(lost) == lines
    assert (image.boxes >= 0).all()
    assert (image.boxes <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()


def test_points_become_boxes_of_the_size_given(tmp_path: Path, picture: Path) -> None:
    good, bad, lost = (tmp_path / f"{stem}.csv" for stem in ("one", "bad", "lost"))
    good.write_text("x,y\n20,10\n2,38\n100,3\na,b\n,\n")
    bad.write_text("a,b\n1,2\n")
    lost.write_text("x,y\n1,2\n")
    reading = read_points(
        [good, bad, lost], {"one": picture, "bad": picture}, size_px=10, naming=Naming({"tree": "tree"})
    )
    (image,) = reading.images
    assert image.boxes.tolist() == [[15, 5, 25, 15], [0, 33, 7, 40]]
    assert dict(reading.counts) == {
        "point outside of its image": 1,
        "point is not two numbers": 2,
        "file is not a CSV of x,y": 1,
        "image is not there": 1,
    }
    with pytest.raises(DatasetError, match="size above 0"):
        read_points([good], {}, size_px=0, naming=Naming({"tree": "tree"}))


def runs(x0: int, y0: int, x1: int, y1: int) -> list[int]:
    """COCO's plain counts of a box, made by walking down the columns."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y0:y1, x0:x1] = True
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if bool(pixel) != value:
            counts.append(0)
            value = bool(pixel)
        counts[-1] += 1
    return counts


def nothing(_: str) -> None:
    """No image at all."""


def coco(tmp_path: Path, annotations: object, **changes: object) -> Path:
    content = {
        "images": [{"id": "3", "width": WIDTH, "height": str(HEIGHT), "file_name": "one.png"}],
        "categories": [{"id": 1, "name": "ship"}],
        "annotations": annotations,
    }
    file = tmp_path / "coco.json"
    file.write_text(json.dumps(content | changes))
    return file


def test_coco_masks_boxes_and_polygons_are_read_and_every_bend_is_counted(
    tmp_path: Path, picture: Path
) -> None:
    mask = {"counts": runs(10, 5, 18, 12), "size": [HEIGHT, WIDTH]}
    base = {"image_id": 3, "category_id": "1"}
    annotations = [
        {**base, "id": 1, "segmentation": mask, "bbox": [10, 5, 8, 7]},
        {**base, "id": 2, "segmentation": str(mask), "bbox": "[30.0, 5, 8, 7]", "iscrowd": 1},
        {**base, "id": 3, "segmentation": [[20, 20, 30, 20, 30, 32]], "bbox": [20, 20, 10, 12]},
        {**base, "id": 4, "segmentation": [], "bbox": [1, 2, 3, 4]},
        {**base, "id": 5, "segmentation": {"counts": [3, 4], "size": [HEIGHT, WIDTH]}},
        {**base, "id": 6, "segmentation": {"counts": [6], "size": [2, 3]}},
        {**base, "id": 7, "segmentation": {"counts": [HEIGHT * WIDTH], "size": [HEIGHT, WIDTH]}},
        {**base, "id": 8, "bbox": [5, 5, 0, 4]},
        {**base, "id": 9, "category_id": 2, "bbox": [1, 2, 3, 4]},
        {**base, "id": 10, "image_id": 77, "bbox": [1, 2, 3, 4]},
        {**base, "id": 11, "segmentation": "{'counts': __import__('os')}"},
    ]
    reading = read_coco(coco(tmp_path, annotations), {"one.png": picture}.get, naming=SHIPS)
    (image,) = reading.images
    assert image.boxes.tolist() == [[10, 5, 18, 12], [10, 5, 18, 12], [20, 20, 30, 32], [1, 2, 4, 6]]
    assert [outline is not None for outline in image.outlines] == [True, True, True, False]
    traced = image.outlines[0]
    assert traced is not None
    assert traced.symmetric_difference(shapely.box(10, 5, 18, 12)).area < 4
    assert image.outlines[2] == shapely.Polygon([(20, 20), (30, 20), (30, 32)])
    assert dict(reading.counts) == {
        "annotation of an image that is not listed": 1,
        "value written as text, taken apart": 2,
        "marked as a crowd, taken as one object": 1,
        "box and mask disagree, mask taken": 1,
        "mask cannot be decoded": 1,
        "mask is not of its image's size": 1,
        "mask is empty": 1,
        "neither box nor mask": 4,
        "box without area": 1,
        "category is not listed": 1,
        "value written as text cannot be taken apart": 1,
    }


def test_a_coco_image_that_is_missing_or_of_another_size_is_a_problem(tmp_path: Path, picture: Path) -> None:
    images = [
        {"id": 1, "width": WIDTH, "height": HEIGHT, "file_name": "none.png"},
        {"id": 2, "width": 5, "height": 5, "file_name": "one.png"},
    ]
    reading = read_coco(coco(tmp_path, [], images=images), {"one.png": picture}.get, naming=SHIPS)
    assert reading.images == ()
    assert list(reading.counts) == ["image is not there", "image is not of the declared size"]


@pytest.mark.parametrize(
    "text", ["", "[1]", '{"images": []}', '{"images": 1, "categories": [], "annotations": []}']
)
def test_a_file_that_is_not_coco_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "coco.json"
    file.write_text(text)
    with pytest.raises(DatasetError, match=r"coco\.json"):
        read_coco(file, nothing, naming=SHIPS)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 3000)
    | st.floats()
    | st.text(alphabet="[]{}'0,:a", max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["counts", "size"]), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bbox=VALUES, segmentation=VALUES, crowd=VALUES)
def test_any_coco_values_give_boxes_within_the_image_or_a_problem(
    tmp_path: Path, picture: Path, bbox: object, segmentation: object, crowd: object
) -> None:
    annotation = {
        "image_id": 3,
        "category_id": 1,
        "bbox": bbox,
        "segmentation": segmentation,
        "iscrowd": crowd,
    }
    reading = read_coco(coco(tmp_path, [annotation]), {"one.png": picture}.get, naming=SHIPS)
    (image,) = reading.images
    assert len(image.boxes) or reading.problems
    assert (image.boxes >= 0).all()
    assert (image.boxes <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()


def test_a_naming_that_means_nothing_is_refused() -> None:
    with pytest.raises(DatasetError, match="not a regular expression"):
        Naming({"tree": "tree"}, place="(")
    with pytest.raises(DatasetError, match="needs a group"):
        Naming({"tree": "tree"}, place="x")
    with pytest.raises(DatasetError, match="an entry"):
        Naming({})
    with pytest.raises(DatasetError, match="both labelled and absent"):
        Naming({"tree": "tree"}, absent=("tree",))
    assert Naming({"a": "tree"}, place=r"^(.+)_\d{4}(_\d+)$").place_of("city_2016_4") == "city_4"
    assert Naming({"tree": "tree"}).class_of("TREE ") == ("tree", "")
    assert Naming({"a": "tree", "b": "car"}).class_of("") == (None, "label without a name")
