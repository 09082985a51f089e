"""RRSIS-D folders give one example a sentence with the mask that was put in, and name what is broken."""

import json
import pickle

import numpy as np
import pytest
import shapely
from PIL import Image

from tests.training.datasets.test_rle import runs_of, string_of
from training.datasets.options import Choices, TargetSplit
from training.datasets.rrsisd import IMAGES, INSTANCES, REFS, read_rrsisd
from training.errors import DatasetError

SIZE = (30, 50)
SQUARE = [[4, 5, 20, 5, 20, 25, 4, 25]]


def mask(x0, y0, x1, y1):
    array = np.zeros(SIZE, bool)
    array[y0:y1, x0:x1] = True
    return array


def runs(array, *, packed=True):
    counts = string_of(runs_of(array)) if packed else runs_of(array)
    return {"size": list(array.shape), "counts": counts}


def ref(number, *, split="test", sentences=("the ship", "a vessel"), **other):
    listed = [{"raw": text, "sent": text.lower(), "sent_id": i} for i, text in enumerate(sentences)]
    given = {"ref_id": number, "ann_id": number, "image_id": 1, "split": split, "sentences": listed}
    return {**given, **other}


def annotation(number, segmentation, **other):
    return {"id": number, "image_id": 1, "category_id": 7, "segmentation": segmentation, **other}


def write(root, refs, annotations, **other):
    (root / "rrsisd").mkdir(exist_ok=True)
    (root / IMAGES).mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    for name in ("00001.jpg", "00002.jpg"):
        Image.fromarray(pixels).save(root / IMAGES / name)
    (root / REFS).write_bytes(pickle.dumps(refs, protocol=2))
    images = [{"id": 1, "file_name": "00001.jpg", "height": SIZE[0], "width": SIZE[1]}]
    data = {"images": images, "annotations": annotations, "categories": [{"id": 7, "name": "ship"}], **other}
    (root / INSTANCES).write_text(json.dumps(data))
    return root


def test_every_way_to_write_a_mask_gives_the_mask(tmp_path):
    wanted = mask(4, 5, 20, 25)
    ways = [runs(wanted), [runs(wanted)], runs(wanted, packed=False), SQUARE,
            [runs(mask(4, 5, 10, 25)), runs(mask(10, 5, 20, 25), packed=False)]]  # fmt: skip
    annotations = [annotation(n, way, bbox=[4, 5, 16, 20]) for n, way in enumerate(ways)]
    root = write(tmp_path, [ref(np.int64(n), ann_id=n) for n in range(len(ways))], annotations)
    reading = read_rrsisd(root, split="test")
    assert reading.problems == ()
    assert [e.id for e in reading.examples][:3] == ["test/0#0", "test/0#1", "test/1#0"]
    assert {e.query.text for e in reading.examples} == {"the ship", "a vessel"}
    assert {(e.class_name, e.place, e.size) for e in reading.examples} == {("ship", "00001", SIZE)}
    for example in pickle.loads(pickle.dumps(reading.examples)):
        assert example.boxes.tolist() == [[4, 5, 20, 25]]
        np.testing.assert_array_equal(example.shapes.masks(), wanted[None])
        assert example.picture.pixels().shape == (*SIZE, 3)


def test_polygons_are_clipped_and_split_into_patches(tmp_path):
    slanted = shapely.Polygon([(-5, -3), (12.2, 1.1), (9.7, 8.9)])
    rings = [list(np.ravel(slanted.exterior.coords[:-1])), [30, 20, 60, 20, 60, 40, 30, 40]]
    root = write(tmp_path, [ref(1, sentences=["both"])], [annotation(1, rings)])
    (example,) = read_rrsisd(root, split="test", choices=Choices(parts=TargetSplit.COMPONENTS)).examples
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inside = shapely.contains_xy(slanted, columns, rows)
    np.testing.assert_array_equal(example.shapes.masks(), np.stack([inside, mask(30, 20, 50, 30)]))
    assert example.boxes.tolist()[1] == [30, 20, 50, 30]


def test_splits_are_kept_apart(tmp_path):
    refs = [ref(1), ref(2, split="train"), ref(3, split="val")]
    root = write(tmp_path, refs, [annotation(n, SQUARE) for n in (1, 2, 3)])
    ids = [[e.id for e in read_rrsisd(root, split=split).examples] for split in ("train", "val", "test")]
    assert ids == [["train/2#0", "train/2#1"], ["val/3#0", "val/3#1"], ["test/1#0", "test/1#1"]]


def broken():
    """Annotations and refs, numbered alike, and what each is to be called."""
    good, other = runs(mask(1, 1, 5, 5)), np.zeros((50, 30), bool)
    cases = [
        ({"segmentation": [runs(other)]}, {}, "the mask is of another size than the image"),
        ({"segmentation": [{"size": list(SIZE), "counts": "01"}]}, {}, "the segmentation cannot be decoded"),
        (
            {"segmentation": [{"size": list(SIZE), "counts": [3, 4]}]},
            {},
            "the segmentation cannot be decoded",
        ),
        ({"segmentation": [{"size": list(SIZE)}]}, {}, "the segmentation cannot be decoded"),
        ({"segmentation": []}, {}, "no segmentation"),
        ({"segmentation": "x"}, {}, "the segmentation is neither run lengths nor polygons"),
        ({"segmentation": [[1, 2, 3, 4]]}, {}, "a polygon is not made of three or more points"),
        ({"segmentation": [[1, 2, 3, "x", 5, 6]]}, {}, "a polygon is not made of three or more points"),
        ({"segmentation": [[1, 2, 3, 1e300, 5, 6]]}, {}, "a polygon is not made of three or more points"),
        ({"segmentation": [[90, 2, 95, 2, 95, 9]]}, {}, "a polygon lies outside of the image"),
        ({"image_id": 2}, {}, "reference and annotation name different images"),
        ({}, {"ann_id": 999}, "its annotation is not there"),
        ({}, {"ann_id": [1]}, "its annotation is not there"),
        ({"image_id": 99}, {"image_id": 99}, "its image record is not there"),
        ({"image_id": 3}, {"image_id": 3}, "no image"),
        ({"image_id": 4}, {"image_id": 4}, "the file name of an image is not a plain name"),
        ({"image_id": 5}, {"image_id": 5}, "the image is of another size than its record says"),
        ({}, {"sentences": []}, "a reference without sentences"),
        ({}, {"sentences": [{"raw": " "}]}, "the question is empty"),
        ({}, {"sentences": ["bare"]}, "the question is not a text"),
        ({}, {"split": None}, "a reference without id or split"),
    ]
    images = [
        {"id": 1, "file_name": "00001.jpg", "height": SIZE[0], "width": SIZE[1]},
        {"id": 3, "file_name": "gone.jpg", "height": SIZE[0], "width": SIZE[1]},
        {"id": 4, "file_name": "../secret.jpg", "height": SIZE[0], "width": SIZE[1]},
        {"id": 5, "file_name": "00002.jpg", "height": 800, "width": 800},
    ]
    annotations = [{**annotation(n, [good]), **case[0]} for n, case in enumerate(cases, start=1)]
    refs = [{**ref(n, sentences=["the ship"]), **case[1]} for n, case in enumerate(cases, start=1)]
    return refs, annotations, images, [case[2] for case in cases]


def test_everything_broken_is_named(tmp_path):
    refs, annotations, images, names = broken()
    root = write(tmp_path, refs, annotations, images=images)
    reading = read_rrsisd(root, split="test")
    assert reading.examples == ()
    named = {problem.where: problem.what for problem in reading.problems}
    assert named == {f"ref {number}": name for number, name in enumerate(names, start=1)}


def test_what_is_doubtful_stays_and_is_counted(tmp_path):
    refs = [ref(n, sentences=["it"]) for n in (1, 2, 3, 4)] + [ref(1), "no dict", {"ref_id": {}}]
    good = runs(mask(1, 1, 5, 5))
    annotations = [
        annotation(1, good, bbox=[1, 1, 4, 4]),
        annotation(2, good, bbox=[40, 20, 30, 30]),
        annotation(3, runs(mask(0, 0, 0, 0))),
        annotation(4, good, bbox="1 2 3 4"),
        annotation(4, SQUARE),
        {"image_id": 1},
    ]
    reading = read_rrsisd(write(tmp_path, refs, annotations), split="test")
    assert [e.boxes.tolist() for e in reading.examples] == [
        [[1, 1, 5, 5]],
        [[1, 1, 5, 5]],
        [],
        [[1, 1, 5, 5]],
    ]
    assert reading.counts == {
        "the box is out of range: the mask's is taken": 1,
        "the mask is empty: taken as no target": 1,
        "the box is not a box: the mask's is taken": 1,
        "annotation stands twice: the first is kept": 1,
        "annotation without id": 1,
        "a reference's id stands twice: the first is kept": 1,
        "a reference without id or split": 2,
    }


def test_files_that_are_no_such_files_are_sentences(tmp_path):
    root = write(tmp_path, {"not": "a list"}, [annotation(1, SQUARE)])
    with pytest.raises(DatasetError, match="holds a dict"):
        read_rrsisd(root, split="test")
    write(tmp_path, [], [])
    with pytest.raises(DatasetError, match="no list `annotations`"):
        read_rrsisd(root, split="test")
    (root / INSTANCES).write_text("{")
    with pytest.raises(DatasetError, match="is not JSON"):
        read_rrsisd(root, split="test")


class Evil:
    def __reduce__(self):
        return eval, ("open('ran', 'w')",)


def test_a_pickle_that_would_run_something_is_refused_unrun(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path, [ref(1, sentences=["it"]), Evil()], [annotation(1, SQUARE)])
    with pytest.raises(DatasetError, match="eval"):
        read_rrsisd(root, split="test")
    assert not (tmp_path / "ran").exists()
