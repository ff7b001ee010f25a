"""The curves of zoom and glide, the speed of a drag, and where the reader is heading."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from her2viewer.viewer.canvas.motion import (
    GLIDE_S,
    LEAST_SPEED,
    MOST_SPEED,
    TRACE_S,
    ZOOM_S,
    Glide,
    Heading,
    Trace,
    ZoomEase,
)
from her2viewer.viewer.canvas.viewport import Viewport

VIEW = Viewport(50_000, 40_000, 2.0, 1920, 1080)
angles = st.sampled_from([0.0, 90.0, 180.0, 270.0, 37.0])
views = st.builds(
    Viewport,
    st.floats(0, 1e5),
    st.floats(0, 1e5),
    st.floats(0.125, 64),
    st.integers(200, 4000),
    st.integers(200, 3000),
    angles,
    st.sampled_from([1.0, 1.5, 2.0]),
)


@given(views, st.floats(0.125, 64), st.floats(0, 1000), st.floats(0, 800), st.floats(0, 2 * ZOOM_S))
def test_the_point_under_the_pointer_stays_there_all_through_a_zoom(view, downsample, sx, sy, t):
    step = ZoomEase(view, downsample, sx, sy).at(t)
    assert step.to_slide(sx, sy) == pytest.approx(view.to_slide(sx, sy), abs=1e-6 * 1e5)


@given(views, st.floats(0.125, 64), st.lists(st.floats(0, ZOOM_S), min_size=2, max_size=6))
def test_a_zoom_goes_one_way_and_ends_exactly_where_a_single_step_ends(view, downsample, times):
    ease = ZoomEase(view, downsample, 100, 50)
    assert ease.at(ZOOM_S) == view.zoomed(downsample, 100, 50)
    assert ease.at(0).downsample == pytest.approx(view.downsample)
    steps = [ease.at(t).downsample for t in sorted(times)]
    slack = 1e-9 * max(view.downsample, downsample)
    if downsample >= view.downsample:
        assert all(b >= a - slack for a, b in itertools.pairwise(steps))
    else:
        assert all(b <= a + slack for a, b in itertools.pairwise(steps))


speeds = st.floats(-MOST_SPEED, MOST_SPEED)


@given(views, speeds, speeds, st.floats(0, 10))
def test_a_glide_never_goes_beyond_its_rest(view, vx, vy, t):
    glide = Glide(view, vx, vy)
    x, y = glide.at(t).to_screen(view.cx, view.cy)
    moved = math.hypot(x - view.width / 2 / view.dpr, y - view.height / 2 / view.dpr)
    assert moved <= math.hypot(vx, vy) * GLIDE_S + 1e-3
    assert glide.at(4 * GLIDE_S) == glide.at(t + 4 * GLIDE_S) == glide.rest()
    assert glide.over(4 * GLIDE_S)


def test_a_glide_begins_with_the_speed_of_the_hand():
    glide = Glide(VIEW, 900.0, -300.0)
    x, y = glide.at(0.001).to_screen(VIEW.cx, VIEW.cy)
    assert (x - 960, y - 540) == pytest.approx((0.9, -0.3), rel=0.01)


def dragged(*points: tuple[float, float, float]) -> Trace:
    trace = Trace()
    for point in points:
        trace.add(*point)
    return trace


def test_the_speed_of_a_drag_is_that_of_its_last_part():
    steps = [(0.01 * i, 0.0, 0.0) for i in range(50)] + [(0.5 + 0.01 * i, 10.0 * i, -5.0 * i) for i in range(20)]
    vx, vy = dragged(*steps).speed(0.69)
    assert (vx, vy) == pytest.approx((1000, -500), rel=0.01)


def test_a_hand_that_rests_before_it_lets_go_means_to_stop():
    trace = dragged((0.0, 0, 0), (0.01, 50, 0), (0.02, 100, 0))
    assert trace.speed(0.02)[0] > LEAST_SPEED
    assert trace.speed(0.02 + TRACE_S + 0.01) == (0, 0)


def test_a_slow_drag_just_ends():
    assert dragged((0.0, 0, 0), (0.05, 2, 1)).speed(0.05) == (0, 0)


@given(st.lists(st.tuples(st.floats(0, 0.2), st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)), max_size=12))
def test_no_drag_is_too_fast_to_follow(points):
    trace = dragged(*sorted(points))
    assert math.hypot(*trace.speed(0.2)) <= MOST_SPEED * (1 + 1e-9)


def headed(*moves: tuple[float, Viewport]) -> Heading:
    heading = Heading()
    for t, view in moves:
        heading.note(t, view)
    return heading


def test_a_pan_is_expected_to_go_on_at_its_speed():
    # 1000 logical px/s to the right: the tissue goes left.
    moves = [(i / 60, VIEW.panned(-1000 * i / 60, 0)) for i in range(30)]
    last = moves[-1][1]
    ahead = headed(*moves).ahead(last)
    assert ahead is not None
    assert (ahead.cx - last.cx) / last.downsample == pytest.approx(500, rel=0.1)
    assert ahead.cy == last.cy


def test_a_step_of_a_key_is_expected_to_be_followed_by_the_same_step():
    last = VIEW.panned(0, -1080)
    ahead = headed((0.0, VIEW), (5.0, last)).ahead(last)
    assert ahead == last.panned(0, -1080)


@given(views, st.lists(st.tuples(st.floats(0.001, 0.5), st.floats(-900, 900), st.floats(-900, 900)), max_size=8))
def test_nothing_beyond_the_next_view_is_expected(view, moves):
    heading, t = Heading(), 0.0
    heading.note(t, view)
    for dt, dx, dy in moves:
        t, view = t + dt, view.panned(dx, dy)
        heading.note(t, view)
    ahead = heading.ahead(view)
    if ahead is not None:
        x, y = view.to_screen(ahead.cx, ahead.cy)
        w, h = view.width / view.dpr, view.height / view.dpr
        assert abs(x / w - 0.5) <= 1 + 1e-6
        assert abs(y / h - 0.5) <= 1 + 1e-6


def test_a_jump_another_zoom_and_rest_have_no_direction():
    near = VIEW.panned(-100, 0)
    assert headed().ahead(VIEW) is None
    assert headed((0.0, VIEW), (0.1, VIEW)).ahead(VIEW) is None
    assert headed((0.0, VIEW), (0.1, VIEW.centred(0, 0))).ahead(VIEW.centred(0, 0)) is None
    zoomed = near.zoomed(1.0, 0, 0)
    assert headed((0.0, VIEW), (0.1, near), (0.2, zoomed)).ahead(zoomed) is None
    assert headed((0.0, VIEW), (0.1, near)).ahead(zoomed) is None
    assert headed((0.0, VIEW), (0.1, near)).ahead(near) is not None
