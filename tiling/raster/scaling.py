"""Scaling of stored values to 0..255 for the models, estimated once and the same for a whole run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tiling import Scene, SceneError
from tiling.raster.handles import held
from tiling.raster.header import DEFAULT_OPTIONS, OpenOptions
from tiling.raster.native_window import Area, Valid, Values, read_values
from tiling.storage import with_retry

PERCENTILES = (2.0, 98.0)
"""Percentiles of the values that become black and white."""

MAX_SCENES = 32
"""Scenes read for an estimate at most; of more scenes, an even sample."""

SAMPLE_PX = 768
"""Side of the decimated read of a scene with overviews; others are sampled with as many pixels."""

WINDOWS = 4
"""Sample windows per side of a scene without overviews."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """A linear stretch per band, fixed for a run."""

    low: tuple[float, ...]
    """Value displayed as 0, one per display band."""
    high: tuple[float, ...]
    """Value displayed as 255, one per display band; above `low`."""

    def __post_init__(self) -> None:
        ordered = all(low < high for low, high in zip(self.low, self.high, strict=False))
        if len(self.low) != len(self.high) or not self.low or not ordered:
            raise ValueError(f"scaling needs as many low as high values, each low below its high: {self}")

    def apply(self, values: Values, valid: Valid) -> NDArray[np.uint8]:
        """Stretch values to 0..255.

        Args:
            values: (bands, height, width), any real dtype.
            valid: (height, width); invalid pixels become 0.

        Returns:
            (bands, height, width) uint8.

        Raises:
            ValueError: The number of bands is not the one this scaling was made for.
        """
        if len(values) != len(self.low):
            raise ValueError(f"{len(values)} bands, but the scaling {self} is for {len(self.low)}")
        shown = np.empty(values.shape, dtype=np.uint8)
        for band, low, high, out in zip(values, self.low, self.high, shown, strict=True):
            out[...] = _stretched(band, low, high)
            out[~valid] = 0
        return shown


def _stretched(band: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if band.dtype.kind in "iu" and band.dtype.itemsize <= 2:
        # A table of at most 65,536 entries: ten times faster than arithmetic on every pixel.
        unsigned = band.view(f"u{band.dtype.itemsize}")
        every = np.arange(2 ** (8 * band.dtype.itemsize)).astype(unsigned.dtype).view(band.dtype)
        return np.asarray(_straight(every, low, high)[unsigned])
    return _straight(band, low, high)


def _straight(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    share = (np.nan_to_num(values.astype(np.float64)) - low) / (high - low)
    return np.asarray(np.rint(np.clip(share, 0.0, 1.0) * 255.0).astype(np.uint8))


def estimate_scaling(scenes: Sequence[Scene], options: OpenOptions = DEFAULT_OPTIONS) -> Scaling | None:
    """A scaling for a run: the 2nd and 98th percentile per band over overviews or samples of its scenes.

    Scenes of uint8 are displayed as they are and not used here; unreadable scenes are left out.

    Args:
        scenes: The scenes of the run.
        options: What their files may declare.

    Returns:
        The scaling, None where all scenes are uint8.

    Raises:
        SceneError: Grey and colour scenes of more than 8 bit are mixed, or none of them can be read.
    """
    originals = dict.fromkeys(original for scene in scenes for original in scene.originals)
    deep = [scene for scene in originals if scene.dtype != "uint8"]
    if not deep:
        return None
    counts = {len(scene.bands) for scene in deep}
    if len(counts) > 1:
        raise SceneError(deep[0].uri, "grey and colour scenes of more than 8 bit need runs of their own")
    every = np.linspace(0, len(deep) - 1, min(len(deep), MAX_SCENES)).round().astype(int)
    samples = np.concatenate(_samples([deep[i] for i in every], options), axis=1)
    if not samples.shape[1]:
        samples = _full_range(deep[0])
    low, high = _percentiles(samples)
    return Scaling(
        low=tuple(float(v) for v in low),
        high=tuple(float(max(h, v + _minimum_stretch(v))) for v, h in zip(low, high, strict=True)),
    )


def _percentiles(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, bands) low and high percentile of (bands, n) values.

    The values are sorted: partitioning, as in numpy's percentile, takes seconds if many values are equal.
    """
    place = np.array(PERCENTILES) / 100.0 * (samples.shape[1] - 1)
    ranks = np.arange(samples.shape[1])
    return np.stack([np.interp(place, ranks, np.sort(band)) for band in samples], axis=1)


def _minimum_stretch(value: float) -> float:
    """The minimum stretch: one unit, or the smallest difference that the float represents."""
    return float(max(1.0, abs(value) * 1e-6)) if abs(value) >= 1 else 1e-6


def _full_range(scene: Scene) -> NDArray[np.float64]:
    dtype = np.dtype(scene.dtype)
    ends = (0.0, 1.0) if dtype.kind == "f" else (float(np.iinfo(dtype).min), float(np.iinfo(dtype).max))
    return np.tile(np.array(ends), (len(scene.bands), 1))


def _samples(scenes: Sequence[Scene], options: OpenOptions) -> list[NDArray[np.float64]]:
    """Valid values (bands, n) of every scene that can be read."""
    samples, problem = [], None
    for scene in scenes:
        try:
            samples.append(with_retry(scene.bands[0].uri, partial(_sample, scene, options)))
        except SceneError as exc:
            problem = exc
    if not samples and problem:
        raise problem
    return samples


def _sample(scene: Scene, options: OpenOptions) -> NDArray[np.float64]:
    with held(scene.bands[0].uri, options, version=scene.identity) as dataset:
        has_overviews = bool(dataset.overviews(scene.bands[0].index))
    parts = []
    for area in _areas(scene, has_overviews):
        values, valid = read_values(scene, area, options=options)
        parts.append(values[:, valid].astype(np.float64))
    return np.concatenate(parts, axis=1)


def _areas(scene: Scene, has_overviews: bool) -> Iterator[Area]:
    width, height = scene.width, scene.height
    shrink = max(1.0, max(width, height) / SAMPLE_PX)
    if has_overviews or shrink <= 2:
        yield Area(0, 0, width, height, max(1, round(height / shrink)), max(1, round(width / shrink)))
        return
    side = SAMPLE_PX // WINDOWS
    w, h = min(side, width), min(side, height)
    for top in np.linspace(0, height - h, WINDOWS).astype(int):
        for left in np.linspace(0, width - w, WINDOWS).astype(int):
            yield Area(int(left), int(top), int(left) + w, int(top) + h, h, w)
