"""The score counts each true object at most once."""

import geopandas
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from pipelines.demo import Score, score_objects


def series(*boxes: tuple[float, float, float, float]) -> geopandas.GeoSeries:
    return geopandas.GeoSeries([shapely.box(*box) for box in boxes], crs="EPSG:32631")


def test_two_detections_of_one_object_count_as_one_right() -> None:
    true = series((500000, 0, 500010, 10))
    found = series((500000, 0, 500010, 10), (500001, 0, 500010, 10), (500100, 0, 500110, 10))
    assert score_objects(found, true) == Score(true=1, found=3, right=1)


def test_the_best_overlap_is_matched_first() -> None:
    true = series((500000, 0, 500010, 10), (500003, 0, 500013, 10))
    found = series((500003, 0, 500013, 10), (500000, 0, 500010, 10))
    assert score_objects(found, true, iou=0.5).right == 2


@pytest.mark.parametrize(("found", "true", "f1"), [((), (), 1.0), ((1,), (), 0.0), ((), (1,), 0.0)])
def test_nothing_found_of_nothing_is_perfect(
    found: tuple[int, ...], true: tuple[int, ...], f1: float
) -> None:
    box = (500000.0, 0.0, 500010.0, 10.0)
    score = score_objects(series(*(box for _ in found)), series(*(box for _ in true)))
    assert score.f1 == f1


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12, unique=True), st.randoms())
def test_any_set_matches_itself_in_any_order(corners: list[tuple[int, int]], random: object) -> None:
    boxes = [(500000 + 20 * x, 20 * y, 500015 + 20 * x, 15 + 20 * y) for x, y in corners]
    shuffled = list(boxes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    score = score_objects(series(*shuffled), series(*boxes), iou=0.99)
    assert score.right == score.true == score.found == len(boxes)
