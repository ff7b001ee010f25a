"""The limits of the guideline and the patches chosen by them (paper 001, Eq. 3 to 14), by hand."""

from __future__ import annotations

import numpy as np
import pytest
from her2viewer_surface.constraints import select
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from her2viewer.training.limits import LOWER, UPPER, excess, fractions, score_of
from her2viewer.training.slide_level import SlideLevel


def _certain(classes: list[int], confidence: list[float]) -> np.ndarray:
    """Probabilities with the given class on top, the rest spread over the others."""
    p = np.empty((len(classes), 4))
    for row, (grade, sure) in enumerate(zip(classes, confidence, strict=True)):
        p[row] = (1 - sure) / 3
        p[row, grade] = sure
    return p


def test_the_limits_are_those_of_the_paper() -> None:
    assert LOWER.tolist() == [[0.7, 0, 0, 0], [0, 0.1, 0, 0], [0, 0, 0.1, 0], [0, 0, 0, 0.1]]
    assert UPPER.tolist() == [[0, 0.1, 0.1, 0.1], [0, 0, 0.1, 0.1], [0, 0, 0, 0.1], [0, 0, 0, 0]]


def test_fractions_are_weighted_by_tumour_and_need_no_normalised_weights() -> None:
    assert fractions(np.array([0, 1, 1, 3]), np.array([2.0, 1.0, 4.0, 1.0])).tolist() == [0.25, 0.625, 0.0, 0.125]
    assert fractions(np.array([0, 1]), np.zeros(2)).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("share", "score"),
    [((0.82, 0.09, 0.09, 0), 0), ((0.9, 0.1, 0, 0), 1), ((0.5, 0.36, 0.14, 0), 2), ((0.9, 0, 0, 0.1), 3)],
)
def test_a_slide_has_the_highest_class_with_ten_per_cent(share: tuple[float, ...], score: int) -> None:
    assert score_of(np.array(share)) == score


def test_the_papers_example_lacks_four_per_cent() -> None:
    # Section 3.5.1: a 1+ slide predicted [0.50, 0.36, 0.14, 0] must lose 4 % of class 2+.
    assert excess(np.array([0.5, 0.36, 0.14, 0]), 1) == pytest.approx(0.04)
    # The 0 slide misses 20 % of class 0 and has 26 % too much of 1+ and 4 % of 2+.
    assert excess(np.array([0.5, 0.36, 0.14, 0]), 0) == pytest.approx(0.2 + 0.26 + 0.04)
    assert excess(np.array([0.5, 0.36, 0.14, 0]), 2) == 0
    assert excess(np.array([0.5, 0.36, 0.14, 0]), 3) == pytest.approx(0.1)


def test_an_upper_limit_gives_the_least_probable_patches_until_less_than_ten_per_cent_is_left() -> None:
    # 20 patches of 5 %: four are said to be 2+ (20 %), the slide is 1+; the rest is 1+.
    classes = [2, 2, 2, 2] + [1] * 16
    confidence = [0.9, 0.5, 0.7, 0.6] + [0.9] * 16
    found = select(_certain(classes, confidence), np.ones(20), 1)
    # 10 % must go, and as the limit is strict, one patch more: the three least probable.
    assert found.over.tolist() == [1, 3, 2]
    assert found.over_class.tolist() == [2, 2, 2]
    assert found.under.tolist() == []


def test_exactly_ten_per_cent_breaks_the_strict_upper_limit() -> None:
    found = select(_certain([3] + [2] * 9, [0.6] + [0.9] * 9), np.ones(10), 2)
    assert found.over.tolist() == [0]
    below = select(_certain([3] + [2] * 10, [0.6] + [0.9] * 10), np.ones(11), 2)
    assert below.over.tolist() == []


def test_a_lower_limit_gives_the_neighbours_most_probable_for_the_slides_class() -> None:
    # A 2+ slide, ten patches: none is 2+. Neighbours are 1+ and 3+; the zeros are not asked.
    zeros, ones = [[0.7, 0.1, 0.2, 0.0]] * 6, [[0.1, 0.5, 0.4, 0], [0.1, 0.6, 0.3, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    p = np.array(zeros + ones)
    p[8] = [0.0, 0.1, 0.42, 0.48]
    found = select(p, np.ones(10), 2)
    assert found.under.tolist() == [8]
    assert found.over.tolist() == [8], "48 % sure of 3+ with a tenth of the tumour: it breaks the upper limit, too"


def test_a_lower_limit_that_neighbours_cannot_meet_takes_all_of_them() -> None:
    found = select(_certain([0] * 18 + [2, 2], [0.9] * 20), np.array([1.0] * 18 + [0.5, 0.5]), 3)
    assert found.under.tolist() == [18, 19]


def test_a_zero_slide_needs_seventy_per_cent_and_has_one_neighbour() -> None:
    # Half is 1+: the upper limit of 1+ and the lower of 0 are both broken.
    classes = [0] * 5 + [1] * 5
    confidence = [0.9] * 5 + [0.55, 0.6, 0.65, 0.7, 0.75]
    found = select(_certain(classes, confidence), np.ones(10), 0)
    assert found.over.tolist() == [5, 6, 7, 8, 9]
    assert sorted(found.under.tolist()) == [5, 6], "two patches make seventy per cent"


def test_a_three_plus_slide_has_no_upper_limits() -> None:
    found = select(_certain([3] * 10, [0.9] * 10), np.ones(10), 3)
    assert found.over.tolist() == []
    assert found.under.tolist() == []


def test_ties_are_taken_in_the_order_of_the_slide() -> None:
    found = select(_certain([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], [0.8] * 10), np.ones(10), 0)
    assert found.over.tolist() == [0, 1, 2, 3]
    assert found.under.tolist() == [0]


@pytest.mark.parametrize("score", range(4))
@pytest.mark.parametrize("grade", range(4))
def test_a_slide_of_one_patch_is_pushed_only_where_a_limit_is_broken(score: int, grade: int) -> None:
    found = select(_certain([grade], [0.9]), np.array([0.3]), score)
    assert found.over.tolist() == ([0] if grade > score else [])
    assert found.under.tolist() == ([0] if abs(grade - score) == 1 else [])


def test_a_slide_without_tumour_gives_nothing() -> None:
    found = select(_certain([3, 3], [0.9, 0.9]), np.zeros(2), 0)
    assert len(found.over) == len(found.under) == 0


@given(
    arrays(np.float64, st.tuples(st.integers(1, 40), st.just(4)), elements=st.floats(0.01, 1)),
    st.integers(0, 3),
    st.integers(0, 2**32 - 1),
)
def test_taking_the_chosen_patches_away_meets_every_upper_limit(raw: np.ndarray, score: int, seed: int) -> None:
    p = raw / raw.sum(axis=1, keepdims=True)
    weights = np.random.default_rng(seed).random(len(p)) + 0.01
    share, said = weights / weights.sum(), p.argmax(axis=1)
    found = select(p, weights, score)
    for grade in range(4):
        left = np.setdiff1d(np.flatnonzero(said == grade), found.over[found.over_class == grade])
        if grade > score:
            assert share[left].sum() < 0.1 + 1e-9
            picked = found.over[found.over_class == grade]
            if len(picked):
                # None too many: with the last one kept the limit would be broken.
                assert share[left].sum() + share[picked[-1]] >= 0.1 - 1e-9
                assert p[picked, grade].max() <= p[left, grade].min(initial=1.0)
        else:
            assert not (found.over_class == grade).any()
    own = share[said == score].sum() + share[found.under].sum()
    candidates = np.abs(said - score) == 1
    assert own >= LOWER[score, score] - 1e-9 or set(found.under) == set(np.flatnonzero(candidates))
    if share[said == score].sum() >= LOWER[score, score]:
        assert len(found.under) == 0


def test_figures_of_slides_are_those_of_their_class_fractions() -> None:
    share = np.array([[1.0, 0, 0, 0], [0.5, 0.36, 0.14, 0]])
    known = np.array([[np.nan] * 4, [0.4, 0.46, 0.14, 0]])
    slides = SlideLevel(("a", "b"), ("a", "b"), np.array([0, 1]), share, known)
    assert slides.predicted.tolist() == [0, 2]
    assert slides.macro_f1 == pytest.approx(0.5)
    assert slides.broken == pytest.approx(0.04)
    assert slides.slides_broken == 1
    assert slides.share_error == pytest.approx(5), "two of the four shares of the one slide are off by ten points"
