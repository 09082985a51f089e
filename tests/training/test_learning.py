"""Claim: both trainers lower their loss on a few tiles, write folders that load, and refuse bad recipes."""

from pathlib import Path

import pytest
import torch

from reasoner.sam_build import EncoderConfig, SamConfig, load_sam
from training.errors import RecipeError
from training.nano import NanoShape
from training.recipe_files import read_segmenter, read_sft
from training.segmenter import SegmenterRecipe, train_segmenter
from training.sequences import turns_of
from training.sft import NanoTrainer, SftRecipe
from training.tiles import scene_raster
from training.world import draw_scene

RECIPES = Path(__file__).parents[2] / "training" / "recipes"


@pytest.fixture(scope="module")
def scenes():
    torch.set_num_threads(1)
    return [scene_raster(draw_scene(256, seed=3))]


def test_the_reasoner_learns_and_the_same_seed_gives_the_same_loss(scenes, tmp_path: Path):
    shape = NanoShape(tile_px=64, width=48, text_layers=1, vision_layers=2, heads=2)
    recipe = SftRecipe(batch=4, dense_steps=0, steps=30, lr=1e-2, save_every=30, shape=shape, bf16=False)
    runs = []
    for _ in range(2):
        trainer = NanoTrainer(recipe, scenes, report=lambda *_: None)
        tiles = trainer.tiles()
        batch = trainer.packer.pack(tiles, [turns_of(tile, trainer.rng) for tile in tiles])
        before = float(trainer.answer_loss(batch).detach())
        trainer.converse(tmp_path / "reasoner")
        runs.append((before, float(trainer.answer_loss(batch).detach())))
    assert runs[0][1] < 0.8 * runs[0][0]
    assert runs[0] == runs[1]
    assert (tmp_path / "reasoner" / "model.safetensors").is_file()


def test_the_segmenter_learns_and_its_folder_loads(scenes, tmp_path: Path):
    encoder = EncoderConfig(patch_size=8, embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,))
    recipe = SegmenterRecipe(
        batch=2, boxes=2, steps=50, save_every=50, bf16=False, sam=SamConfig(image_size=64, encoder=encoder)
    )
    losses: list[float] = []
    train_segmenter(
        recipe, scenes, out=tmp_path / "s", report=lambda _s, _n, figures: losses.append(figures["loss"])
    )
    assert losses
    assert losses[-1] < 9
    assert load_sam(tmp_path / "s").image_encoder.img_size == 64


def test_shipped_recipes_read():
    reasoner, pool, threads = read_sft(RECIPES / "nano-sft.yaml")
    segmenter, same_pool, _ = read_segmenter(RECIPES / "nano-segmenter.yaml")
    assert reasoner.shape.tile_px == segmenter.sam.image_size == 128
    assert pool == same_pool
    assert threads >= 1


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("batchh: 3", "batchh"),
        ("shape: {tile: 3}", "shape.tile"),
        ("steps: many", "steps"),
        ("[1]", "mapping"),
    ],
)
def test_a_wrong_recipe_names_the_field(tmp_path: Path, text: str, named: str):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=named):
        read_sft(path)


def test_a_missing_recipe_is_a_recipe_error(tmp_path: Path):
    with pytest.raises(RecipeError, match=r"nothing\.yaml"):
        read_segmenter(tmp_path / "nothing.yaml")
