"""EarthReason folders give the questions, boxes and masks that were put in, and name what is broken."""

import json
import pickle

import numpy as np
import pytest
from PIL import Image

from training.datasets.earthreason import read_earthreason
from training.datasets.options import Choices, Questions, TargetSplit
from training.errors import DatasetError


def put(root, stem, *, split="val", suffix="jpg", mask=None, qa=None, size=(40, 60)):
    """One id; `mask` None or `qa` None leaves that file out."""
    folder = root / split
    for name in ("images", "labels", "QAs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(stem)).integers(0, 255, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "images" / f"{stem}.{suffix}")
    if mask is not None:
        Image.fromarray(mask).save(folder / "labels" / f"{stem}.png")
    if qa is not None:
        text = qa if isinstance(qa, str) else json.dumps(qa)
        (folder / "QAs" / f"{stem}.json").write_text(text, encoding="utf-8")
    return pixels


def mask_with(*boxes, size=(40, 60), value=255):
    mask = np.zeros(size, np.uint8)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = value
    return mask


TRAINING = {"questions": ["where is it?", "which place is it?"], "answer": ["there"]}
NONE = {"questions": ["where is nothing?"], "answer": []}


@pytest.fixture
def root(tmp_path):
    put(tmp_path, "10", mask=mask_with((5, 6, 20, 30), (40, 1, 60, 9), value=1), qa=TRAINING, suffix="png")
    put(tmp_path, "9", mask=np.dstack([mask_with((2, 3, 7, 11)), *[mask_with()] * 2]), qa=TRAINING)
    put(tmp_path, "11", mask=mask_with(), qa=NONE)
    return tmp_path


def test_boxes_are_the_masks_own_and_an_empty_target_stays(root):
    reading = read_earthreason(root, split="val")
    assert [example.id for example in reading.examples] == ["val/9#0", "val/10#0", "val/11#0"]
    assert [e.boxes.tolist() for e in reading.examples] == [[[2, 3, 7, 11]], [[5, 1, 60, 30]], []]
    assert [e.shapes.masks().shape for e in reading.examples] == [(1, 40, 60), (1, 40, 60), (0, 40, 60)]
    assert reading.examples[1].shapes.masks().sum() == 15 * 24 + 20 * 8
    assert [e.query.text for e in reading.examples] == ["where is it?", "where is it?", "where is nothing?"]
    assert reading.problems == ()


def test_all_questions_and_patches_can_be_asked_for(root):
    choices = Choices(questions=Questions.ALL, parts=TargetSplit.COMPONENTS)
    examples = read_earthreason(root, split="val", choices=choices).examples
    assert [e.id for e in examples] == ["val/9#0", "val/9#1", "val/10#0", "val/10#1", "val/11#0"]
    assert examples[2].boxes.tolist() == [[40, 1, 60, 9], [5, 6, 20, 30]]
    assert [mask.sum() for mask in examples[2].shapes.masks()] == [20 * 8, 15 * 24]
    assert {e.place for e in examples} == {"val/9", "val/10", "val/11"}


def test_pixels_and_masks_survive_pickling(root):
    pixels = put(root, "10", mask=mask_with((1, 1, 3, 3)), qa=TRAINING, suffix="png")
    (example,) = [e for e in read_earthreason(root, split="val").examples if "/10#" in e.id]
    again = pickle.loads(pickle.dumps(example))
    assert len(pickle.dumps(example)) < 2000
    np.testing.assert_array_equal(again.picture.pixels(), pixels)
    np.testing.assert_array_equal(again.shapes.masks()[0], mask_with((1, 1, 3, 3)) > 0)


def broken_ones(root):
    good = mask_with((1, 1, 9, 9))
    put(root, "b-size", mask=mask_with((1, 1, 9, 9), size=(60, 40)), qa=TRAINING)
    put(root, "b-label", qa=TRAINING)
    put(root, "b-qa", mask=good)
    put(root, "b-json", mask=good, qa='{"questions": ["wh')
    put(root, "b-list", mask=good, qa=["where?"])
    put(root, "b-none", mask=good, qa={"questions": [], "answer": []})
    put(root, "b-blank", mask=good, qa={"questions": ["  "], "answer": ["x"]})
    put(root, "b-number", mask=good, qa={"questions": [3], "answer": ["x"]})
    put(root, "b-twice", mask=good, qa=TRAINING)
    put(root, "b-twice", suffix="png", mask=good, qa=TRAINING)
    put(root, "b-cut", mask=good, qa=TRAINING, suffix="png")
    put(root, "b-dark", mask=good, qa=TRAINING)
    put(root, "b-gone", mask=good, qa=TRAINING)
    put(root, "b-says", mask=good, qa=NONE)
    put(root, "b-deep", mask=good, qa="[" * 100_000)
    images = root / "val" / "images"
    (images / "b-cut.png").write_bytes((images / "b-cut.png").read_bytes()[:-30])
    (images / "b-dark.jpg").write_bytes((images / "b-dark.jpg").read_bytes()[:400])
    (images / "b-gone.jpg").unlink()
    (images / "Thumbs.db").write_bytes(b"x")
    (images / ".b-hidden.jpg").write_bytes(b"x")
    (root / "val" / "labels" / "b-json2.png").write_bytes(b"no image")


def test_everything_broken_is_named_and_nothing_else_is_lost(root):
    broken_ones(root)
    reading = read_earthreason(root, split="val")
    named = {problem.where: problem.what for problem in reading.problems}
    assert named == {
        "Thumbs.db": "not an image file",
        "b-size": "the mask is of another size than the image",
        "b-label": "no mask",
        "b-qa": "no questions file",
        "b-json": "the questions file is not JSON",
        "b-deep": "the questions file is not JSON",
        "b-list": "the questions file holds no questions",
        "b-none": "the questions file holds no questions",
        "b-blank#0": "the question is empty",
        "b-number#0": "the question is not a text",
        "b-twice": "several images of one id",
        "b-cut": "the image cannot be decoded",
        "b-dark": "the image cannot be decoded",
        "b-gone": "no image",
        "b-json2": "no image",
        "b-says": "answer and mask disagree: the mask decides",
    }
    assert len(reading.problems) == len(named)
    assert [e.id for e in reading.examples] == ["val/b-says#0", "val/9#0", "val/10#0", "val/11#0"]
    assert reading.counts["no image"] == 2


def test_a_limit_draws_the_same_examples_for_the_same_seed(root):
    for number in range(20, 40):
        put(root, str(number), mask=mask_with((1, 1, 9, 9)), qa=TRAINING)
    choices = Choices(questions=Questions.ALL)
    drawn = [
        [e.id for e in read_earthreason(root, split="val", choices=choices, limit=7, seed=seed).examples]
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(drawn[0]) == 7
    numbers = [int(name.split("/")[1].split("#")[0]) for name in drawn[0]]
    assert numbers == sorted(numbers)
    with pytest.raises(DatasetError, match="limit is 0"):
        read_earthreason(root, split="val", limit=0)


def test_a_mask_that_vanished_since_is_a_sentence(root):
    example = read_earthreason(root, split="val").examples[0]
    (root / "val" / "labels" / "9.png").unlink()
    with pytest.raises(DatasetError, match="no mask"):
        example.shapes.masks()
