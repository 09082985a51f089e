"""Claim: what is learned from and what is checked on never share a scene or a place, and tiles of photographs
say only what their labels know."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from training.data.tiles import Mixture, PracticeTiles
from training.data_mix import NUMBERS, LabelledDataRecipe, LabelledTiles, held_out_tiles, load_training_data
from training.errors import RecipeError
from training.scenery.pool import PoolRecipe, draw_pool

POOL = PoolRecipe(scenes=6, size_px=128, seed=5, densities=(1.0,), empty_every=12)
CAR = NUMBERS["car"]


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def cars(tmp_path: Path) -> LabelledDataRecipe:
    """Six photographs of one red car each, of six places; the labels of one are marked as incomplete."""
    for number in range(6):
        pixels = np.full((200, 300, 3), 90, np.uint8)
        pixels[80:120, 130:190] = (230, 20, 20)
        Image.fromarray(pixels).save(tmp_path / f"frame-{number}.png")
        (tmp_path / f"frame-{number}.txt").write_text(f"0 {160 / 300} 0.5 {60 / 300} 0.2\n")
    (tmp_path / "names").write_text("car\n")
    cars = {"format": "yolo", "root": ".", "images": "*.png", "labels": "names", "kind": "car"}
    sets = {"cars": {**cars, "scale": 1.0, "absent": ["ship"], "partial": ["frame-0"]}}
    (tmp_path / "sets.yaml").write_text(yaml.safe_dump(sets))
    return LabelledDataRecipe(root=str(tmp_path), sets=str(tmp_path / "sets.yaml"), share=0.5, aimed=1.0)


def test_scenes_kept_for_checking_are_not_trained_on() -> None:
    tiles = load_training_data(POOL, None, tile_px=64, workers=1)
    assert isinstance(tiles.train, PracticeTiles)
    checked = tiles.check["practice"]
    assert isinstance(checked, PracticeTiles)
    learned = {scene.pixels.tobytes() for scene in tiles.train.scenes}
    assert len(learned) == 2
    assert not learned & {scene.pixels.tobytes() for scene in checked.scenes}


def test_a_pool_is_drawn_once_and_shared_from_disk() -> None:
    first, again = draw_pool(POOL, workers=1), draw_pool(POOL, workers=1)
    assert all(isinstance(scene.pixels, np.memmap) for scene in again)
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(first, again, strict=True))


def test_photographs_are_split_by_place_and_incomplete_ones_left_out(cars: LabelledDataRecipe) -> None:
    tiles = load_training_data(POOL, cars, tile_px=64, workers=1)
    assert isinstance(tiles.train, Mixture)
    photographs = tiles.train.parts[1][1]
    assert isinstance(photographs, Mixture)
    learned, checked = photographs.parts[0][1], tiles.check["cars"]
    assert isinstance(learned, LabelledTiles)
    assert isinstance(checked, LabelledTiles)
    assert [image.name for image in learned.images] == ["frame-1", "frame-3", "frame-4"]
    assert [image.name for image in checked.images] == ["frame-2", "frame-5"]


def test_an_aimed_tile_shows_the_object_where_its_box_says(cars: LabelledDataRecipe) -> None:
    source = load_training_data(POOL, cars, tile_px=64, workers=1).check["cars"]
    for seed in range(30):
        tile = source.tile(np.random.default_rng(seed))
        assert set(tile.known) == {CAR, NUMBERS["ship"]}
        assert not tile.outlined
        red = (tile.pixels[..., 0] > 150) & (tile.pixels[..., 1] < 90)
        assert red.any()
        if len(tile.boxes):
            rows, columns = np.nonzero(red)
            seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.abs(tile.boxes[0] - seen).max() <= 2
            assert tile.classes.tolist() == [CAR]


def test_held_out_tiles_come_from_the_whole_pool_and_the_validation_places(cars: LabelledDataRecipe) -> None:
    source = held_out_tiles(POOL, cars, tile_px=64)
    assert isinstance(source, Mixture)
    practice, photographs = (part for _, part in source.parts)
    assert isinstance(practice, PracticeTiles)
    assert len(practice.scenes) == POOL.scenes
    assert isinstance(photographs, Mixture)
    (_, held), *_ = photographs.parts
    assert isinstance(held, LabelledTiles)
    assert [image.name for image in held.images] == ["frame-2", "frame-5"]


def test_wrong_shares_are_refused(cars: LabelledDataRecipe) -> None:
    with pytest.raises(RecipeError, match="no set trees, there are cars"):
        load_training_data(
            POOL, LabelledDataRecipe(cars.root, sets=cars.sets, weights={"trees": 1.0}), tile_px=64, workers=1
        )
    with pytest.raises(RecipeError, match="no set is left"):
        load_training_data(
            POOL, LabelledDataRecipe(cars.root, sets=cars.sets, weights={"cars": 0.0}), tile_px=64, workers=1
        )
    with pytest.raises(RecipeError, match=r"pool\.scenes 4"):
        load_training_data(PoolRecipe(scenes=4, size_px=128), None, tile_px=64, workers=1)
    with pytest.raises(RecipeError, match=r"real\.aimed 2"):
        LabelledDataRecipe(root=".", aimed=2)
