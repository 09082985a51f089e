"""Run-length masks decode to exactly the mask a slow encoder was given, and broken ones are refused."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.datasets.coco_masks import decode_rle
from training.errors import DatasetError

DISC = b"_:;k04M2M4M2O0O2N2O0O2O00000000000000000001N101N2N101N3L3N3Lk?"
"""What pycocotools.mask.encode makes of a disc of radius 15 about (22, 20)."""
MASKS = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))


def runs_of(mask):
    """Lengths of runs, pixel by pixel down the columns, outside first."""
    runs, last = [0], False
    for column in range(mask.shape[1]):
        for row in range(mask.shape[0]):
            if bool(mask[row, column]) != last:
                last = not last
                runs.append(0)
            runs[-1] += 1
    return runs


def string_of(runs):
    """COCO's string, written from its description: signed, five bits a character, bit 32 for more."""
    text = ""
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | (32 if more else 0)))
    return text


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_both_writings_decode_to_the_mask(mask):
    runs = runs_of(mask)
    for counts in (runs, tuple(runs), np.array(runs), string_of(runs), string_of(runs).encode()):
        np.testing.assert_array_equal(decode_rle(counts, mask.shape), mask)


def test_long_runs_and_a_known_string():
    mask = np.zeros((700, 900), bool)
    mask[100:650, 33:871] = True
    np.testing.assert_array_equal(decode_rle(string_of(runs_of(mask)), mask.shape), mask)
    rows, columns = np.mgrid[:40, :50]
    disc = (rows - 20) ** 2 + (columns - 22) ** 2 < 15**2
    np.testing.assert_array_equal(decode_rle(DISC, (40, 50)), disc)


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([1, 2], (2, 2)),
        ([5, -1], (2, 2)),
        ([[4]], (2, 2)),
        ([4.0], (2, 2)),
        ([[1], [1, 2]], (2, 2)),
        ([1 << 62, 1 << 62], (2, 2)),
        ("4", (0, 4)),
        ("4", (2.5, 2)),
        ([4], (1 << 20, 1 << 20)),
        ("\x01", (1, 1)),
        ("T", (1, 1)),
        ("o" * 40, (1, 1)),
        ("é", (1, 1)),
        ("", (1, 1)),
    ],
)
def test_broken_ones_are_refused(counts, size):
    with pytest.raises(DatasetError):
        decode_rle(counts, size)


@given(st.text(alphabet=[chr(c) for c in range(48, 113)], max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_string_gives_a_mask_or_a_sentence(text):
    with suppress(DatasetError):
        assert decode_rle(text, (4, 5)).shape == (4, 5)
