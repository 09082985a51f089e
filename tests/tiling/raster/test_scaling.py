"""Claim: one stretch per run, from percentiles of valid values; 8-bit scenes are shown as they are."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worlds.rasters import described, noise, write
from tiling.errors import SceneError
from tiling.raster.scaling import Scaling, estimate_scaling


@given(
    st.integers(-1000, 1000),
    st.integers(1, 5000),
    st.sampled_from(["int16", "uint16", "int32", "float32", "int8"]),
)
def test_values_are_stretched_straight_and_cut_at_both_ends(low: int, span: int, dtype: str) -> None:
    info = np.iinfo(dtype) if np.dtype(dtype).kind in "iu" else None
    ends = (info.min, info.max) if info else (-1e5, 1e5)
    values = np.linspace(*ends, 101).astype(dtype).reshape(1, 1, 101)
    valid = np.ones((1, 101), dtype=bool)
    valid[0, 50] = False
    shown = Scaling((low,), (low + span,)).apply(values, valid)
    expected = np.rint(np.clip((values.astype(float) - low) / span, 0, 1) * 255)
    expected[0, 0, 50] = 0
    assert shown.dtype == np.uint8
    assert (shown == expected).all()


@pytest.mark.parametrize(("low", "high"), [((1.0,), (1.0,)), ((0.0, 0.0), (1.0,)), ((), ())])
def test_a_stretch_without_extent_is_refused(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="low"):
        Scaling(low, high)
    with pytest.raises(ValueError, match="3 bands"):
        Scaling((0.0,), (1.0,)).apply(noise(3, 4, 4), np.ones((4, 4), dtype=bool))


def test_eight_bit_scenes_need_none(tmp_path: Path) -> None:
    assert estimate_scaling([described(write(tmp_path / "a.tif", noise()))]) is None


def test_the_estimate_is_the_percentiles_of_the_valid_values(tmp_path: Path) -> None:
    values = np.arange(3 * 200 * 200, dtype="uint16").reshape(3, 200, 200) // 2 + 100
    values[:, :50] = 0
    scaling = estimate_scaling([described(write(tmp_path / "a.tif", values, nodata=0))])
    assert scaling is not None
    true = np.percentile(values[:, 50:].reshape(3, -1), (2, 98), axis=1)
    assert np.allclose([scaling.low, scaling.high], true)


def test_large_scenes_are_sampled_and_the_estimate_stays_near(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = (rng.normal(1000, 100, (1, 2000, 1700)) + np.linspace(0, 500, 1700)).astype("uint16")
    scene = described(write(tmp_path / "a.tif", values, tiled=True, blockxsize=256, blockysize=256))
    scaling = estimate_scaling([scene])
    assert scaling is not None
    assert np.allclose([scaling.low[0], scaling.high[0]], np.percentile(values, (2, 98)), atol=25)
    assert estimate_scaling([scene]) == scaling


def test_scenes_of_nothing_but_nodata_still_give_a_stretch(tmp_path: Path) -> None:
    empty = described(write(tmp_path / "a.tif", np.zeros((1, 50, 50), dtype="uint16"), nodata=0))
    flat = described(write(tmp_path / "b.tif", np.full((1, 50, 50), 7, dtype="uint16")))
    for scene in (empty, flat):
        scaling = estimate_scaling([scene])
        assert scaling is not None
        assert scaling.low[0] < scaling.high[0]


def test_one_unreadable_scene_does_not_stop_the_estimate(tmp_path: Path) -> None:
    good = described(write(tmp_path / "a.tif", noise(1, dtype="uint16")))
    gone = described(write(tmp_path / "b.tif", noise(1, dtype="uint16")))
    Path(gone.uri).unlink()
    assert estimate_scaling([good, gone]) == estimate_scaling([good])
    with pytest.raises(SceneError, match="no such file"):
        estimate_scaling([gone])


def test_grey_and_colour_of_deep_scenes_are_not_mixed(tmp_path: Path) -> None:
    grey = described(write(tmp_path / "a.tif", noise(1, dtype="uint16")))
    colour = described(write(tmp_path / "b.tif", noise(3, dtype="uint16")))
    with pytest.raises(SceneError, match="runs of their own"):
        estimate_scaling([grey, colour])
