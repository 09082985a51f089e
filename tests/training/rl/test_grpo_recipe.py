"""Claim: a GRPO recipe is right when it exists; what is wrong is refused with the field and the remedy."""

import dataclasses
import pickle
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

import training
from training.errors import RecipeError
from training.rl.grpo_recipe import REWARD_PARTS, DataRecipe, GrpoRecipe, LoraRecipe
from training.rl.rewards import RewardWeights

REFERENCE = Path(training.__file__).parent / "recipes" / "remotereasoner-7b-grpo.yaml"


def recipe(**changed: object) -> GrpoRecipe:
    fields: dict[str, object] = {"model": "nano", "data": DataRecipe(), "epochs": 1.0, **changed}
    return GrpoRecipe(**fields)  # type: ignore[arg-type]


def from_file(fields: dict[str, object]) -> GrpoRecipe:
    return TypeAdapter(GrpoRecipe).validate_python(fields)


def test_the_reference_recipe_states_the_published_hyper_parameters():
    read = from_file(yaml.safe_load(REFERENCE.read_text()))
    assert (read.group, read.temperature, read.lr, read.epochs) == (4, 0.9, 1e-6, 24)
    assert read.lora == LoraRecipe(r=8, alpha=16)
    assert read.max_pixels == 896 * 896
    assert read.bf16
    assert {part for part, weight in read.weights.items() if weight} == {"format", "accuracy"}
    assert (read.profile, read.data.format) == ("remotereasoner", "earthreason")


def test_reward_parts_are_those_that_are_scored():
    assert set(REWARD_PARTS) == {field.name for field in dataclasses.fields(RewardWeights)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"group": 1}, "group 1: .*at least 2"),
        ({"group": 6, "grad_accum": 4}, "grad_accum 4 does not divide the 6 completions.*use 3 or 6"),
        ({"epochs": None}, "epochs, max_steps or both"),
        ({"epochs": 0.0}, "epochs 0.0: must be above 0"),
        ({"max_steps": 0}, "max_steps 0: must be at least 1"),
        ({"workers": 0}, "workers 0: must be at least 1"),
        ({"lr": 0.0}, "lr 0.0: must be above 0"),
        ({"lr": float("nan")}, "lr nan"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"top_p": 1.5}, "top_p 1.5: .*at most 1"),
        ({"warmup": 1.0}, "warmup 1.0: must be at least 0 and below 1"),
        ({"beta": -0.1}, "beta -0.1: must be at least 0"),
        ({"weights": {"beauty": 1.0}}, "weights.beauty: no such reward part, use format, location"),
        ({"weights": {"format": -1.0}}, "weights.format -1.0"),
        ({"weights": {"format": 0.0}}, "must weigh more than 0"),
        ({"model": ""}, "model is empty"),
        ({"profile": "gpt"}, "profile: no such profile 'gpt': use one of remotereasoner"),
        ({"max_pixels": 10}, "max_pixels 10"),
    ],
)
def test_what_is_wrong_is_refused_by_name(changed: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        recipe(**changed)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 0}, "lora.r 0"),
        ({"alpha": 0.0}, "lora.alpha 0.0"),
        ({"dropout": 1.0}, "lora.dropout 1.0"),
        ({"targets": ()}, "name at least one linear layer"),
        ({"targets": ("q_proj|.*",)}, "name at least one linear layer"),
    ],
)
def test_wrong_low_rank_fields_are_refused(fields: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        LoraRecipe(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        {"speed": 1},
        {"lora": {"rank": 4}},
        {"data": {"folder": "x"}},
        {"loss": "ppo"},
        {"data": {"format": "zip"}},
    ],
)
def test_unknown_keys_and_words_of_a_file_are_refused_at_every_depth(fields: dict[str, object]):
    with pytest.raises(ValidationError):
        from_file({"model": "nano", "data": {}, "epochs": 1, **fields})


def test_the_batch_is_what_the_fields_say_and_steps_follow_it():
    made = recipe(group=4, prompts_per_step=3, grad_accum=2, workers=2, epochs=2.0)
    assert (made.batches.per_device_batch, made.batches.generation_batch) == (6, 24)
    assert made.steps(20) == 2 * (20 // 6)
    assert recipe(epochs=2.0, max_steps=3).steps(20) == 3
    assert recipe(epochs=None, max_steps=30).steps(20) == 30
    with pytest.raises(RecipeError, match="5 questions are fewer than the 6"):
        made.steps(5)


def test_recipes_travel_to_workers():
    made = recipe(lora=LoraRecipe(r=4), weights={"format": 1.0})
    assert pickle.loads(pickle.dumps(made)) == made
