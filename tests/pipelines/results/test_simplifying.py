"""Claim: simplified outlines have fewer corners, hardly move, and leave no gap between neighbours."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from pipelines.results.export import METRES_A_DEGREE, simplified

DEGREES = 1 / METRES_A_DEGREE
"""Of latitude in a metre."""


def wavy(x: float, seed: int) -> list[tuple[float, float]]:
    """A border from south to north with a metre of noise, metres."""
    rng = np.random.default_rng(seed)
    return [(x + float(rng.normal(0, 0.4)), float(y)) for y in range(0, 101, 2)]


def parcels() -> NDArray[np.object_]:
    """Four fields side by side; each shares its whole border with the next."""
    borders = [wavy(100.0 * number, number) for number in range(5)]
    rings = [[*left, *reversed(right)] for left, right in pairwise(borders)]
    scale = np.array([DEGREES / np.cos(np.radians(50)), DEGREES])
    return np.array([shapely.Polygon(np.array(ring) * scale + (3.0, 50.0)) for ring in rings], dtype=object)


def test_neighbours_keep_their_common_border() -> None:
    before = parcels()
    after = simplified(before, 2.0)
    assert shapely.get_num_coordinates(after).sum() < 0.4 * shapely.get_num_coordinates(before).sum()
    assert shapely.is_valid(after).all()
    assert shapely.coverage_is_valid(after)
    gap = shapely.area(shapely.union_all(after)) / shapely.area(after).sum()
    assert gap == pytest.approx(1.0, abs=1e-9)
    assert shapely.area(after).sum() == pytest.approx(shapely.area(before).sum(), rel=0.01)


def test_each_on_its_own_would_leave_gaps() -> None:
    alone = np.concatenate([simplified(each, 0.5) for each in np.split(parcels(), 4)])
    assert not shapely.coverage_is_valid(alone)
    assert shapely.coverage_is_valid(simplified(parcels(), 0.5))


def test_overlapping_and_lonely_outlines_are_simplified_on_their_own() -> None:
    scale = np.array([DEGREES / np.cos(np.radians(60)), DEGREES])
    discs = [shapely.Point(x, 0).buffer(30, 64) for x in (0, 40, 500)]
    before = np.array([shapely.transform(d, lambda p: p * scale + (10, 60)) for d in discs], dtype=object)
    after = simplified(before, 1.0)
    assert (shapely.get_num_coordinates(after) < 40).all()
    assert shapely.is_valid(after).all()
    assert (shapely.hausdorff_distance(before, after) < 2.5 * DEGREES / np.cos(np.radians(60))).all()


def test_holes_and_parts_survive() -> None:
    ring = shapely.Point(0, 0).buffer(50, 64).difference(shapely.Point(0, 0).buffer(25, 64))
    both = shapely.MultiPolygon([ring, shapely.Point(200, 0).buffer(20, 64)])
    before = np.array([shapely.transform(both, lambda p: p * DEGREES)], dtype=object)
    (after,) = simplified(before, 2.0)
    assert (after.geom_type, len(after.geoms), len(after.geoms[0].interiors)) == ("MultiPolygon", 2, 1)
