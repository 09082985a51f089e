"""Claim: training tiles say exactly which pieces are visible, and noise on boxes keeps them boxes."""

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoner.engines.nano_sam import SamConfig
from training.data.tiles import NAMES, cut, random_tile
from training.scenery.pool import scene_raster
from training.scenery.world import PracticeObject, PracticeScene, draw_scene
from training.sft.dense import dense_targets
from training.sft.segmenter import SegmenterRecipe, noisy_boxes

TANK, ROAD = NAMES.index("tank"), NAMES.index("road")


def drawn() -> PracticeScene:
    objects = (
        PracticeObject("tank", shapely.box(10, 20, 30, 44)),
        PracticeObject("tank", shapely.box(90, 60, 140, 80)),
        PracticeObject("road", shapely.box(0, 100, 256, 110)),
    )
    pixels = np.zeros((3, 256, 256), np.uint8)
    return PracticeScene(pixels, np.ones((256, 256), bool), objects)


def test_pieces_are_clipped_to_the_tile_and_in_reading_order():
    tile = cut(scene_raster(drawn()), x0=0, y0=0, tile_px=128)
    assert tile.classes.tolist() == [TANK, TANK, ROAD]
    assert tile.boxes.tolist() == [[10, 20, 30, 44], [90, 60, 128, 80], [0, 100, 128, 110]]
    assert [(tile.pieces == n).sum() for n in (1, 2, 3)] == [20 * 24, 38 * 20, 128 * 10]


def test_dense_targets_name_the_owner_of_each_token():
    tile = cut(scene_raster(drawn()), x0=0, y0=0, tile_px=128)
    classes, boxes = dense_targets([tile])
    grid = classes[0].reshape(8, 8)
    assert grid[1, 0] == TANK + 1
    assert grid[6, 5] == ROAD + 1
    assert grid[0, 7] == 0
    assert (boxes[0].reshape(8, 8, 4)[1, 0] * 128).tolist() == [10, 20, 30, 44]


@given(st.integers(0, 7), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_every_symmetry_keeps_boxes_tight(turn: int, seed: int):
    scene = scene_raster(drawn())
    tile = cut(scene, x0=seed % 128, y0=(seed // 128) % 128, tile_px=128, turn=turn)
    for number, (x0, y0, x1, y1) in enumerate(tile.boxes, start=1):
        rows, columns = np.nonzero(tile.pieces == number)
        assert (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) == (x0, y0, x1, y1)


def test_random_tiles_are_repeatable():
    scenes = [scene_raster(draw_scene(256, seed=3))]
    one, two = (random_tile(scenes, np.random.default_rng(5), tile_px=128) for _ in range(2))
    assert np.array_equal(one.pixels, two.pixels)
    assert np.array_equal(one.boxes, two.boxes)


@given(st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_noisy_boxes_stay_inside_and_open(seed: int):
    rng = np.random.default_rng(seed)
    low = rng.integers(0, 120, (6, 2))
    boxes = np.concatenate([low, low + rng.integers(3, 8, (6, 2))], axis=1).astype(np.int32)
    moved = noisy_boxes(boxes, rng, SegmenterRecipe(noise=0.5, sam=SamConfig(image_size=128)))
    assert (moved >= 0).all()
    assert (moved <= 128).all()
    assert (moved[:, 2:] > moved[:, :2]).all()
