"""Greedy pairs are one to one, the largest overlap goes first, nothing that fits is left over."""

from hypothesis import given
from hypothesis import strategies as st

from tiling.geo import greedy_pairs

candidates = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.2, 0.5, 0.9])))


def test_the_largest_overlap_goes_first_and_equal_ones_go_as_listed() -> None:
    assert greedy_pairs([0, 0, 1, 1], [0, 1, 0, 1], [0.5, 0.9, 0.8, 0.7]).tolist() == [1, 2]
    assert greedy_pairs([0, 1], [0, 0], [0.5, 0.5]).tolist() == [0]
    assert greedy_pairs([1, 0], [0, 0], [0.5, 0.5]).tolist() == [0]
    assert greedy_pairs([], [], []).tolist() == []


@given(candidates)
def test_the_pairs_are_those_of_taking_the_best_again_and_again(pairs: list[tuple[int, int, float]]) -> None:
    left, expected = list(enumerate(pairs)), []
    while left:
        at, (one, other, _) = max(left, key=lambda each: (each[1][2], -each[0]))
        expected.append(at)
        left = [each for each in left if each[1][0] != one and each[1][1] != other]
    chosen = greedy_pairs([a for a, _, _ in pairs], [b for _, b, _ in pairs], [c for *_, c in pairs])
    assert chosen.tolist() == expected
