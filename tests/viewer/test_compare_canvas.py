"""Two canvases that move together: zoom, pan, rotation, limits, memory; and no loop between them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from her2viewer.domain.alignment import Similarity
from her2viewer.slides.mirrored import MirroredSlide
from her2viewer.viewer.canvas.budget import Budget
from her2viewer.viewer.canvas.motion import ZOOM_S
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.compare.canvas import FollowingCanvas
from her2viewer.viewer.compare.follow import followed, relation, same_view
from tests.helpers.array_slide import ArraySlide
from tests.helpers.canvases import drag, tissue, turn_wheel, wait_idle, wait_sharp

transforms = st.builds(
    Similarity,
    scale=st.floats(0.1, 10),
    rotation=st.floats(0, 359.9),
    dx=st.floats(-9000, 9000),
    dy=st.floats(-9000, 9000),
)
views = st.builds(
    Viewport,
    cx=st.floats(0, 9000),
    cy=st.floats(0, 9000),
    downsample=st.floats(0.5, 64),
    width=st.integers(100, 2000),
    height=st.integers(100, 2000),
    rotation=st.sampled_from([0.0, 90.0, 33.0, 270.0]),
)


@given(views, transforms, st.floats(0, 500), st.floats(0, 500))
def test_the_same_tissue_lies_at_the_same_place_of_both_screens(view, transform, sx, sy):
    other = followed(view, transform)
    x, y = transform.apply(*view.to_slide(sx, sy))
    # A view nearly upright is shown upright: half a pixel at the edge of a screen.
    assert math.dist(other.to_screen(x, y), (sx, sy)) < 0.6


@given(views, transforms)
def test_following_back_shows_the_same_view(view, transform):
    assert same_view(followed(followed(view, transform), transform.inverse()), view)


@given(views, transforms)
def test_the_relation_of_two_views_is_what_one_follows_by(view, transform):
    found = relation(view, followed(view, transform))
    assert same_view(followed(view, found), followed(view, transform))


@pytest.fixture
def slide() -> ArraySlide:
    pixels = np.full((1500, 2000, 3), 235, dtype=np.uint8)
    rng = np.random.default_rng(4)
    for x, y in rng.integers(0, (1940, 1440), (150, 2)):
        pixels[y : y + 60, x : x + 60] = rng.integers(0, 255, 3)
    return ArraySlide(pixels)


@pytest.fixture
def pair(make_canvas, qtbot, slide):
    main = make_canvas(slide, 500, 400, workers=1)
    further = FollowingCanvas(main, workers=1)
    qtbot.addWidget(further, before_close_func=lambda canvas: canvas.shutdown())
    further.resize(500, 400)
    with qtbot.waitExposed(further):
        further.show()
    further.set_slide(slide, slide.pixel_size)
    return main, further


def test_a_new_view_shows_what_the_main_one_shows(pair):
    main, further = pair
    assert same_view(main.viewport, further.viewport)


def test_it_follows_zoom_and_rotation_of_the_main_view(pair, qtbot):
    main, further = pair
    main.zoom_by(2.0)
    main.rotate(90)
    assert same_view(main.viewport, further.viewport)
    wait_sharp(qtbot, main)
    wait_sharp(qtbot, further)
    assert np.array_equal(tissue(main), tissue(further))


def test_dragging_and_the_wheel_in_it_move_the_main_view(pair):
    main, further = pair
    turn_wheel(further, 120, 90, angle=480)
    drag(further, (200, 200), (260, 170), (300, 150))
    assert main.viewport.downsample < 2
    assert same_view(main.viewport, further.viewport)


def test_the_wheel_zooms_about_the_same_tissue_in_both(pair):
    main, further = pair
    further.resize(300, 250)
    before = further.viewport.to_slide(70, 60)
    turn_wheel(further, 70, 60, angle=240)
    assert further.viewport.to_slide(70, 60) == pytest.approx(before, abs=0.1)
    assert main.viewport.downsample == pytest.approx(further.viewport.downsample)


def test_each_move_is_made_once(pair):
    main, further = pair
    moves: list[str] = []
    main.viewport_changed.connect(lambda _: moves.append("main"))
    further.viewport_changed.connect(lambda _: moves.append("further"))
    main.set_viewport(replace(main.viewport, downsample=1.0, cx=700.0))
    assert sorted(moves) == ["further", "main"]
    moves.clear()
    further.alignment = Similarity(1.7, 31, False, 50, 60)
    moves.clear()
    further.set_viewport(further.viewport.panned(30, 20))
    assert sorted(moves) == ["further", "main"]


def test_many_moves_to_and_fro_do_not_drift(pair):
    main, further = pair
    main.set_viewport(replace(main.viewport, downsample=1.0))
    further.alignment = Similarity(0.7, 17, False, 20, 30)
    start = main.viewport
    for _ in range(200):
        further.set_viewport(further.viewport.panned(13, -7))
        # Both screens show the same tissue at the same angle: a pan is the same on both.
        main.set_viewport(main.viewport.panned(-13, 7))
    assert math.dist((main.viewport.cx, main.viewport.cy), (start.cx, start.cy)) < 1


def test_unlinked_each_moves_alone_and_linked_again_it_comes_back(pair):
    main, further = pair
    further.linked = False
    main.zoom_by(2.0)
    assert not same_view(main.viewport, further.viewport)
    further.set_viewport(replace(further.viewport, cx=100.0, cy=100.0, downsample=1.0))
    assert main.viewport.cx != 100.0
    further.linked = True
    assert same_view(main.viewport, further.viewport)


def test_the_limit_of_the_main_slide_holds_for_both(pair):
    main, further = pair
    main.set_viewport(replace(main.viewport, downsample=1.0))
    further.set_viewport(further.viewport.panned(-90_000, 0))
    assert main.viewport.cx == 2000
    assert same_view(main.viewport, further.viewport)


def test_beside_its_own_slide_it_shows_nothing_and_stays_in_step(pair, qtbot):
    main, further = pair
    further.alignment = Similarity(dx=5000)
    main.set_viewport(replace(main.viewport, downsample=1.0))
    wait_sharp(qtbot, further)
    assert further.viewport.cx == pytest.approx(main.viewport.cx + 5000)
    outside = further.outside_color
    assert (tissue(further) == (outside.red(), outside.green(), outside.blue())).all()


@pytest.mark.parametrize("downsample", [1 / 8, 1.0, 60.0])
@pytest.mark.parametrize("scale", [0.05, 20.0])
def test_slides_of_very_different_size_are_shown_in_step(pair, qtbot, scale, downsample):
    main, further = pair
    further.alignment = Similarity(scale)
    main.set_viewport(replace(main.viewport, downsample=downsample))
    wait_sharp(qtbot, further)
    assert further.viewport.downsample == pytest.approx(min(max(main.viewport.downsample * scale, 1 / 64), 4096))


def test_a_flipped_copy_looks_like_the_main_slide(pair, qtbot, slide):
    main, further = pair
    copy = ArraySlide(np.ascontiguousarray(slide._levels[0][:, ::-1]), downsamples=(1,))
    to_copy = Similarity(flip=True, dx=2000)
    further.alignment = to_copy.on_mirrored(2000)
    further.set_slide(MirroredSlide(copy), copy.pixel_size)
    main.set_viewport(replace(main.viewport, downsample=1.0, cx=800.0, cy=700.0))
    wait_sharp(qtbot, main)
    wait_sharp(qtbot, further)
    assert np.array_equal(tissue(main), tissue(further))


def test_a_smooth_zoom_leads_both_to_the_same_place(pair, qtbot):
    main, further = pair
    main.motion.enabled = True
    turn_wheel(further, 250, 200, angle=240)
    assert main.motion.zooming
    qtbot.waitUntil(lambda: not main.motion.active, timeout=10_000)
    assert same_view(main.viewport, further.viewport)
    wait_sharp(qtbot, further)


def test_a_last_step_too_small_to_be_seen_still_brings_the_tiles_of_the_end(pair, qtbot):
    main, further = pair
    main.motion.enabled = True
    now = [0.0]
    main.motion.clock = lambda: now[0]
    main.zoom_by(1.0)
    for t in (0.5, 0.9, 0.995, 0.9999, 1.0):
        now[0] = t * ZOOM_S
        main._next_frame()
        further._next_frame()
    assert not main.motion.active
    assert further.viewport.downsample == main.viewport.downsample
    wait_sharp(qtbot, further)


def test_steps_of_a_smooth_zoom_add_up_in_it_too(pair, qtbot):
    main, further = pair
    main.motion.enabled = True
    before = main.viewport.downsample
    for _ in range(3):
        turn_wheel(further, 250, 200, angle=120)
    qtbot.waitUntil(lambda: not main.motion.active, timeout=10_000)
    assert main.viewport.downsample == pytest.approx(before / 2 ** (3 * 0.4))


def test_it_stays_in_step_when_it_is_resized(pair, qtbot):
    main, further = pair
    main.zoom_by(1.5)
    further.resize(300, 500)
    QTest.qWait(30)
    assert same_view(main.viewport, further.viewport)


def test_keys_in_it_pan_both(pair):
    main, further = pair
    main.zoom_by(2.0)
    before = main.viewport.cx
    QTest.keyClick(further, Qt.Key.Key_Right)
    assert main.viewport.cx > before
    assert same_view(main.viewport, further.viewport)


def test_the_same_slide_is_decoded_once_for_both(make_canvas, qtbot, gated_slide):
    gated_slide.gate.set()
    main = make_canvas(gated_slide, 500, 400, workers=1)
    wait_idle(qtbot, main)
    before = len(gated_slide.reads)
    further = FollowingCanvas(main, workers=1)
    qtbot.addWidget(further, before_close_func=lambda canvas: canvas.shutdown())
    further.resize(500, 400)
    with qtbot.waitExposed(further):
        further.show()
    further.set_slide(gated_slide, gated_slide.pixel_size)
    wait_idle(qtbot, further)
    assert len(gated_slide.reads) == before


def test_a_smaller_budget_holds_at_once(make_canvas, qtbot, slide):
    canvas = make_canvas(slide, 500, 400, workers=1)
    for downsample in (1.0, 1.3, 1.7):
        canvas.set_viewport(replace(canvas.viewport, downsample=downsample))
        wait_sharp(qtbot, canvas)
    small = Budget.of(3_000_000)
    canvas.set_budget(small)
    pinned = canvas.store.used
    canvas.set_viewport(replace(canvas.viewport, downsample=1.1, cx=500.0))
    QTest.qWait(100)
    tile = 512 * 512 * 4
    assert canvas.store.used <= max(small.screen, pinned) + tile
