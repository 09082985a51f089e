"""Damaged images become named problems, masks are the same in every coding, packing loses nothing."""

import pickle
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from scipy import ndimage

from training.datasets.errors import UnusableError
from training.datasets.images import MAX_PARTS, PackedShapes, image_size, mask_boxes, read_mask, split_mask
from training.datasets.options import TargetSplit

MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=24))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_parts_make_up_the_mask_and_fill_their_boxes(mask):
    for parts in TargetSplit:
        masks, boxes = split_mask(mask, parts), mask_boxes(mask, parts)
        np.testing.assert_array_equal(masks.any(axis=0), mask)
        assert masks.sum() == mask.sum()
        assert len(masks) == len(boxes)
        for one, box in zip(masks, boxes, strict=True):
            rows, columns = np.nonzero(one)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert len(masks) == ndimage.label(mask, np.ones((3, 3)))[1]


def test_dust_is_not_separated():
    dust = np.zeros((60, 60), bool)
    dust[::2, ::2] = True
    assert len(mask_boxes(dust, TargetSplit.WHOLE)) == 1
    with pytest.raises(UnusableError, match=str(MAX_PARTS)):
        mask_boxes(dust, TargetSplit.COMPONENTS)


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=9)))
@settings(max_examples=40, deadline=None)
def test_packed_masks_come_back(masks):
    again = pickle.loads(pickle.dumps(PackedShapes.of(masks))).masks()
    assert again.dtype == bool
    np.testing.assert_array_equal(again, masks)


@pytest.mark.parametrize("coding", ["L", "RGB", "red", "RGBA", "P", "1", "I;16", "ones"])
def test_a_mask_is_the_same_in_every_coding(tmp_path, coding):
    mask = np.zeros((9, 14), bool)
    mask[2:5, 3:11] = True
    grey = np.where(mask, 255, 0).astype(np.uint8)
    image = {
        "L": lambda: Image.fromarray(grey),
        "RGB": lambda: Image.fromarray(grey).convert("RGB"),
        "red": lambda: Image.fromarray(np.dstack([grey, grey * 0, grey * 0])),
        "RGBA": lambda: Image.fromarray(np.dstack([grey, grey, grey, np.full_like(grey, 255)])),
        "P": lambda: Image.fromarray(grey).convert("P"),
        "1": lambda: Image.fromarray(grey).convert("1"),
        "I;16": lambda: Image.fromarray(np.where(mask, 65535, 0).astype(np.uint16)),
        "ones": lambda: Image.fromarray(mask.astype(np.uint8)),
    }[coding]()
    image.save(tmp_path / "mask.png")
    for above in (0, 127):
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png", above=above), mask)


@given(st.sampled_from(["png", "jpg", "tif", "bmp"]), st.integers(0, 2**31), st.booleans())
@settings(max_examples=150, deadline=None)
def test_damage_gives_a_size_or_a_name(tmp_path_factory, suffix, seed, cut):
    rng = np.random.default_rng(seed)
    path = tmp_path_factory.getbasetemp() / f"damaged.{suffix}"
    Image.fromarray(rng.integers(0, 255, (12, 17, 3), dtype=np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    if cut:
        data = data[: rng.integers(len(data))]
    else:
        for place in rng.integers(len(data), size=6):
            data[place] = rng.integers(256)
    path.write_bytes(bytes(data))
    for read in (image_size, lambda path: read_mask(path, above=0).shape):
        with suppress(UnusableError):
            assert len(read(path)) == 2


def test_other_files_under_an_image_name_are_not_opened(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(UnusableError):
        image_size(tmp_path / "a.jpg")
    with pytest.raises(UnusableError, match="no image"):
        image_size(tmp_path / "b.jpg")
