"""Claim: the nano reasoner is trained on exactly what it meets at inference, and its folder loads again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from training.data.tiles import TrainingTile
from training.sft.nano import NanoShape, build_nano, build_processor, build_tokenizer
from training.sft.sequences import Batch, Packer, Turn, all_texts

SHAPE = NanoShape(tile_px=64, width=96, text_layers=2, vision_layers=2)
TURNS = (
    Turn(
        "locate : where is liquid fuel stored?",
        "<think> fuel is kept in tanks </think> <answer> [] </answer>",
    ),
    Turn(
        "locate : find all storage tanks?",
        "<think> fuel </think> <answer> [[1,2,30,40],[5,6,7,64]] </answer>",
    ),
)


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    tokenizer = build_tokenizer(all_texts(), tile_px=SHAPE.tile_px)
    return build_nano(tokenizer, SHAPE).eval(), build_processor(tokenizer, SHAPE), Packer(tokenizer, SHAPE)


@pytest.fixture(scope="module")
def tile():
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    empty = np.zeros((64, 64), np.int32)
    return TrainingTile(pixels, empty, np.zeros(0, np.int16), np.zeros((0, 4), np.int32))


def hidden(model, batch: Batch) -> torch.Tensor:
    with torch.inference_mode():
        return model.model(
            input_ids=batch.input_ids,
            pixel_values=batch.pixels,
            image_grid_thw=batch.grids,
            position_ids=batch.positions,
            attention_mask=batch.attention,
        ).last_hidden_state


def prompted(processor, tile: TrainingTile, turn: Turn):
    content = [{"type": "image"}, {"type": "text", "text": turn.prompt}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    return processor(text=[text], images=[Image.fromarray(tile.pixels)], return_tensors="pt")


def test_packed_tokens_and_pixels_equal_the_processors(parts, tile):
    _, processor, packer = parts
    met = prompted(processor, tile, TURNS[0])
    batch = packer.pack([tile], [TURNS[:1]])
    n = met["input_ids"].shape[1]
    assert batch.input_ids[0, :n].tolist() == met["input_ids"][0].tolist()
    assert (batch.pixels - met["pixel_values"]).abs().max() < 1e-6
    assert batch.grids.tolist() == met["image_grid_thw"].tolist()


def test_positions_equal_the_models_own(parts, tile):
    model, _, packer = parts
    batch = packer.pack([tile], [TURNS[:1]])
    types = (batch.input_ids == model.config.image_token_id).int()
    own, _ = model.model.get_rope_index(batch.input_ids, types, batch.grids)
    assert (own == batch.positions).all()


def test_a_turn_beside_others_is_read_as_if_alone(parts, tile):
    model, _, packer = parts
    both, alone = packer.pack([tile], [TURNS]), packer.pack([tile], [TURNS[1:]])
    n = alone.input_ids.shape[1] - SHAPE.image_tokens - 3
    assert torch.allclose(hidden(model, both)[0, -n:], hidden(model, alone)[0, -n:], atol=1e-5)


def test_labels_ask_for_the_answer_and_its_end_and_nothing_else(parts, tile):
    _, processor, packer = parts
    batch = packer.pack([tile], [TURNS[1:]])
    asked = batch.labels[0][batch.labels[0] >= 0]
    text = processor.tokenizer.decode(asked)
    assert text.replace(" ", "") == TURNS[1].answer.replace(" ", "") + "<eos>"


def test_saved_folder_loads_with_the_auto_classes(parts, tile, tmp_path: Path):
    model, processor, _ = parts
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    met = prompted(AutoProcessor.from_pretrained(tmp_path), tile, TURNS[0])
    with torch.inference_mode():
        assert torch.equal(again(**met).logits, model(**met).logits)
    assert again.config.remotereasoner_profile == "nano"
