"""Claim: questions for reward training are balanced as asked, mean what is on the tile, repeat by the seed;
wordings taught by reward alone are never among those taught with answers."""

import numpy as np
import pytest

from training.data.classes import CATALOGUE, PRACTICE_CLASSES, UNIONS
from training.data.rng import sample_rng
from training.data.tile_questions import QuestionMix, tile_examples
from training.data.tiles import NAMES, PracticeTiles
from training.errors import RecipeError
from training.scenery.pool import scene_raster
from training.scenery.world import draw_scene
from training.sft.sequences import all_texts, turns_of


@pytest.fixture(scope="module")
def tiles() -> PracticeTiles:
    return PracticeTiles([scene_raster(draw_scene(512, seed=seed)) for seed in (3, 4)], 128)


def test_the_seed_decides_and_tiles_differ(tiles: PracticeTiles) -> None:
    mix = QuestionMix({"ask": 1.0, "earned": 1.0})
    first = tile_examples(tiles, mix, count=12, seed=1, name="t")
    again = tile_examples(tiles, mix, count=12, seed=1, name="t")
    other = tile_examples(tiles, mix, count=12, seed=2, name="t")
    assert [each.query for each in first] == [each.query for each in again]
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(first, again, strict=True))
    assert [each.query for each in first] != [each.query for each in other]
    assert len({each.id for each in first}) == 12


@pytest.mark.parametrize("filled", [0.0, 1.0])
def test_the_share_with_a_target_is_as_requested(filled: float, tiles: PracticeTiles) -> None:
    mix = QuestionMix({"ask": 1.0, "earned": 1.0, "spare": 1.0, "union": 1.0, "union_spare": 1.0}, filled)
    asked = tile_examples(tiles, mix, count=25, seed=3, name="t")
    assert {bool(len(each.boxes)) for each in asked} == {bool(filled)}
    assert len({each.source for each in asked}) == 5


def test_targets_are_the_objects_of_the_classes_meant(tiles: PracticeTiles) -> None:
    meant = {
        wording: [each.name]
        for each in CATALOGUE
        for wording in (*each.wordings, *each.reward_only, *each.held_out)
    }
    meant |= {
        wording: list(union.classes) for union in UNIONS for wording in (*union.reward_only, *union.held_out)
    }
    by_pixels, seen = {tile.pixels.tobytes(): tile for tile in drawn(tiles)}, 0
    for each in tile_examples(tiles, QuestionMix({"earned": 1.0, "union": 1.0}), count=20, seed=9, name="t"):
        tile = by_pixels.get(each.picture.pixels().tobytes())
        numbers = [NAMES.index(name) for name in meant[each.query.text]]
        if tile is not None:
            seen += 1
            wanted = np.isin(tile.classes, numbers)
            assert np.array_equal(each.boxes, tile.boxes[wanted])
            assert each.shapes is not None
            union = np.isin(tile.pieces, np.flatnonzero(wanted) + 1)
            assert np.array_equal(each.shapes.masks().any(axis=0), union)
    assert seen > 5


def drawn(tiles: PracticeTiles):
    for number in range(20):
        rng = sample_rng(9, 0, number)
        rng.choice(5, p=[0, 0.5, 0, 0.5, 0])
        rng.random()
        yield tiles.tile(rng)


def test_what_only_a_reward_trains_never_has_an_answer_in_training(tiles: PracticeTiles) -> None:
    rng = np.random.default_rng(0)
    shown = {turn.prompt for _ in range(150) for turn in turns_of(tiles.tile(rng), rng)}
    reward_only = {text for each in CATALOGUE for text in (*each.reward_only, *each.held_out)}
    reward_only |= {text for union in UNIONS for text in (*union.reward_only, *union.held_out)}
    assert not {prompt.removeprefix("locate : ") for prompt in shown} & reward_only
    assert all(len(each.reward_only) >= 2 for each in PRACTICE_CLASSES)


def test_no_wording_holds_a_word_that_is_not_trained() -> None:
    taught = {
        word
        for each in CATALOGUE
        for text in (*each.wordings, each.reason)
        for word in text.strip("?").split()
    }
    taught |= {"there"}
    asked = [text for each in CATALOGUE for text in (*each.reward_only, *each.held_out)]
    asked += [text for union in UNIONS for text in (*union.reward_only, *union.held_out)]
    assert {word for text in asked for word in text.strip("?").split()} <= taught
    assert all(text in all_texts() for text in asked)


def test_a_form_that_cannot_be_asked_is_named() -> None:
    empty = PracticeTiles([scene_raster(draw_scene(128, seed=4, empty=True))], 128)
    with pytest.raises(RecipeError, match="'union' with filled True"):
        tile_examples(empty, QuestionMix({"union": 1.0}, 1.0), count=1, seed=0, name="t")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shares": {"riddle": 1.0}}, "no form 'riddle'"),
        ({"shares": {}}, "at least one form"),
        ({"shares": {"ask": -1.0}}, "none below"),
        ({"filled": 2.0}, "filled 2.0"),
    ],
)
def test_a_wrong_mix_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        QuestionMix(**given)  # type: ignore[arg-type]
