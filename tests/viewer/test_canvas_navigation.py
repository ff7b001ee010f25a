"""Mouse, wheel, gestures and keys: what they do to the view, and what goes to the tool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDropEvent,
    QFocusEvent,
    QKeyEvent,
    QNativeGestureEvent,
    QPainter,
    QPointingDevice,
)
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.tool import Tool, ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.canvases import MakeCanvas, drag, move_mouse, rgb, turn_wheel
from tests.helpers.gated_slide import GatedSlide

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def canvas(make_canvas: MakeCanvas) -> SlideCanvas:
    """800 x 600 over a slide of 20,000 x 15,000 px at 1:1 in its middle."""
    canvas = make_canvas(GatedSlide(20_000, 15_000, (1, 4, 16)))
    canvas.one_to_one()
    return canvas


def point(canvas: SlideCanvas, x: float, y: float) -> tuple[float, float]:
    return canvas.viewport.to_slide(x, y)


def test_a_new_slide_is_fitted_and_stays_fitted_when_the_window_grows(make_canvas: MakeCanvas) -> None:
    canvas = make_canvas(GatedSlide(20_000, 15_000))
    fitted = canvas.viewport
    assert (fitted.cx, fitted.cy) == (10_000, 7500)
    canvas.resize(400, 300)
    assert canvas.viewport.downsample == pytest.approx(2 * fitted.downsample)
    canvas.one_to_one()
    canvas.resize(800, 600)
    assert canvas.viewport.downsample == 1.0


@pytest.mark.parametrize(("x", "y"), [(400, 300), (5, 5), (790, 20), (123, 456)])
def test_the_wheel_zooms_at_the_pointer(canvas: SlideCanvas, x: int, y: int) -> None:
    under = point(canvas, x, y)
    turn_wheel(canvas, x, y, angle=120)
    assert canvas.viewport.downsample < 1
    assert point(canvas, x, y) == pytest.approx(under, abs=1e-6)
    for _ in range(3):
        turn_wheel(canvas, x, y, angle=-120)
    assert canvas.viewport.downsample > 1
    assert point(canvas, x, y) == pytest.approx(under, abs=1e-6)


def test_a_trackpad_zooms_smoothly(canvas: SlideCanvas) -> None:
    turn_wheel(canvas, 100, 100, angle=8, pixels=3)
    assert 0.95 < canvas.viewport.downsample < 1


def test_wheeling_at_the_end_of_the_range_does_not_move_the_view(canvas: SlideCanvas) -> None:
    for _ in range(60):
        turn_wheel(canvas, 700, 500, angle=120)
    end = canvas.viewport
    assert end.downsample == pytest.approx(1 / 8)
    turn_wheel(canvas, 700, 500, angle=120)
    assert canvas.viewport == end
    for _ in range(80):
        turn_wheel(canvas, 700, 500, angle=-120)
    fit = canvas.viewport.fitted(0, 0, 20_000, 15_000).downsample
    assert canvas.viewport.downsample == pytest.approx(4 * fit)


def test_a_pinch_zooms_at_the_fingers(canvas: SlideCanvas) -> None:
    under = point(canvas, 200, 150)
    at = QPointF(200, 150)
    event = QNativeGestureEvent(
        Qt.NativeGestureType.ZoomNativeGesture,
        QPointingDevice.primaryPointingDevice(),
        2,
        at,
        at,
        QPointF(canvas.mapToGlobal(at)),
        0.25,
        QPointF(0, 0),
    )
    QApplication.sendEvent(canvas, event)
    assert canvas.viewport.downsample == pytest.approx(1 / 1.25)
    assert point(canvas, 200, 150) == pytest.approx(under, abs=1e-6)


def test_dragging_moves_the_tissue_with_the_pointer(canvas: SlideCanvas) -> None:
    under = point(canvas, 100, 100)
    drag(canvas, (100, 100), (150, 130), (300, 50))
    assert point(canvas, 300, 50) == pytest.approx(under, abs=1e-6)


def test_a_click_with_a_trembling_hand_does_not_move_the_view(canvas: SlideCanvas) -> None:
    before = canvas.viewport
    drag(canvas, (100, 100), (102, 101), (101, 102))
    assert canvas.viewport == before


def test_zooming_while_dragging_keeps_hold_of_the_tissue(canvas: SlideCanvas, qtbot: QtBot) -> None:
    under = point(canvas, 100, 100)
    qtbot.mousePress(canvas, LEFT, pos=QPoint(100, 100))
    move_mouse(canvas, 200, 200, LEFT)
    turn_wheel(canvas, 200, 200, angle=240)
    move_mouse(canvas, 250, 210, LEFT)
    assert point(canvas, 250, 210) == pytest.approx(under, abs=1e-6)
    qtbot.mouseRelease(canvas, LEFT, pos=QPoint(250, 210))


def test_dragging_a_turned_slide_follows_the_pointer(canvas: SlideCanvas) -> None:
    canvas.rotate(37)
    under = point(canvas, 100, 100)
    drag(canvas, (100, 100), (300, 250))
    assert point(canvas, 300, 250) == pytest.approx(under, abs=1e-6)


def test_the_middle_of_the_view_stays_on_the_slide(canvas: SlideCanvas) -> None:
    for _ in range(60):
        drag(canvas, (10, 10), (790, 590))
    assert (canvas.viewport.cx, canvas.viewport.cy) == (0, 0)


def test_arrows_move_by_a_tenth_and_with_shift_by_a_whole_view(canvas: SlideCanvas, qtbot: QtBot) -> None:
    x, y = canvas.viewport.cx, canvas.viewport.cy
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert (canvas.viewport.cx, canvas.viewport.cy) == (x + 80, y)
    qtbot.keyClick(canvas, Qt.Key.Key_Down)
    assert (canvas.viewport.cx, canvas.viewport.cy) == (x + 80, y + 60)
    qtbot.keyClick(canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert (canvas.viewport.cx, canvas.viewport.cy) == (x - 720, y + 60)
    qtbot.keyClick(canvas, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)
    assert canvas.viewport.cy == y - 540


def test_plus_and_minus_zoom_about_the_middle(canvas: SlideCanvas, qtbot: QtBot) -> None:
    before = canvas.viewport
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.viewport.downsample == pytest.approx(2**-0.5)
    assert (canvas.viewport.cx, canvas.viewport.cy) == (before.cx, before.cy)
    qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    assert canvas.viewport.downsample == pytest.approx(1.0)


def test_a_double_click_zooms_in_where_no_tool_is_used(canvas: SlideCanvas, qtbot: QtBot) -> None:
    under = point(canvas, 600, 100)
    qtbot.mouseDClick(canvas, LEFT, pos=QPoint(600, 100))
    assert canvas.viewport.downsample == pytest.approx(0.5)
    assert point(canvas, 600, 100) == pytest.approx(under, abs=1e-6)


def test_magnifications_go_through_the_pixel_size(canvas: SlideCanvas, qtbot: QtBot) -> None:
    for power in (2.5, 5, 10, 20, 40):
        canvas.set_magnification(power)
        assert canvas.viewport.downsample == pytest.approx(10 / power / 0.5)
        assert canvas.magnification == pytest.approx(power)


def test_without_a_pixel_size_a_sentence_says_why_not(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas(GatedSlide(mpp=None))
    before = canvas.viewport
    with qtbot.waitSignal(canvas.message) as said:
        canvas.set_magnification(20)
    assert "pixel size" in said.args[0]
    assert canvas.viewport == before
    assert canvas.magnification is None


def test_a_region_is_fitted_with_a_margin(canvas: SlideCanvas) -> None:
    canvas.fit_region(1000, 2000, 1800, 2600)
    x0, y0, x1, y1 = canvas.viewport.bounds()
    assert x0 < 1000 < 1800 < x1
    assert y0 < 2000 < 2600 < y1
    assert x1 - x0 < 1200


def test_turning_a_fitted_slide_fits_it_again(make_canvas: MakeCanvas) -> None:
    canvas = make_canvas(GatedSlide(20_000, 2000))
    before = canvas.viewport.downsample
    canvas.rotate(90)
    assert canvas.viewport.rotation == 90
    assert canvas.viewport.downsample > before
    canvas.rotate(-90)
    assert canvas.viewport.downsample == before


def test_the_view_is_told_to_whoever_listens(canvas: SlideCanvas) -> None:
    views: list[Viewport] = []
    canvas.viewport_changed.connect(views.append)
    canvas.zoom_in()
    canvas.set_viewport(canvas.viewport)
    assert views == [canvas.viewport]


def test_the_pointer_is_told_in_slide_pixels(canvas: SlideCanvas, qtbot: QtBot) -> None:
    with qtbot.waitSignal(canvas.cursor_moved) as moved:
        move_mouse(canvas, 400, 300)
    assert moved.args == pytest.approx([10_000, 7500])
    with qtbot.waitSignal(canvas.cursor_left):
        QApplication.sendEvent(canvas, QEvent(QEvent.Type.Leave))


class Pen(Tool):
    """Takes every left press; remembers what it got."""

    id = "pen"
    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, uses: bool = True) -> None:
        self.uses = uses
        self.got: list[tuple[str, ToolEvent]] = []
        self.keys: list[int] = []
        self.active = False
        self.words: str | None = None

    def activate(self, canvas: SlideCanvas) -> None:
        self.active = True

    def deactivate(self) -> None:
        self.active = False

    def press(self, event: ToolEvent) -> bool:
        self.got.append(("press", event))
        return self.uses and event.button == LEFT

    def move(self, event: ToolEvent) -> bool:
        self.got.append(("move", event))
        return self.uses

    def release(self, event: ToolEvent) -> bool:
        self.got.append(("release", event))
        return self.uses

    def double_click(self, event: ToolEvent) -> bool:
        self.got.append(("double", event))
        return self.uses

    def key(self, event: QKeyEvent) -> bool:
        self.keys.append(event.key())
        return event.key() == Qt.Key.Key_Left

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        painter.fillRect(0, 0, 10, 10, Qt.GlobalColor.magenta)

    def readout(self) -> str | None:
        return self.words


def test_a_tool_gets_presses_moves_and_releases_in_slide_pixels(canvas: SlideCanvas) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    before = canvas.viewport
    drag(canvas, (100, 200), (300, 250))
    assert canvas.viewport == before, "the view stays"
    assert [name for name, _ in pen.got] == ["press", "move", "release"]
    press, move, release = (event for _, event in pen.got)
    assert (press.x, press.y) == point(canvas, 100, 200)
    assert (press.button, move.button, release.button) == (LEFT, Qt.MouseButton.NoButton, LEFT)
    assert move.buttons == LEFT
    assert (release.x, release.y) == point(canvas, 300, 250)


def test_a_press_that_the_tool_does_not_use_pans(canvas: SlideCanvas) -> None:
    pen = Pen(uses=False)
    canvas.set_tool(pen)
    under = point(canvas, 100, 100)
    drag(canvas, (100, 100), (200, 200))
    assert point(canvas, 200, 200) == pytest.approx(under, abs=1e-6)


def test_space_pans_in_any_tool(canvas: SlideCanvas, qtbot: QtBot) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    assert canvas.cursor().shape() == Qt.CursorShape.CrossCursor
    qtbot.keyPress(canvas, Qt.Key.Key_Space)
    assert canvas.cursor().shape() == Qt.CursorShape.OpenHandCursor
    under = point(canvas, 100, 100)
    drag(canvas, (100, 100), (200, 200))
    assert point(canvas, 200, 200) == pytest.approx(under, abs=1e-6)
    assert [name for name, _ in pen.got] == []
    qtbot.keyRelease(canvas, Qt.Key.Key_Space)
    assert canvas.cursor().shape() == Qt.CursorShape.CrossCursor


def test_space_is_forgotten_when_the_focus_goes_elsewhere(canvas: SlideCanvas, qtbot: QtBot) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    qtbot.keyPress(canvas, Qt.Key.Key_Space)
    QApplication.sendEvent(canvas, QFocusEvent(QEvent.Type.FocusOut))
    drag(canvas, (100, 100), (200, 200))
    assert [name for name, _ in pen.got] == ["press", "move", "release"]


def test_the_middle_button_pans_in_any_tool(canvas: SlideCanvas) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    under = point(canvas, 100, 100)
    drag(canvas, (100, 100), (200, 200), button=Qt.MouseButton.MiddleButton)
    assert point(canvas, 200, 200) == pytest.approx(under, abs=1e-6)
    assert [name for name, _ in pen.got] == []


def test_a_double_click_belongs_to_the_tool(canvas: SlideCanvas, qtbot: QtBot) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    before = canvas.viewport
    qtbot.mouseDClick(canvas, LEFT, pos=QPoint(10, 10))
    assert canvas.viewport == before
    assert "double" in [name for name, _ in pen.got]


def test_keys_go_to_the_tool_first(canvas: SlideCanvas, qtbot: QtBot) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    before = canvas.viewport
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    assert canvas.viewport == before
    qtbot.keyClick(canvas, Qt.Key.Key_Right)
    assert canvas.viewport != before
    assert pen.keys == [Qt.Key.Key_Left, Qt.Key.Key_Right]


def test_keys_that_the_canvas_does_not_know_go_to_its_window(canvas: SlideCanvas) -> None:
    event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_F9, Qt.KeyboardModifier.NoModifier)
    canvas.keyPressEvent(event)
    assert not event.isAccepted()
    event = QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Left, Qt.KeyboardModifier.ControlModifier)
    canvas.keyPressEvent(event)
    assert not event.isAccepted()


def test_changing_the_tool_tells_both_tools_and_the_listeners(canvas: SlideCanvas, qtbot: QtBot) -> None:
    first, second = Pen(), Pen()
    canvas.set_tool(first)
    assert first.active
    with qtbot.waitSignal(canvas.tool_changed) as changed:
        canvas.set_tool(second)
    assert changed.args == [second]
    assert second.active
    assert not first.active
    canvas.set_tool(None)
    assert not second.active


def test_the_tool_is_painted_with_its_readout_beside_the_pointer(canvas: SlideCanvas) -> None:
    pen = Pen()
    canvas.set_tool(pen)
    plain = rgb(canvas.grab_view(tool=True))
    assert tuple(plain[5, 5]) == (255, 0, 255)
    move_mouse(canvas, 300, 300)
    pen.words = "1.25 mm²"
    with_words = rgb(canvas.grab_view(tool=True))
    changed = (plain != with_words).any(axis=2)
    assert changed[310:350, 310:400].any()
    assert not changed[:300].any()


def test_a_right_click_asks_for_a_menu_at_the_slide_point(canvas: SlideCanvas, qtbot: QtBot) -> None:
    at = QPoint(100, 50)
    event = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, at, canvas.mapToGlobal(at))
    with qtbot.waitSignal(canvas.context_menu_requested) as asked:
        QApplication.sendEvent(canvas, event)
    x, y, where = asked.args
    assert (x, y) == point(canvas, 100, 50)
    assert where == canvas.mapToGlobal(at)


def test_dropped_files_are_handed_on(canvas: SlideCanvas, qtbot: QtBot, tmp_path: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a slide.svs")), QUrl("https://example.org/x.svs")])
    arguments = (QPointF(10, 10), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    enter = QDragEnterEvent(QPoint(10, 10), *arguments[1:])
    QApplication.sendEvent(canvas, enter)
    assert enter.isAccepted()
    with qtbot.waitSignal(canvas.files_dropped) as dropped:
        QApplication.sendEvent(canvas, QDropEvent(*arguments))
    assert dropped.args == [[tmp_path / "a slide.svs"]]


def test_dragged_text_is_not_taken(canvas: SlideCanvas) -> None:
    data = QMimeData()
    data.setText("hello")
    enter = QDragEnterEvent(QPoint(1, 1), Qt.DropAction.CopyAction, data, LEFT, Qt.KeyboardModifier.NoModifier)
    enter.ignore()
    QApplication.sendEvent(canvas, enter)
    assert not enter.isAccepted()


def test_without_a_slide_nothing_moves_and_nothing_fails(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = make_canvas()
    canvas.set_tool(Pen())
    before = canvas.viewport
    drag(canvas, (10, 10), (200, 200))
    turn_wheel(canvas, 100, 100, angle=120)
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    qtbot.mouseDClick(canvas, LEFT, pos=QPoint(10, 10))
    for act in (canvas.fit, canvas.one_to_one, canvas.zoom_in, canvas.zoom_out, lambda: canvas.rotate(90)):
        act()
    canvas.set_magnification(20)
    canvas.grab()
    assert replace(canvas.viewport, width=before.width, height=before.height) == before
