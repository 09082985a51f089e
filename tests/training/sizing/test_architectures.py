"""Claim: models built without weights have the shapes of the real ones, to the last parameter."""

import json
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from training.errors import RecipeError
from training.rl.grpo_recipe import LoraRecipe
from training.rl.lora import lora_config, targeted, with_lora
from training.sizing.architectures import (
    build_on_meta,
    config_file,
    count_parameters,
    dims_of,
    shipped_architectures,
)

PUBLISHED = {"qwen2.5-vl-7b": 8_292_166_656, "qwen2.5-vl-3b": 3_754_622_976}
"""Parameters in the released checkpoints."""

LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def config_of(name: str) -> dict:
    return json.loads(config_file(name).read_text())


def by_hand(config: dict) -> int:
    """All weights of a Qwen2.5-VL from the sizes in its config: biases on q, k, v and all over the tower."""
    h, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = h // config["num_attention_heads"] * config["num_key_value_heads"]
    attention = 2 * h * h + 2 * h * kv + h + 2 * kv
    text = config["num_hidden_layers"] * (attention + 3 * h * inner + 2 * h) + h
    words = vocab * h * (1 if config["tie_word_embeddings"] else 2)
    vision = config["vision_config"]
    v, wide, out = vision["hidden_size"], vision["intermediate_size"], vision["out_hidden_size"]
    block = 2 * v + v * 3 * v + 3 * v + v * v + v + 3 * v * wide + 2 * wide + v
    patch = 3 * vision["temporal_patch_size"] * vision["patch_size"] ** 2 * v
    merged = v * vision["spatial_merge_size"] ** 2
    merger = v + merged * merged + merged + merged * out + out
    return text + words + vision["depth"] * block + patch + merger


def added_by_hand(config: dict, r: int) -> int:
    """Sum of r · (in + out) over the seven linear layers of every layer of the language model."""
    h, inner = config["hidden_size"], config["intermediate_size"]
    kv = h // config["num_attention_heads"] * config["num_key_value_heads"]
    widths = 2 * (h + h) + 2 * (h + kv) + 3 * (h + inner)
    return config["num_hidden_layers"] * r * widths


@pytest.fixture(scope="module")
def seven() -> PreTrainedModel:
    return build_on_meta("qwen2.5-vl-7b")


def test_parameters_are_the_published_ones_and_those_summed_by_hand(seven: PreTrainedModel):
    assert set(shipped_architectures()) == set(PUBLISHED)
    for name, published in PUBLISHED.items():
        model = seven if name == "qwen2.5-vl-7b" else build_on_meta(name)
        assert count_parameters(model) == by_hand(config_of(name)) == published


def test_nothing_is_held_in_memory(seven: PreTrainedModel):
    assert {each.device.type for each in [*seven.parameters(), *seven.buffers()]} == {"meta"}
    assert {each.dtype for each in seven.parameters()} == {torch.bfloat16}


def test_the_sizes_are_read_from_the_config(seven: PreTrainedModel):
    dims = dims_of(seven.config)
    assert (dims.text.layers, dims.text.kv_heads, dims.text.head_dim) == (28, 4, 128)
    assert (dims.vision.layers, dims.vision.hidden, dims.vision.head_dim) == (32, 1280, 80)
    assert (dims.vocab, dims.token_px) == (152_064, 28)


@pytest.mark.parametrize(("r", "vision"), [(8, False), (3, True)])
def test_low_rank_matrices_are_as_many_as_the_closed_form(r: int, vision: bool):
    config = config_of("qwen2.5-vl-3b")
    sizes = config["vision_config"]
    tower = sizes["depth"] * r * 3 * (sizes["hidden_size"] + sizes["intermediate_size"])
    model = build_on_meta("qwen2.5-vl-3b")
    widths = targeted(model, LoraRecipe(r=r, vision=vision)).values()
    taught = with_lora(model, LoraRecipe(r=r, vision=vision), init=False)
    expected = added_by_hand(config, r) + (tower if vision else 0)
    assert count_parameters(taught, trainable=True) == expected == sum(r * (a + b) for a, b in widths)
    assert count_parameters(taught) == PUBLISHED["qwen2.5-vl-3b"] + expected
    assert {each.device.type for each in taught.parameters()} == {"meta"}


def test_the_embedded_model_is_known_by_name_and_takes_the_same_matrices():
    model = build_on_meta("nano")
    layers = model.config.get_text_config().num_hidden_layers
    assert len(targeted(model, LoraRecipe())) == layers * len(LINEAR)
    config = lora_config(model, LoraRecipe(r=2, alpha=6, dropout=0.1))
    assert (config.r, config.lora_alpha, config.lora_dropout) == (2, 6, 0.1)


def test_layers_the_model_has_not_are_refused_by_name():
    with pytest.raises(RecipeError, match=r"lora.targets query: the model's linear layers are .*q_proj"):
        with_lora(build_on_meta("nano"), LoraRecipe(targets=("q_proj", "query")), init=False)


def test_an_unknown_architecture_is_refused_with_those_there_are():
    with pytest.raises(RecipeError, match=r"no architecture 'qwen9': .*qwen2.5-vl-3b, qwen2.5-vl-7b"):
        build_on_meta("qwen9")
    with pytest.raises(RecipeError, match="no architecture 'Someone/not-cached-here'"):
        build_on_meta("Someone/not-cached-here")


@pytest.mark.parametrize(
    "written", ['{"model_type": "bert"}', '{"model_type": "none-such"}', '{"hidden_size": 3}', "[]", "{"]
)
def test_a_folder_of_another_architecture_is_refused_in_a_sentence(tmp_path: Path, written: str):
    (tmp_path / "config.json").write_text(written)
    with pytest.raises(RecipeError, match=r"config\.json") as caught:
        build_on_meta(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_checkpoints_own_config_serves_as_an_architecture(tmp_path: Path):
    (tmp_path / "config.json").write_text(config_file("nano").read_text())
    assert count_parameters(build_on_meta(str(tmp_path))) == count_parameters(build_on_meta("nano"))
