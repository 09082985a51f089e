"""Claim: both stages of our own training learn, repeat themselves, go on from a state bit for bit, and save
folders that load; any number of workers sees the same samples."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reasoner.engines.nano_sam import EncoderConfig, SamConfig, load_sam
from training.data.tiles import Mixture, PracticeTiles
from training.errors import RecipeError
from training.launching.distributed import World
from training.launching.stage import Stage, read_checkpoint, write_checkpoint
from training.scenery.pool import scene_raster
from training.scenery.world import draw_scene
from training.sft.nano import NanoShape, open_nano
from training.sft.segmenter import SegmenterRecipe, SegmenterStage
from training.sft.sequences import all_texts
from training.sft.sft import NanoStage, SftRecipe

SHAPE = NanoShape(tile_px=64, width=48, text_layers=1, vision_layers=2, heads=2)
REASONER = SftRecipe(batch=4, dense_steps=3, steps=27, lr=1e-2, check_every=10, shape=SHAPE, bf16=False)
ENCODER = EncoderConfig(patch_size=8, embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,))
SEGMENTER = SegmenterRecipe(
    batch=2, boxes=2, steps=50, check_every=25, bf16=False, sam=SamConfig(image_size=64, encoder=ENCODER)
)


@pytest.fixture(scope="module")
def tiles() -> PracticeTiles:
    torch.set_num_threads(1)
    return PracticeTiles([scene_raster(draw_scene(256, seed=3))], 64)


def reasoner(tiles: PracticeTiles, world: World | None = None) -> NanoStage:
    return NanoStage(REASONER, tiles, checks={"held": tiles}, world=world or World())


def segmenter(tiles: PracticeTiles) -> SegmenterStage:
    return SegmenterStage(SEGMENTER, tiles, checks={"held": tiles}, world=World())


def test_the_reasoner_learns_and_its_folder_loads(tiles: PracticeTiles, tmp_path: Path) -> None:
    stage = reasoner(tiles)
    before = stage.check(stage.checks["held"])
    figures = [stage.step(number) for number in range(stage.steps)]
    after = stage.check(stage.checks["held"])
    assert after < 0.8 * before
    assert "kind" in figures[0]
    assert [number for number, each in enumerate(figures) if "check_held" in each] == [12, 22, 29]
    stage.save(tmp_path / "model")
    tokenizer, model = open_nano(str(tmp_path / "model"), all_texts(), shape=SHAPE)
    assert len(tokenizer) == len(stage.tokenizer)
    for name, value in model.state_dict().items():
        assert torch.equal(value, stage.model.state_dict()[name]), name


def test_the_segmenter_learns_and_its_folder_loads(tiles: PracticeTiles, tmp_path: Path) -> None:
    stage = segmenter(tiles)
    losses = [stage.step(number)["loss"] for number in range(stage.steps)]
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])
    stage.save(tmp_path / "model")
    assert load_sam(tmp_path / "model").image_encoder.img_size == 64


@pytest.mark.parametrize("make", [reasoner, segmenter])
def test_a_resumed_stage_goes_on_bit_for_bit(make, tiles: PracticeTiles, tmp_path: Path) -> None:
    whole: Stage = make(tiles)
    figures = [dict(whole.step(number)) for number in range(6)]
    half: Stage = make(tiles)
    for number in range(4):
        half.step(number)
    write_checkpoint(half, tmp_path / "checkpoint")
    again: Stage = make(tiles)
    read_checkpoint(again, tmp_path / "checkpoint")
    assert same(half.state()["model"], again.state()["model"])
    assert [dict(again.step(number)) for number in (4, 5)] == figures[4:]
    assert same(whole.state()["model"], again.state()["model"])


def same(one: object, other: object) -> bool:
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_two_workers_take_the_samples_of_one(tiles: PracticeTiles) -> None:
    alone = reasoner(tiles)._tile_turns(5)
    shared = [reasoner(tiles, World(rank, 2))._tile_turns(5) for rank in (0, 1)]
    for slot, tile in enumerate(alone.tiles):
        assert np.array_equal(tile.pixels, shared[slot % 2].tiles[slot // 2].pixels)
        assert alone.turns[slot] == shared[slot % 2].turns[slot // 2]


def test_a_batch_that_cannot_be_shared_is_refused(tiles: PracticeTiles) -> None:
    with pytest.raises(ValueError, match="4 samples a step cannot be shared evenly by 3 workers"):
        reasoner(tiles, World(0, 3))


def test_a_wider_vocabulary_keeps_the_old_words_and_weights(tiles: PracticeTiles, tmp_path: Path) -> None:
    stage = reasoner(tiles)
    stage.save(tmp_path / "model")
    tokenizer, model = open_nano(str(tmp_path / "model"), [*all_texts(), "xylophone quartz"], shape=SHAPE)
    old = stage.tokenizer.get_vocab()
    assert {word: tokenizer.get_vocab()[word] for word in old} == old
    assert {"xylophone", "quartz"} <= set(tokenizer.get_vocab())
    weights = model.get_input_embeddings().weight
    assert torch.equal(weights[: len(old)], stage.model.get_input_embeddings().weight)
    assert weights.shape[0] == len(tokenizer) == len(old) + 2


def test_a_start_of_other_sizes_or_kind_is_refused(tiles: PracticeTiles, tmp_path: Path) -> None:
    reasoner(tiles).save(tmp_path / "model")
    with pytest.raises(RecipeError, match=r"text_config\.hidden_size 48, the recipe's shape asks for 96"):
        open_nano(str(tmp_path / "model"), [], shape=NanoShape(tile_px=64, width=96))
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(RecipeError, match="'llama', not a nano reasoner"):
        open_nano(str(tmp_path / "model"), [], shape=SHAPE)


def test_a_mixture_draws_by_its_shares(tiles: PracticeTiles) -> None:
    empty = PracticeTiles([scene_raster(draw_scene(128, seed=4, empty=True))], 64)
    mixed = Mixture(((1.0, empty), (3.0, tiles)))
    drawn = [mixed.tile(np.random.default_rng(seed)).pixels for seed in range(20)]
    assert len({each.tobytes() for each in drawn}) == 20
    assert np.array_equal(mixed.tile(np.random.default_rng(3)).pixels, drawn[3])
