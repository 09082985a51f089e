"""Claim: masks for a reward are the segmenter's own at inference, and the same from an actor in Ray."""

import numpy as np
import pytest

from reasoner.answer import TileView
from reasoner.engines.null import NullSegmenter
from reasoner.loading import load_segmenter
from reasoner.profiles import NANO
from reasoner.query import Query
from tests.training.answers import read, spoken
from training.errors import LaunchError
from training.rl.mask_union import INSIDE, MaskMaker, SegmenterMasks

SIZE = 128


def blobs(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two bright discs on dark ground, and their boxes."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIZE, :SIZE]
    pixels = rng.integers(40, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    boxes = []
    for cx, cy, r in ((30 + seed, 40, 14), (90, 85 - seed, 20)):
        pixels[(x - cx) ** 2 + (y - cy) ** 2 < r * r] = 220
        boxes.append([cx - r, cy - r, cx + r, cy + r])
    return pixels, np.array(boxes, dtype=np.float64)


@pytest.fixture(scope="module")
def work() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Two pictures; three sets of boxes about the first, one of them empty, in mixed order."""
    (one, boxes), (two, others) = blobs(0), blobs(9)
    return [one, two, one, one], [boxes, others[:1], np.empty((0, 4)), boxes[1:]]


class Counting:
    """A segmenter that notes how often an image reaches it."""

    digest = "counting"

    def __init__(self) -> None:
        self.seen: list[int] = []

    def segment(self, view, answers):
        self.seen.append(len(answers))
        return NullSegmenter().segment(view, answers)


def test_each_image_is_encoded_once_and_answers_keep_their_places(work):
    pixels, boxes = work
    counting = Counting()
    unions = SegmenterMasks(counting).union_masks(pixels, boxes)
    assert counting.seen == [3, 1]
    for union, placed in zip(unions, boxes, strict=True):
        expected = np.zeros((SIZE, SIZE), bool)
        for x0, y0, x1, y1 in placed.astype(int):
            expected[y0:y1, x0:x1] = True
        np.testing.assert_array_equal(union, expected)


@pytest.mark.parametrize("centre_points", [False, True])
def test_masks_are_those_of_the_answers_the_pipeline_would_segment(work, centre_points):
    segmenter = load_segmenter("nano", device="cpu")
    (pixels, *_), (boxes, *_) = work
    answer = read(NANO, spoken(NANO, boxes), Query("where are the discs?"))
    if centre_points:
        points = tuple(np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]) for x0, y0, x1, y1 in boxes)
        answer = type(answer)(
            **{**{name: getattr(answer, name) for name in answer.__slots__}, "points": points}
        )
    (masks,) = segmenter.segment(TileView(pixels, "a"), [answer])
    (union,) = SegmenterMasks(segmenter, centre_points=centre_points).union_masks([pixels], [boxes])
    np.testing.assert_array_equal(union, (masks.probabilities > INSIDE).any(axis=0))
    assert union.any()
    assert not union.all()


def test_images_and_boxes_must_go_together(work):
    pixels, boxes = work
    with pytest.raises(ValueError, match="4 images do not go with 3"):
        SegmenterMasks(NullSegmenter()).union_masks(pixels, boxes[:3])


@pytest.mark.ray
def test_an_actor_called_by_two_processes_gives_the_masks_of_this_process(work, ray_here):
    import ray

    from training.rl.ray_masks import MaskActorOptions, RayMasks, start_masks

    pixels, boxes = work
    here = SegmenterMasks(load_segmenter("nano", device="cpu")).union_masks(pixels, boxes)
    served: MaskMaker = start_masks(MaskActorOptions("nano"))
    assert isinstance(served, RayMasks)

    @ray.remote(num_cpus=0)
    def worker(maker: MaskMaker) -> list[np.ndarray]:
        return maker.union_masks(pixels, boxes)

    elsewhere = worker.remote(served)
    for there in (served.union_masks(pixels, boxes), ray.get(elsewhere)):
        assert len(there) == len(here)
        for one, other in zip(there, here, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="do not go with"):
        served.union_masks(pixels, boxes[:1])
    ray.kill(served.actor)
    with pytest.raises(LaunchError, match="mask actor failed"):
        served.union_masks(pixels, boxes)


def test_a_missing_ray_is_reported(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    from training.rl.ray_masks import MaskActorOptions, start_masks

    with pytest.raises(LaunchError, match="no Ray runs here"):
        start_masks(MaskActorOptions("nano"))
