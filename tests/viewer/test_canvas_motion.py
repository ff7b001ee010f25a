"""Zoom steps that ease in, a slide that glides on, and what is loaded ahead of both: on the real canvas."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.grid import aligned
from her2viewer.viewer.canvas.motion import GLIDE_S, TRACE_S, ZOOM_S
from her2viewer.viewer.canvas.navigation import OCTAVES_A_NOTCH
from her2viewer.viewer.canvas.requests import visible_tiles
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer
from her2viewer.viewer.session import Session
from tests.helpers.canvases import MakeCanvas, drag, move_mouse, turn_wheel, wait_idle
from tests.helpers.gated_slide import GatedSlide

LEFT = Qt.MouseButton.LeftButton


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def canvas(make_canvas: MakeCanvas, clock: Clock) -> SlideCanvas:
    """800 x 600 over a slide of 20,000 x 15,000 px at 1:1 in its middle; moves by the test's own clock."""
    canvas = make_canvas(GatedSlide(20_000, 15_000, (1, 4, 16)))
    canvas.one_to_one()
    canvas.motion.clock = clock
    canvas.motion.enabled = True
    return canvas


def step(canvas: SlideCanvas, clock: Clock, seconds: float) -> Viewport:
    clock.now += seconds
    canvas.motion.advance()
    return canvas.viewport


def at_rest(canvas: SlideCanvas, clock: Clock) -> Viewport:
    for _ in range(500):
        if not canvas.motion.active:
            return canvas.viewport
        step(canvas, clock, 1 / 60)
    raise AssertionError("it never comes to rest")


def throw(canvas: SlideCanvas, clock: Clock, dx: float, dy: float, pause: float = 0.0) -> None:
    """Drag by (dx, dy) logical px for each hundredth of a second, and let go after ``pause`` s."""
    from PySide6.QtTest import QTest

    QTest.mousePress(canvas, LEFT, pos=QPoint(400, 300))
    for i in range(1, 7):
        clock.now += 0.01
        move_mouse(canvas, 400 + i * dx, 300 + i * dy, LEFT)
    clock.now += pause
    QTest.mouseRelease(canvas, LEFT, pos=QPoint(int(400 + 6 * dx), int(300 + 6 * dy)))


def test_nothing_moves_by_itself_until_it_is_switched_on(canvas: SlideCanvas, clock: Clock) -> None:
    canvas.motion.enabled = False
    turn_wheel(canvas, 100, 100, angle=120)
    assert canvas.viewport.downsample == pytest.approx(2**-OCTAVES_A_NOTCH)
    throw(canvas, clock, 20, 0)
    assert not canvas.motion.active


def test_a_wheel_step_eases_in_and_ends_where_a_plain_step_ends(canvas: SlideCanvas, clock: Clock) -> None:
    start = canvas.viewport
    under = start.to_slide(100, 450)
    turn_wheel(canvas, 100, 450, angle=120)
    assert canvas.viewport == start
    halfway = step(canvas, clock, ZOOM_S / 3)
    assert 2**-OCTAVES_A_NOTCH < halfway.downsample < 1
    assert halfway.to_slide(100, 450) == pytest.approx(under, abs=1e-6)
    assert at_rest(canvas, clock) == start.zoomed(1 / 2**OCTAVES_A_NOTCH, 100, 450)


def test_repeated_wheel_steps_add_up(canvas: SlideCanvas, clock: Clock) -> None:
    for _ in range(5):
        turn_wheel(canvas, 300, 200, angle=120)
        step(canvas, clock, ZOOM_S / 4)
    for _ in range(2):
        turn_wheel(canvas, 300, 200, angle=-120)
    assert canvas.goal.downsample == pytest.approx(2 ** (-3 * OCTAVES_A_NOTCH))
    assert at_rest(canvas, clock).downsample == pytest.approx(2 ** (-3 * OCTAVES_A_NOTCH))


def test_keys_and_magnifications_ease_in_about_the_middle(canvas: SlideCanvas, clock: Clock, qtbot: QtBot) -> None:
    centre = (canvas.viewport.cx, canvas.viewport.cy)
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.motion.zooming
    assert at_rest(canvas, clock).downsample == pytest.approx(0.5)
    canvas.set_magnification(5)
    assert canvas.motion.zooming
    at_rest(canvas, clock)
    assert canvas.magnification == pytest.approx(5)
    assert (canvas.viewport.cx, canvas.viewport.cy) == pytest.approx(centre)


def test_a_press_in_the_middle_of_a_zoom_finds_it_at_its_end(canvas: SlideCanvas, clock: Clock, qtbot: QtBot) -> None:
    turn_wheel(canvas, 300, 200, angle=120)
    step(canvas, clock, ZOOM_S / 4)
    qtbot.mousePress(canvas, LEFT, pos=QPoint(10, 10))
    assert not canvas.motion.active
    assert canvas.viewport.downsample == pytest.approx(2**-OCTAVES_A_NOTCH)
    qtbot.mouseRelease(canvas, LEFT, pos=QPoint(10, 10))


def test_the_end_of_the_range_is_the_end_of_a_smooth_zoom_too(canvas: SlideCanvas, clock: Clock) -> None:
    for _ in range(40):
        turn_wheel(canvas, 700, 500, angle=120)
        step(canvas, clock, 0.01)
    end = at_rest(canvas, clock)
    assert end.downsample == pytest.approx(1 / 8)
    turn_wheel(canvas, 700, 500, angle=120)
    assert at_rest(canvas, clock) == end


def test_a_trackpad_and_a_drag_are_followed_at_once(canvas: SlideCanvas, clock: Clock, qtbot: QtBot) -> None:
    turn_wheel(canvas, 100, 100, angle=8, pixels=3)
    assert not canvas.motion.active
    assert canvas.viewport.downsample < 1
    under = canvas.viewport.to_slide(100, 100)
    qtbot.mousePress(canvas, LEFT, pos=QPoint(100, 100))
    move_mouse(canvas, 200, 200, LEFT)
    turn_wheel(canvas, 200, 200, angle=240)
    move_mouse(canvas, 250, 210, LEFT)
    assert canvas.viewport.to_slide(250, 210) == pytest.approx(under, abs=1e-6)
    qtbot.mouseRelease(canvas, LEFT, pos=QPoint(250, 210))


@pytest.mark.parametrize("act", ["fit", "one_to_one", "set_viewport", "set_slide"])
def test_another_view_ends_what_moves(canvas: SlideCanvas, clock: Clock, act: str) -> None:
    throw(canvas, clock, 20, 0)
    assert canvas.motion.active
    if act == "set_viewport":
        canvas.set_viewport(canvas.viewport.centred(100, 100))
    elif act == "set_slide":
        canvas.set_slide(None)
    else:
        getattr(canvas, act)()
    if act == "one_to_one":
        # It eases itself, to what is shown already.
        assert not canvas.motion.zooming
    assert not canvas.motion.active


def test_turning_in_the_middle_of_a_zoom_keeps_the_whole_step(canvas: SlideCanvas, clock: Clock) -> None:
    turn_wheel(canvas, 300, 200, angle=120)
    step(canvas, clock, ZOOM_S / 4)
    canvas.rotate(90)
    assert canvas.viewport.rotation == 90
    assert canvas.viewport.downsample == pytest.approx(2**-OCTAVES_A_NOTCH)


def test_a_quick_drag_goes_on_in_its_direction_and_comes_to_rest(canvas: SlideCanvas, clock: Clock) -> None:
    throw(canvas, clock, 10, -5)
    let_go = canvas.viewport
    # A thousand px a second, less what the release took.
    rest = canvas.motion.goal
    assert rest is not None
    end = at_rest(canvas, clock)
    moved = let_go.to_screen(end.cx, end.cy)[0] - let_go.to_screen(let_go.cx, let_go.cy)[0]
    assert 0.7 * 1000 * GLIDE_S < -moved < 1.1 * 1000 * GLIDE_S
    assert (end.cx, end.cy) == pytest.approx((rest.cx, rest.cy), abs=1)
    assert end.cy - let_go.cy == pytest.approx(-(end.cx - let_go.cx) / 2, rel=0.01)


def test_a_hand_that_pauses_before_it_lets_go_leaves_the_slide_where_it_is(canvas: SlideCanvas, clock: Clock) -> None:
    throw(canvas, clock, 20, 0, pause=TRACE_S + 0.02)
    assert not canvas.motion.active


@pytest.mark.parametrize("what", ["press", "wheel", "key", "other key"])
def test_a_hand_on_the_slide_stops_it(canvas: SlideCanvas, clock: Clock, qtbot: QtBot, what: str) -> None:
    throw(canvas, clock, 20, 0)
    view = step(canvas, clock, 0.02)
    if what == "press":
        qtbot.mousePress(canvas, LEFT, pos=QPoint(10, 10))
        assert canvas.viewport == view
        qtbot.mouseRelease(canvas, LEFT, pos=QPoint(10, 10))
    elif what == "wheel":
        turn_wheel(canvas, 400, 300, angle=120)
        assert (at_rest(canvas, clock).cx, canvas.viewport.cy) == pytest.approx((view.cx, view.cy))
    elif what == "key":
        qtbot.keyClick(canvas, Qt.Key.Key_Down)
        assert canvas.viewport == view.panned(0, -60)
    else:
        qtbot.keyClick(canvas, Qt.Key.Key_Space)
        assert canvas.viewport == view
    assert not canvas.motion.active


def test_a_glide_ends_at_the_edge_of_the_slide(canvas: SlideCanvas, clock: Clock) -> None:
    canvas.set_viewport(canvas.viewport.centred(150, 7500))
    throw(canvas, clock, 20, 0)
    frames = 0
    while canvas.motion.active:
        step(canvas, clock, 1 / 60)
        assert 0 <= canvas.viewport.cx <= 20_000
        frames += 1
    assert canvas.viewport.cx == 0
    assert frames < 20, "it does not go on against the edge"


def test_a_tool_that_draws_throws_nothing(canvas: SlideCanvas, clock: Clock) -> None:
    from tests.viewer.test_canvas_navigation import Pen

    canvas.set_tool(Pen())
    before = canvas.viewport
    throw(canvas, clock, 20, 0)
    assert not canvas.motion.active
    assert canvas.viewport == before


def test_a_tool_can_hand_its_drag_over_to_be_a_pan(canvas: SlideCanvas, clock: Clock) -> None:
    from PySide6.QtTest import QTest

    from her2viewer.viewer.tools.toolbox import ToolBox

    session = Session()
    toolbox = ToolBox(session)
    toolbox.attach(canvas, AnnotationLayer(session, toolbox.state))
    under = canvas.viewport.to_slide(400, 300)
    QTest.mousePress(canvas, LEFT, pos=QPoint(400, 300))
    for i in range(1, 9):
        clock.now += 0.01
        move_mouse(canvas, 400 + 12 * i, 300, LEFT)
    assert canvas.viewport.to_slide(496, 300) == pytest.approx(under, abs=1e-6)
    assert canvas.cursor().shape() == Qt.CursorShape.ClosedHandCursor
    QTest.mouseRelease(canvas, LEFT, pos=QPoint(496, 300))
    assert canvas.motion.active
    assert canvas.cursor().shape() != Qt.CursorShape.ClosedHandCursor
    at_rest(canvas, clock)
    assert canvas.viewport.to_slide(496, 300)[0] < under[0] - 100


def test_the_frames_of_the_canvas_drive_what_moves_and_stop_with_it(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(20_000, 15_000, (1, 4, 16)))
    canvas.one_to_one()
    canvas.motion.enabled = True
    views: list[Viewport] = []
    canvas.viewport_changed.connect(views.append)
    turn_wheel(canvas, 100, 100, angle=240)
    qtbot.waitUntil(lambda: not canvas.motion.active, timeout=5000)
    assert canvas.viewport.downsample == pytest.approx(2 ** (-2 * OCTAVES_A_NOTCH))
    wait_idle(qtbot, canvas)
    shown = len(views)
    qtbot.waitUntil(lambda: not canvas._frame.isActive(), timeout=5000)
    qtbot.wait(100)
    assert len(views) == shown
    assert not canvas._frame.isActive()


def test_a_zoom_orders_tiles_of_its_end_alone_and_then_of_the_next_step(
    make_canvas: MakeCanvas, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slide = GatedSlide(20_000, 15_000, (1, 4, 16))
    slide.gate.clear()
    canvas = make_canvas(slide)
    canvas.one_to_one()
    canvas.motion.clock, canvas.motion.enabled = clock, True
    ordered: list[tuple[list[float], int]] = []
    monkeypatch.setattr(
        canvas.loader,
        "set_wanted",
        lambda keys, urgent=None: ordered.append(([k.scale.downsample for k in keys], urgent)),
    )
    turn_wheel(canvas, 400, 300, angle=120)
    for _ in range(4):
        clock.now += ZOOM_S / 8
        canvas._next_frame()
    assert canvas.motion.zooming
    goal, following = canvas.goal.downsample, canvas.goal.downsample / 2**OCTAVES_A_NOTCH
    assert canvas.pyramid is not None
    base = canvas.pyramid.base().downsample
    for downsamples, urgent in ordered:
        assert set(downsamples[:urgent]) == {goal, base}
        assert downsamples[urgent + len(canvas.overview.tiles())] == following
    turn_wheel(canvas, 400, 300, angle=120)
    assert canvas.goal.downsample == following, "to the last digit: the tiles would be of no use"


def test_tiles_in_the_direction_of_a_pan_are_at_hand_before_it_gets_there(
    make_canvas: MakeCanvas, clock: Clock, qtbot: QtBot
) -> None:
    canvas = make_canvas(GatedSlide(20_000, 15_000, (1, 4, 16)))
    canvas.one_to_one()
    canvas.motion.clock = clock
    wait_idle(qtbot, canvas)
    before = canvas.viewport
    for _ in range(10):
        clock.now += 1 / 60
        canvas.set_viewport(canvas.viewport.panned(-60, 0))
    wait_idle(qtbot, canvas)
    assert canvas.pyramid is not None
    scale = canvas.pyramid.scale(1.0)
    right, left = canvas.viewport.panned(-800, 0), before.panned(800, 0)
    assert all(k in canvas.store for k in visible_tiles(aligned(right), scale))
    assert not all(k in canvas.store for k in visible_tiles(aligned(left), scale))


def test_a_view_that_is_expected_is_loaded_ahead_and_forgotten_when_the_reader_goes_elsewhere(
    canvas: SlideCanvas, qtbot: QtBot
) -> None:
    there = canvas.viewport.centred(2000, 2000)
    canvas.expect(there)
    wait_idle(qtbot, canvas)
    assert canvas.pyramid is not None
    assert all(k in canvas.store for k in visible_tiles(aligned(there), canvas.pyramid.scale(1.0)))
    drag(canvas, (100, 100), (200, 200))
    canvas.motion.cancel()
    assert all(view.cx > 5000 for view in canvas._expected_views())
