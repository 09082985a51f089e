"""Claim: the memory estimate adds up from its terms, and no larger load ever needs less."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from transformers import PreTrainedModel

from training.rl.grpo_recipe import LoraRecipe
from training.rl.lora import with_lora
from training.sizing.architectures import Dims, Tower, build_on_meta, dims_of
from training.sizing.footprint import GB, Footprint, Load, estimate_footprint

TEXT = Tower(layers=28, hidden=3584, inner=18944, heads=28, kv_heads=4, head_dim=128)
VISION = Tower(layers=32, hidden=1280, inner=3420, heads=16, kv_heads=16, head_dim=80)
DIMS = Dims(TEXT, VISION, vocab=152_064, patch_px=14, merge=2)
LOAD = Load(
    parameters=8_292_166_656,
    trainable=20_185_088,
    micro_batch=4,
    sampled=4,
    prompt_tokens=1200,
    image_tokens=1024,
    completion_tokens=1000,
)
GROWING = (
    "parameters",
    "trainable",
    "micro_batch",
    "sampled",
    "prompt_tokens",
    "image_tokens",
    "completion_tokens",
    "workers",
)


def full(**changed: object) -> Footprint:
    load = dataclasses.replace(LOAD, lora=False, trainable=LOAD.parameters)
    return estimate_footprint(DIMS, dataclasses.replace(load, **changed))


def test_held_terms_are_the_bytes_of_their_numbers():
    found = estimate_footprint(DIMS, LOAD)
    assert found.weights == 2 * LOAD.parameters
    assert (found.trained, found.gradients, found.optimizer) == tuple(
        size * LOAD.trainable for size in (4, 4, 8)
    )
    assert found.held == 2 * LOAD.parameters + 16 * LOAD.trainable + GB


def test_terms_of_tokens_are_those_counted_by_hand():
    found = estimate_footprint(DIMS, LOAD)
    tokens = 4 * 2200
    # Grouped heads: 4 × 128 numbers for a key and as many for a value, 28 layers, two bytes each
    assert found.cache == 57_344 * tokens
    assert found.checkpoints == 28 * 3584 * 2 * tokens
    # 4000 completion tokens: a tile 32768 words wide, and the gradient of their hidden states
    assert found.logits == 4000 * 32_768 * 2 + 4000 * 3584 * 4
    assert found.sampling == 4 * 152_064 * 4 * 5


def test_the_total_is_what_stays_and_the_larger_phase_and_a_tenth_of_it():
    found = estimate_footprint(DIMS, LOAD)
    assert found.learning == found.checkpoints + found.layer + found.vision + found.logits
    assert found.generation == found.cache + found.prefill + found.sampling
    assert found.total == found.held + found.learning + round(0.1 * found.learning)
    assert found.terms()["total"] * GB == found.total


def test_full_training_in_float32_holds_sixteen_bytes_a_number_and_autocasts_copies():
    kept = full()
    assert (kept.weights + kept.gradients + kept.optimizer) / LOAD.parameters == 16
    assert kept.trained == 2 * LOAD.parameters
    half = full(trained_size=2)
    assert (half.weights + half.gradients + half.optimizer + half.trained) / LOAD.parameters == 8


def test_what_saves_memory_saves_it():
    assert (
        estimate_footprint(DIMS, LOAD).total
        < estimate_footprint(DIMS, dataclasses.replace(LOAD, bf16=False)).total
    )
    assert (
        estimate_footprint(DIMS, LOAD).total
        < estimate_footprint(DIMS, dataclasses.replace(LOAD, checkpointing=False)).total
    )
    assert full().total < full(reference=True).total
    assert estimate_footprint(DIMS, LOAD).total < full(trained_size=2).total


@given(st.sampled_from(GROWING), st.integers(1, 5), st.booleans(), st.booleans())
def test_a_larger_load_never_needs_less(name: str, factor: int, lora: bool, checkpointing: bool):
    before = dataclasses.replace(LOAD, lora=lora, checkpointing=checkpointing)
    after = dataclasses.replace(before, **{name: getattr(before, name) * factor})
    small, large = estimate_footprint(DIMS, before), estimate_footprint(DIMS, after)
    for term in (field.name for field in dataclasses.fields(Footprint)):
        assert getattr(large, term) >= getattr(small, term), term
    assert large.total >= small.total


@given(st.sampled_from(["layers", "hidden", "inner", "kv_heads", "head_dim"]), st.booleans())
def test_a_larger_model_never_needs_less(name: str, vision: bool):
    tower = "vision" if vision else "text"
    grown = dataclasses.replace(getattr(DIMS, tower), **{name: 2 * getattr(getattr(DIMS, tower), name)})
    assert (
        estimate_footprint(dataclasses.replace(DIMS, **{tower: grown}), LOAD).total
        >= estimate_footprint(DIMS, LOAD).total
    )


def saved_bytes(run: Callable[[], object], model: nn.Module, *, scores: int) -> int:
    """Bytes autograd keeps of a run beside weights; attention scores (… , scores, scores) are left out.

    On the meta device attention is not fused, so its scores are there.
    """
    weights = {each.untyped_storage()._cdata for each in model.parameters()}
    alive: list[torch.Tensor] = []
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights and tuple(tensor.shape[-2:]) != (scores, scores):
            sizes[storage._cdata] = storage.nbytes()
        alive.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run()
    return sum(sizes.values())


def meta(*shape: int, dtype: torch.dtype = torch.bfloat16) -> torch.Tensor:
    return torch.empty(*shape, dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)


@pytest.fixture(scope="module")
def seven() -> PreTrainedModel:
    return build_on_meta("qwen2.5-vl-7b")


@pytest.mark.parametrize("lora", [False, True])
def test_a_layer_holds_what_autograd_keeps_of_the_real_one(seven: PreTrainedModel, lora: bool):
    model = build_on_meta("qwen2.5-vl-7b") if lora else seven
    if lora:
        with_lora(model, LoraRecipe(), init=False)
    words, tokens = model.model.language_model, 500
    stream = meta(1, tokens, 3584)
    turn = words.rotary_emb(stream, meta(3, 1, tokens, dtype=torch.long))
    kept = saved_bytes(
        lambda: words.layers[0](stream, attention_mask=None, position_embeddings=turn), model, scores=tokens
    )
    load = dataclasses.replace(
        LOAD, micro_batch=1, prompt_tokens=tokens - 100, completion_tokens=100, lora=lora, image_tokens=0
    )
    assert kept < estimate_footprint(dims_of(model.config), load).layer < 2.2 * kept


def test_a_vision_layer_holds_what_autograd_keeps_of_the_real_one(seven: PreTrainedModel):
    block, patches = seven.model.visual.blocks[7], 400
    turn = (meta(patches, 80, dtype=torch.float32), meta(patches, 80, dtype=torch.float32))
    lengths = torch.tensor([0, patches], dtype=torch.int32)
    stream = meta(patches, 1280)
    kept = saved_bytes(
        lambda: block(stream, cu_seqlens=lengths, position_embeddings=turn), seven, scores=patches
    )
    load = dataclasses.replace(LOAD, micro_batch=1, image_tokens=patches // 4)
    inputs = 32 * patches * 1280 * 2
    assert kept < estimate_footprint(DIMS, load).vision - inputs < 4 * kept


def test_the_cache_is_that_of_the_real_language_model_to_the_byte(seven: PreTrainedModel):
    words = seven.model.language_model
    places = torch.zeros(3, 2, 100, dtype=torch.long, device="meta")
    with torch.no_grad():
        cache = words(
            inputs_embeds=meta(2, 100, 3584).detach(), position_ids=places, use_cache=True
        ).past_key_values
    held = sum(each.nbytes for layer in cache.layers for each in (layer.keys, layer.values))
    load = dataclasses.replace(LOAD, sampled=2, prompt_tokens=60, completion_tokens=40)
    assert estimate_footprint(DIMS, load).cache == held
