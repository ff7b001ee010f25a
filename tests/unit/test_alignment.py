"""Where a place of one slide lies on another: landmarks in, transform out."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.domain.alignment import (
    Alignment,
    AlignmentError,
    Landmark,
    Similarity,
    alignment_from_json,
    alignment_to_json,
    fit,
    residual,
)

number = st.floats(-50_000, 50_000)
transforms = st.builds(
    Similarity,
    scale=st.floats(0.05, 20),
    rotation=st.floats(0, 359.99),
    flip=st.booleans(),
    dx=number,
    dy=number,
)
CORNERS = ((100.0, 200.0), (9_000.0, 700.0), (4_000.0, 8_000.0), (800.0, 6_000.0))


def landmarks(transform: Similarity, count: int = 4) -> tuple[Landmark, ...]:
    return tuple(Landmark(p, transform.apply(*p)) for p in CORNERS[:count])


def near(a, b, tolerance=1e-6):
    return math.dist(a, b) <= tolerance * (1 + math.hypot(*b))


@given(transforms, number, number)
def test_the_inverse_leads_back(transform, x, y):
    back = transform.inverse().apply(*transform.apply(x, y))
    assert near(back, (x, y))


@given(transforms)
def test_the_inverse_of_the_inverse_is_the_transform(transform):
    for point in CORNERS:
        assert near(transform.inverse().inverse().apply(*point), transform.apply(*point))


@given(transforms, st.integers(2, 4))
def test_landmarks_give_back_the_transform_that_made_them(transform, count):
    found = fit(landmarks(transform, count), transform.flip)
    for point in ((0.0, 0.0), (12_345.0, -678.0)):
        assert near(found.apply(*point), transform.apply(*point))
    assert found.flip == transform.flip
    assert found.scale == pytest.approx(transform.scale)


@given(transforms)
def test_three_landmarks_say_whether_a_slide_is_flipped(transform):
    start = Alignment(Similarity(flip=not transform.flip))
    found = start.fitted(landmarks(transform, 3))
    assert found.transform.flip == transform.flip
    assert found.residual_um(0.5) == pytest.approx(0, abs=1e-3)


def test_two_landmarks_leave_the_flip_to_the_reader():
    transform = Similarity(1.2, 30, True, 10, 20)
    found = Alignment(Similarity()).fitted(landmarks(transform, 2))
    assert not found.transform.flip
    assert found.flipped(5000, 5000).transform.flip
    assert residual(found.flipped(5000, 5000).transform, found.landmarks) < 1e-6


@given(transforms, number, number, number, number)
def test_one_landmark_moves_and_neither_turns_nor_scales(transform, x, y, u, v):
    found = Alignment(transform).fitted([Landmark((x, y), (u, v))])
    assert near(found.transform.apply(x, y), (u, v))
    assert (found.transform.scale, found.transform.rotation) == (transform.scale, transform.rotation)


@given(transforms, st.floats(100, 50_000))
def test_on_the_mirror_image_a_flip_is_none(transform, width):
    mirrored = transform.on_mirrored(width)
    assert mirrored.flip != transform.flip
    for point in CORNERS:
        x, y = transform.apply(*point)
        assert near(mirrored.apply(*point), (width - x, y))


def test_a_turn_is_clockwise_on_the_screen():
    x, y = Similarity(1, 90).apply(1, 0)
    assert (x, y) == pytest.approx((0, 1))


def test_a_flip_exchanges_left_and_right():
    assert Similarity(flip=True, dx=100).apply(30, 7) == pytest.approx((70, 7))


@given(transforms, st.floats(1_000, 40_000))
def test_turning_over_keeps_the_middle_in_place(transform, width):
    before = Alignment(transform)
    after = before.flipped(width, 900)
    middle = before.transform.inverse().apply(width / 2, 450)
    assert after.transform.flip != transform.flip
    assert near(after.transform.apply(*middle), (width / 2, 450), 1e-5)
    again = after.flipped(width, 900)
    assert near(again.transform.apply(5, 6), transform.apply(5, 6), 1e-5)


def test_the_residual_is_what_the_landmarks_miss_by_in_um():
    exact = landmarks(Similarity(2.0))
    moved = (Landmark(exact[0].here, (exact[0].there[0] + 40, exact[0].there[1])), *exact[1:])
    assert residual(Similarity(2.0), moved) == pytest.approx(math.sqrt(40**2 / 4) / 2)
    found = Alignment().fitted(moved)
    missed = found.residual_um(0.25)
    assert missed is not None
    assert 0 < missed < 10 * 0.25


def test_two_landmarks_have_no_residual():
    assert Alignment().fitted(landmarks(Similarity(), 2)).residual_um(0.5) is None


@pytest.mark.parametrize("flip", [False, True])
def test_landmarks_in_one_place_are_refused(flip):
    same = [Landmark((10, 10), (5, 5)), Landmark((10, 10), (900, 40)), Landmark((10, 10), (3, 800))]
    with pytest.raises(AlignmentError, match="one place"):
        fit(same, flip)
    with pytest.raises(AlignmentError, match="one place"):
        fit([Landmark(m.there, m.here) for m in same], flip)


def test_the_first_guess_lays_middle_on_middle():
    guess = Alignment.guessed((1000, 600), (4000, 1000), 2.0)
    assert guess.transform.apply(500, 300) == pytest.approx((2000, 500))
    assert not guess.known


@given(transforms)
def test_an_alignment_survives_its_file(transform):
    whole = Alignment(transform, landmarks(transform, 3), True)
    assert alignment_from_json(json.loads(json.dumps(alignment_to_json(whole)))) == whole


@pytest.mark.parametrize(
    "change",
    [{"scale": 0}, {"scale": "a"}, {"flip": 1}, {"dx": float("nan")}, {"landmarks": [[1, 2, 3]]}, {"landmarks": 5}],
)
def test_a_damaged_alignment_is_refused(change):
    with pytest.raises(ValueError, match="damaged"):
        alignment_from_json({**alignment_to_json(Alignment()), **change})
