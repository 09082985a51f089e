"""A tile cut from a labelled image shows its objects where its boxes lie, at every turn and scale."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from training.data.tiles import reading_order
from training.labels.cut_tiles import (
    MIN_SIDE_PX,
    MIN_VISIBLE,
    cut_labelled,
    examples_of,
    grid_squares,
    grid_tiles,
    random_labelled_tile,
)
from training.labels.labelled_image import LabelledImage
from training.labels.windows import Square, cut_pixels

NUMBERS = {"building": 4, "tree": 7}
HEIGHT, WIDTH = 150, 190


def image_of(
    *boxes: tuple[float, float, float, float],
    classes: tuple[str, ...] = (),
    outlines: tuple[shapely.Polygon | None, ...] = (),
    complete: tuple[str, ...] = ("building",),
) -> LabelledImage:
    """An image that is 20 but 220 inside of whole-pixel boxes."""
    pixels = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[int(y0) : int(y1), int(x0) : int(x1)] = 220
    return LabelledImage(
        name="drawn",
        place="here",
        pixels=pixels,
        valid=np.ones((HEIGHT, WIDTH), bool),
        boxes=np.array(boxes, np.float64).reshape(-1, 4),
        classes=classes or ("building",) * len(boxes),
        outlines=outlines or (None,) * len(boxes),
        complete=complete,
    )


def extent(bright: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows, columns = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("scale", [0.4, 0.9, 1.0, 2.5])
def test_a_box_holds_the_pixels_of_its_rectangle_at_every_turn_and_scale(turn: int, scale: float) -> None:
    image = image_of((80, 40, 108, 56))
    side = 48 / scale
    x0, y0 = max(94 - side / 2, 0) + 0.3, max(48 - side / 2, 0) + 0.6
    tile = cut_labelled(image, x0=x0, y0=y0, side=side, tile_px=48, turn=turn, numbers=NUMBERS)
    bright = tile.pixels[:, :, 0] > 120
    assert tile.boxes.shape == (1, 4)
    assert tile.classes.tolist() == [4]
    assert np.abs(tile.boxes[0] - extent(bright)).max() <= 1
    assert ((tile.pieces == 1) & bright).sum() >= 0.85 * ((tile.pieces == 1) | bright).sum()


@settings(max_examples=60, deadline=None)
@given(
    x=st.integers(0, 150),
    y=st.integers(0, 110),
    w=st.integers(1, 40),
    h=st.integers(1, 40),
    left=st.floats(-20, 140),
    top=st.floats(-20, 100),
    side=st.floats(20, 120),
    turn=st.integers(0, 7),
)
def test_an_object_stays_exactly_if_enough_of_it_is_seen(
    x: int, y: int, w: int, h: int, left: float, top: float, side: float, turn: int
) -> None:
    image = image_of((x, y, x + w, y + h))
    tile = cut_labelled(image, x0=left, y0=top, side=side, tile_px=64, turn=turn, numbers=NUMBERS)
    seen = shapely.box(x, y, x + w, y + h).intersection(shapely.box(left, top, left + side, top + side))
    share = seen.area / (w * h)
    x0, y0, x1, y1 = seen.bounds if seen.area else (0, 0, 0, 0)
    sides = np.array([x1 - x0, y1 - y0]) * 64 / side
    if share < MIN_VISIBLE - 1e-6 or sides.min() < MIN_SIDE_PX - 1e-6:
        assert len(tile.boxes) == 0
        assert not tile.pieces.any()
    elif share > MIN_VISIBLE + 1e-6 and sides.min() > MIN_SIDE_PX + 1e-6:
        (box,) = tile.boxes
        assert (box[:2] >= 0).all()
        assert (box[2:] <= 64).all()
        assert (box[2:] > box[:2]).all()
        wanted = sides[::-1] if turn & 1 else sides
        assert np.abs((box[2:] - box[:2]) - wanted).max() <= 1.001


def test_small_objects_lie_on_top_of_large_ones_numbered_in_reading_order() -> None:
    image = image_of((20, 70, 60, 100), (10, 10, 120, 130), (100, 20, 110, 30))
    tile = cut_labelled(image, x0=0, y0=0, side=150, tile_px=150, turn=0, numbers=NUMBERS)
    keys = [reading_order(box) for box in tile.boxes.tolist()]
    assert keys == sorted(keys)
    for number, (x0, y0, x1, y1) in enumerate(tile.boxes.tolist(), start=1):
        middle = tile.pieces[(y0 + y1) // 2, (x0 + x1) // 2]
        assert middle == number or x1 - x0 > 100


def test_a_tree_is_painted_as_the_ellipse_in_its_box_and_an_outline_as_itself() -> None:
    corner = shapely.Polygon([(100, 20), (140, 20), (140, 30), (110, 30), (110, 60), (100, 60)])
    boxes = ((20.0, 20.0, 60.0, 80.0), (100.0, 20.0, 140.0, 60.0))
    image = image_of(*boxes, classes=("tree", "building"), outlines=(None, corner))
    tile = cut_labelled(image, x0=0, y0=0, side=150, tile_px=150, turn=0, numbers=NUMBERS)
    painted = {
        class_name: int((tile.pieces == n).sum())
        for n, class_name in enumerate(tile.classes.tolist(), start=1)
    }
    assert painted[7] == pytest.approx(np.pi / 4 * 40 * 60, rel=0.02)
    assert painted[4] == corner.area


def test_the_box_of_a_cut_outline_holds_only_what_is_seen_of_it() -> None:
    corner = shapely.Polygon([(100, 20), (140, 20), (140, 30), (110, 30), (110, 60), (100, 60)])
    image = image_of((100.0, 20.0, 140.0, 60.0), outlines=(corner,))
    tile = cut_labelled(image, x0=40, y0=25, side=100, tile_px=100, turn=0, numbers=NUMBERS)
    assert tile.boxes.tolist() == [[60, 0, 100, 35]]
    below = cut_labelled(image, x0=40, y0=31, side=100, tile_px=100, turn=0, numbers=NUMBERS)
    assert below.boxes.tolist() == [[60, 0, 70, 29]]


def test_a_tile_is_zero_where_its_window_leaves_the_image() -> None:
    image = image_of((2, 3, 32, 43))
    tile = cut_labelled(image, x0=-10, y0=-20, side=80, tile_px=80, turn=0, numbers=NUMBERS)
    assert not tile.pixels[:19].any()
    assert not tile.pixels[:, :9].any()
    assert tile.boxes.tolist() == [[12, 23, 42, 63]]
    assert (tile.pixels[23:63, 12:42] == 220).all()
    beyond = cut_labelled(image, x0=1000, y0=1000, side=80, tile_px=80, turn=0, numbers=NUMBERS)
    assert not beyond.pixels.any()
    assert len(beyond.boxes) == 0


@pytest.mark.parametrize(
    "square", [Square(20.3, 31.7, 90, 24), Square(60, 10, 30, 64), Square(0, 0, 140, 50)]
)
def test_a_tile_is_what_resizing_the_whole_image_shows_there(square: Square) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    box = (square.x0, square.y0, square.x0 + square.side, square.y0 + square.side)
    size = (square.tile_px, square.tile_px)
    whole = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, box=box)
    assert np.abs(np.asarray(whole).astype(int) - cut_pixels(pixels, square)).max() <= 1


def test_shrinking_averages_and_does_not_pick_pixels() -> None:
    checks = (np.indices((96, 96)).sum(axis=0) % 2 * 255).astype(np.uint8)
    tile = cut_pixels(np.repeat(checks[:, :, None], 3, axis=2), Square(0, 0, 96, 24))
    assert np.abs(tile.astype(int) - 127).max() < 20


def test_a_random_tile_lies_within_the_image_and_is_the_same_for_the_same_seed() -> None:
    image = image_of((80, 40, 108, 56))
    for seed in range(20):
        first, second = (
            random_labelled_tile(image, np.random.default_rng(seed), scale=0.9, tile_px=64, numbers=NUMBERS)
            for _ in range(2)
        )
        assert (first.pixels == second.pixels).all()
        assert (first.boxes == second.boxes).all()
        # The ground is 20 and the object 220; the light varies by some tens. Outside it would be 0.
        ground, target = first.pixels[first.pieces == 0], first.pixels[first.pieces > 0]
        assert np.median(ground) > 0
        if len(first.boxes):
            assert np.median(target) > np.median(ground) + 100


def test_a_class_without_a_number_and_parts_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(KeyError, match="building"):
        cut_labelled(image_of((1, 1, 30, 30)), x0=0, y0=0, side=50, tile_px=50, turn=0, numbers={})
    with pytest.raises(ValueError, match="belong together"):
        image_of((1, 1, 30, 30), classes=("building", "building"))
    with pytest.raises(ValueError, match="turn"):
        Square(0, 0, 10, 10, 8)


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.2, 4), overlap=st.floats(0, 0.5))
def test_a_grid_covers_every_pixel_with_the_fewest_windows(scale: float, overlap: float) -> None:
    image = image_of()
    squares = grid_squares(image, scale=scale, tile_px=64, overlap=overlap)
    side = 64 / scale
    covered = np.zeros((HEIGHT, WIDTH), bool)
    for s in squares:
        covered[round(s.y0) : round(s.y0 + side), round(s.x0) : round(s.x0 + side)] = True
        assert s.x0 >= 0
        assert s.x0 + side <= max(WIDTH, side) + 1e-6
        assert s.y0 + side <= max(HEIGHT, side) + 1e-6
    assert covered.all()
    if overlap == 0:
        assert len(squares) == np.ceil(HEIGHT / side - 1e-9) * np.ceil(WIDTH / side - 1e-9)


def test_every_tile_and_complete_class_gives_an_example_present_or_absent() -> None:
    outline = shapely.Polygon([(10, 10), (40, 10), (40, 50)])
    image = image_of((10.0, 10.0, 40.0, 50.0), outlines=(outline,), complete=("building", "tree"))
    questions = {"building": ("where are roofs?", "what has walls?"), "tree": ("where is shade?",)}
    examples = examples_of(image, scale=1, tile_px=64, questions=questions, source="drawn")
    squares = grid_squares(image, scale=1, tile_px=64)
    assert len(examples) == 2 * len(squares)
    assert len({example.id for example in examples}) == len(examples)
    found = [example for example in examples if len(example.boxes)]
    assert {example.class_name for example in found} == {"building"}
    assert {e.query.text for e in examples if e.class_name == "building"} == set(questions["building"])
    for example in examples:
        assert (example.shapes is None) == (example.class_name == "tree")
        if example.shapes is not None:
            masks = example.shapes.masks()
            assert masks.shape == (len(example.boxes), 64, 64)
            for mask, box in zip(masks, example.boxes, strict=True):
                assert np.abs(extent(mask) - box).max() <= 1
    tiles = grid_tiles(image, scale=1, tile_px=64, numbers=NUMBERS)
    assert [len(t.boxes) for t in tiles] == [len(e.boxes) for e in examples if e.class_name == "building"]
    assert (tiles[0].pixels == found[0].picture.pixels()).all()
