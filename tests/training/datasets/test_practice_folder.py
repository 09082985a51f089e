"""Tiles of a practice folder hold what is known of the scene they were cut from, in the words of training."""

import json
import pickle
import shutil
from itertools import groupby

import geopandas as gpd
import numpy as np
import pytest

from reasoner.profiles import profile_named
from reasoner.query import Task
from training.data.classes import CATALOGUE
from training.data.tiles import NAMES, cut
from training.datasets.options import Choices, Phrasing
from training.datasets.practice_folder import read_practice_folder
from training.errors import DatasetError
from training.scenery.pool import scene_raster
from training.scenery.practice import _scene_seed, write_practice
from training.scenery.world import draw_scene
from training.sft.sequences import caption_turn, count_turn, locate_turn

CLASSES = {each.name: each for each in CATALOGUE}

SIZE = 320


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("practice")
    write_practice(str(out), scenes=3, size_px=SIZE, seed=3)
    return out


@pytest.fixture(scope="module")
def drawn():
    """The same scenes, as they were before they were written."""
    return [scene_raster(draw_scene(SIZE, seed=_scene_seed(3, number))) for number in range(3)]


def by_tile(examples):
    return [(picture, list(group)) for picture, group in groupby(examples, key=lambda e: e.picture)]


def test_tiles_hold_exactly_the_pieces_of_the_scene_that_was_drawn(folder, drawn):
    reading = read_practice_folder(folder, split="test")
    assert reading.problems == ()
    tiles = by_tile(reading.examples)
    assert len(tiles) == 27
    for picture, examples in tiles:
        scene = drawn[int(picture.scene.scene_id[-4:])]
        truth = cut(scene, x0=picture.x0, y0=picture.y0, tile_px=128)
        np.testing.assert_array_equal(picture.pixels(), truth.pixels)
        located = {e.class_name: e for e in examples if e.query.task is Task.LOCATE}
        assert {NAMES[class_name] for class_name in truth.classes} == {
            k for k, e in located.items() if len(e.boxes)
        }
        for class_name, example in located.items():
            numbers = np.flatnonzero(truth.classes == NAMES.index(class_name))
            np.testing.assert_array_equal(example.boxes, truth.boxes[numbers])
            np.testing.assert_array_equal(
                example.shapes.masks(), truth.pieces == (numbers + 1)[:, None, None]
            )
            assert example.query.text in CLASSES[class_name].wordings


def test_present_and_absent_classes_are_in_balance(folder):
    examples = read_practice_folder(folder, split="test").examples
    for _, tile in by_tile(examples):
        there = [len(e.boxes) > 0 for e in tile if e.query.task is Task.LOCATE]
        assert there.count(False) == max(1, there.count(True))
        assert [e.query.task for e in tile if e.query.task is not Task.LOCATE] == [Task.CAPTION, Task.VQA]
    assert len({e.id for e in examples}) == len(examples)


def test_prompts_and_answers_are_the_ones_models_are_trained_on(folder, drawn):
    profile = profile_named("nano")
    for picture, examples in by_tile(read_practice_folder(folder, split="test").examples):
        scene = drawn[int(picture.scene.scene_id[-4:])]
        truth = cut(scene, x0=picture.x0, y0=picture.y0, tile_px=128)
        for example in examples:
            number = NAMES.index(example.class_name) if example.class_name else -1
            turn = {
                Task.LOCATE: lambda e=example: locate_turn(CLASSES[e.class_name], e.boxes, e.query.text),
                Task.CAPTION: lambda t=truth: caption_turn(t),
                Task.VQA: lambda t=truth, n=number: count_turn(t, n),
            }[example.query.task]()
            (user,) = profile.messages(example.query)
            assert turn.prompt == user["content"][-1]["text"]
            assert f"<answer> {example.text} </answer>" in turn.answer or example.query.task is Task.LOCATE


def test_splits_share_scenes_by_place_and_random_tiles_follow_the_seed(folder):
    places = {
        split: {e.place for e in read_practice_folder(folder, split=split).examples}
        for split in ("train", "val", "test")
    }
    assert places["train"] == {"scene-0000", "scene-0001"}
    assert places["val"] == {"scene-0002"}
    assert places["test"] == places["train"] | places["val"]
    choices = Choices(tiles=5, tile_px=64, phrasing=Phrasing.HELD_OUT, tasks=(Task.LOCATE,))
    one, two, three = (
        read_practice_folder(folder, split="test", choices=choices, seed=seed).examples for seed in (4, 4, 5)
    )
    assert [(e.id, e.query) for e in one] == [(e.id, e.query) for e in two]
    assert {e.picture for e in one} != {e.picture for e in three}
    assert len({e.picture for e in one}) == 5
    assert all(e.query.text in CLASSES[e.class_name].held_out for e in one)
    assert len(read_practice_folder(folder, split="test", limit=9, seed=1).examples) == 9


def test_examples_survive_pickling(folder):
    examples = read_practice_folder(folder, split="val").examples
    data = pickle.dumps(examples)
    assert len(data) < 1500 * len(examples)
    for one, two in zip(examples, pickle.loads(data), strict=True):
        np.testing.assert_array_equal(one.picture.pixels(), two.picture.pixels())
        if one.shapes is not None:
            np.testing.assert_array_equal(one.shapes.masks(), two.shapes.masks())


def test_a_scene_smaller_than_a_tile_is_asked_whole(folder, drawn):
    choices = Choices(tile_px=400, tasks=(Task.LOCATE,))
    examples = read_practice_folder(folder, split="val", choices=choices).examples
    pixels = examples[0].picture.pixels()
    assert pixels.shape == (400, 400, 3)
    np.testing.assert_array_equal(pixels[:SIZE, :SIZE], drawn[2].pixels)
    assert not pixels[SIZE:].any()
    assert max(e.boxes.max(initial=0) for e in examples) <= SIZE


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def test_damage_is_named(copy):
    table = gpd.read_parquet(copy / "truth.parquet")
    rows = table.index[table["scene_id"] == "scene-0000"]
    table.loc[rows[0], "kind"] = "castle"
    table.loc[rows[1], "geometry"] = None
    table.to_parquet(copy / "truth.parquet")
    (copy / "scenes" / "scene-0001.tif").write_bytes(b"no scene")
    (copy / "scenes" / "scene-0002.tif").unlink()
    reading = read_practice_folder(copy, split="test")
    assert reading.counts == {
        "a scene with truth is not there": 1,
        "the scene cannot be opened": 1,
        "a kind without questions": 1,
        "an object without a polygon": 1,
    }
    assert {e.place for e in reading.examples} == {"scene-0000"}


def test_a_scene_cut_short_loses_tiles_by_name_only(copy):
    path = copy / "scenes" / "scene-0000.tif"
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    reading = read_practice_folder(copy, split="test")
    lost = [problem for problem in reading.problems if problem.file == str(path)]
    assert {problem.what for problem in lost} <= {"the tile cannot be read", "the scene cannot be opened"}
    assert lost
    assert {e.place for e in reading.examples} >= {"scene-0001", "scene-0002"}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"tank": {"ask": "where?"}}', '{"tank": {"ask": [""]}}'])
def test_questions_that_are_none_are_sentences(copy, text):
    (copy / "questions.json").write_text(text)
    with pytest.raises(DatasetError, match=r"questions\.json"):
        read_practice_folder(copy, split="test")


def test_a_folder_too_small_for_a_validation_split_says_so(copy):
    for number in (1, 2):
        (copy / "scenes" / f"scene-000{number}.tif").unlink()
    with pytest.raises(DatasetError, match="ask for `test`"):
        read_practice_folder(copy, split="val")
    questions = json.loads((copy / "questions.json").read_text())
    (copy / "questions.json").write_text(json.dumps({"tank": questions["tank"]}))
    classes = {e.class_name for e in read_practice_folder(copy, split="train").examples}
    assert classes == {"tank", ""}


def test_tiles_without_data_are_named(tmp_path):
    write_practice(str(tmp_path), scenes=1, size_px=256, seed=8, nodata_collar=True)
    scene = draw_scene(256, seed=_scene_seed(8, 0), nodata_collar=True)
    empty = ~scene.valid.reshape(16, 16, 16, 16).any(axis=(1, 3))
    choices = Choices(tile_px=16, tasks=(Task.CAPTION,))
    reading = read_practice_folder(tmp_path, split="test", choices=choices)
    assert 0 < empty.sum() == reading.counts["the tile holds no data"]
    assert len(reading.examples) == 256 - empty.sum() == 256 - len(reading.problems)
