"""Claim: shipped recipes read, and a wrong one names its field."""

from pathlib import Path

import pytest

from training.errors import RecipeError
from training.recipe_yaml import grpo_of, read_fields, segmenter_of, sft_of, tiles_of
from training.trainers import config_of, grpo_training, segmenter_training, sft_training

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_reads(path: Path) -> None:
    fields = read_fields(path)
    if path.stem == "held-out":
        assert tiles_of(fields)
        return
    if path.stem == "real-sets":
        return
    read = grpo_of if "grpo" in path.stem else segmenter_of if "segmenter" in path.stem else sft_of
    assert read(fields)


def test_reasoner_and_segmenter_are_trained_at_one_tile_size() -> None:
    reasoner = sft_of(read_fields(RECIPES / "nano-sft.yaml"))
    segmenter = segmenter_of(read_fields(RECIPES / "nano-segmenter.yaml"))
    assert reasoner.recipe.shape.tile_px == segmenter.recipe.sam.image_size == 128
    assert reasoner.pool == segmenter.pool


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"batchh": 3}, "unknown key batchh"),
        ({"shape": {"tile": 3}}, "unknown key shape.tile"),
        ({"real": {"root": ".", "shared": 1}}, "unknown key real.shared"),
        ({"real": {"root": ".", "share": 2}}, "real.share 2"),
        ({"pool": {"many": 1}}, "unknown key pool.many"),
        ({"steps": "many"}, "steps"),
        ({"workers": 0}, "workers 0"),
    ],
)
def test_a_wrong_field_of_a_tile_recipe_is_named(fields: dict[str, object], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        sft_of(fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"group": 1}, "group 1"),
        ({"lora": {"rank": 8}}, "lora.rank"),
        ({"tiles": {"count": 4, "questions": {"shares": {"riddle": 1}}}}, "no form 'riddle'"),
        ({"tiles": {"count": 4, "pool": {"many": 1}}}, "unknown key tiles.pool.many"),
        ({"data": {}}, "one of the two"),
        ({"tiles": None}, "one of the two"),
        ({"grad_accum": 5}, "grad_accum"),
    ],
)
def test_a_wrong_field_of_a_reward_recipe_is_named(fields: dict[str, object], named: str) -> None:
    good: dict[str, object] = {"model": "nano", "max_steps": 1, "tiles": {"count": 4}}
    assert grpo_of(good)
    with pytest.raises(RecipeError, match=named):
        grpo_of({**good, **fields})


@pytest.mark.parametrize(("text", "named"), [("[1]", "mapping"), ("a: [", "recipe")])
def test_what_is_no_recipe_is_refused(tmp_path: Path, text: str, named: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=named):
        read_fields(path)
    with pytest.raises(RecipeError, match=r"nothing\.yaml"):
        read_fields(tmp_path / "nothing.yaml")


def test_max_steps_shortens_a_recipe() -> None:
    sft = sft_training(config_of({"dense_steps": 5, "steps": 10}, max_steps=7)).recipe
    assert (sft.dense_steps, sft.steps) == (5, 2)
    assert segmenter_training(config_of({"steps": 10}, max_steps=7)).recipe.steps == 7
    fields = {"model": "nano", "max_steps": 9, "tiles": {"count": 40}}
    assert grpo_training(config_of(fields, max_steps=7)).max_steps == 7
    with pytest.raises(RecipeError, match="max_steps is 0"):
        config_of(fields, max_steps=0)
