"""Claim: the questions of a reward training are cut as its recipe says."""

from pathlib import Path

from training.rl.grpo_recipe import DataRecipe, GrpoRecipe
from training.scenery.practice import write_practice
from training.trainers import reading_for


def test_so_many_tiles_of_a_practice_folder_are_asked_about(tmp_path: Path) -> None:
    write_practice(str(tmp_path), scenes=1, size_px=512, seed=3)
    data = {tiles: DataRecipe(root=str(tmp_path), split="test", tiles=tiles) for tiles in (3, None)}
    asked = {
        tiles: reading_for(GrpoRecipe(model="nano", max_steps=1, data=each)).examples
        for tiles, each in data.items()
    }
    assert {tiles: len({one.picture for one in found}) for tiles, found in asked.items()} == {3: 3, None: 16}
