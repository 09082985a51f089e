"""RefSegRS and RISBench folders give the phrases and masks that were put in, and name what is broken."""

import pickle

import numpy as np
import pytest
from PIL import Image

from training.datasets.options import Choices, TargetSplit
from training.datasets.refsegrs_risbench import REFSEGRS, RISBENCH, read_phrases

SIZE = (32, 48)


def save(folder, name, array):
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(folder / name)


def image(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def mask(x0, y0, x1, y1):
    array = np.zeros(SIZE, np.uint8)
    array[y0:y1, x0:x1] = 255
    return array


@pytest.fixture
def refsegrs(tmp_path):
    for number in (1, 2, 3):
        save(tmp_path / "images", f"{number}.tif", image(number))
    save(tmp_path / "masks", "1.tif", mask(4, 5, 20, 21))
    red = np.dstack([mask(30, 2, 48, 9), mask(0, 0, 0, 0), mask(0, 0, 0, 0)])
    save(tmp_path / "masks", "2.tif", red)
    save(tmp_path / "masks", "3.tif", mask(0, 0, 0, 0))
    lines = b"1 vehicle on the road\n2  road marking \r\n\n3 a bus\n1 impervious surface\n"
    (tmp_path / "output_phrase_test.txt").write_bytes(lines)
    return tmp_path


def test_refsegrs_lines_become_examples(refsegrs):
    reading = read_phrases(refsegrs, REFSEGRS, split="test")
    examples = reading.examples
    assert [e.id for e in examples] == ["test/1", "test/2", "test/4", "test/5"]
    assert [e.place for e in examples] == ["1", "2", "3", "1"]
    assert [e.query.text for e in examples] == [
        "vehicle on the road", "road marking", "a bus", "impervious surface",
    ]  # fmt: skip
    boxes = [[[4, 5, 20, 21]], [[30, 2, 48, 9]], [], [[4, 5, 20, 21]]]
    assert [e.boxes.tolist() for e in examples] == boxes
    assert [e.shapes.masks().sum() for e in examples] == [256, 18 * 7, 0, 256]
    assert [(p.where, p.what) for p in reading.problems] == [
        ("line 4", "the mask is empty: taken as no target")
    ]
    again = pickle.loads(pickle.dumps(examples))
    np.testing.assert_array_equal(again[1].picture.pixels(), image(2))


def test_everything_broken_is_named(refsegrs):
    save(refsegrs / "images", "4.tif", image())
    save(refsegrs / "images", "5.tif", image())
    save(refsegrs / "masks", "5.tif", mask(0, 0, 5, 5).T.copy())
    save(refsegrs / "images", "6.tif", image())
    (refsegrs / "masks" / "6.tif").write_bytes((refsegrs / "masks" / "1.tif").read_bytes()[:200])
    (refsegrs / "images" / "7.tif").write_bytes((refsegrs / "images" / "1.tif").read_bytes()[:2000])
    save(refsegrs / "masks", "7.tif", mask(1, 1, 9, 9))
    lines = b"1\n4 no mask\n5 turned\n6 cut mask\n7 cut image\n8 no image\n../masks/1 outside\n1 caf\xe9\n"
    (refsegrs / "output_phrase_val.txt").write_bytes(b"\xef\xbb\xbf" + lines)
    reading = read_phrases(refsegrs, REFSEGRS, split="val")
    assert sorted((p.where, p.what) for p in reading.problems) == [
        ("line 1", "no phrase"),
        ("line 2", "no mask"),
        ("line 3", "the mask is of another size than the image"),
        ("line 4", "the mask cannot be decoded"),
        ("line 5", "the image cannot be decoded"),
        ("line 6", "no image"),
        ("line 7", "no image"),
        ("line 8", "not UTF-8: characters replaced"),
    ]
    assert [e.id for e in reading.examples] == ["val/8"]


def test_risbench_finds_files_by_stem_and_knows_shared_ground(tmp_path):
    save(tmp_path / "img_rgb", "train_528_0.png", image(1))
    save(tmp_path / "img_rgb", "train_528_3.png", image(1))
    save(tmp_path / "img_rgb", "train_529_0.jpg", image(2))
    save(tmp_path / "img_rgb", "v1.2_0.png", image(2))
    save(tmp_path / "mask", "train_528_0.png", mask(1, 2, 3, 4))
    save(tmp_path / "mask", "train_528_3.tif", mask(10, 10, 12, 20))
    noisy = np.maximum(mask(8, 8, 24, 24), np.random.default_rng(0).integers(0, 60, SIZE, dtype=np.uint8))
    save(tmp_path / "mask", "train_529_0.jpg", noisy)
    save(tmp_path / "mask", "v1.2_0.png", mask(1, 2, 3, 4))
    text = "train_528_0.png the ship\ntrain_528_3.tif a pier\ntrain_529_0 the field\nv1.2_0 dotted\n"
    (tmp_path / "output_phrase_val.txt").write_text(text)
    save(tmp_path / "img_rgb", "train_530_0.png", image(1))
    save(tmp_path / "img_rgb", "train_530_0.jpg", image(1))
    with (tmp_path / "output_phrase_val.txt").open("a") as file:
        file.write("train_530_0 which of the two")
    reading = read_phrases(tmp_path, RISBENCH, split="val")
    assert [e.place for e in reading.examples] == ["train_528", "train_528", "train_529", "v1.2"]
    boxes = [e.boxes.tolist() for e in reading.examples]
    assert boxes == [[[1, 2, 3, 4]], [[10, 10, 12, 20]], [[8, 8, 24, 24]], [[1, 2, 3, 4]]]
    assert [(p.where, p.what) for p in reading.problems] == [("line 5", "several images of one name")]


def test_masks_of_ones_and_patches(tmp_path):
    save(tmp_path / "images", "1.tif", image())
    two = (mask(1, 1, 5, 5) | mask(20, 1, 30, 5)) // 255
    save(tmp_path / "masks", "1.tif", two)
    (tmp_path / "output_phrase_train.txt").write_text("1 both")
    (whole,) = read_phrases(tmp_path, REFSEGRS, split="train").examples
    (parts,) = read_phrases(
        tmp_path, REFSEGRS, split="train", choices=Choices(parts=TargetSplit.COMPONENTS)
    ).examples
    assert whole.boxes.tolist() == [[1, 1, 30, 5]]
    assert parts.boxes.tolist() == [[1, 1, 5, 5], [20, 1, 30, 5]]
    assert parts.shapes.masks().sum(axis=(1, 2)).tolist() == [16, 40]
