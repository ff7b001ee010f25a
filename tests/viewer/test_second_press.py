"""Click and drag in quick succession, and the double click that zooms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.main_window import MainWindow
from tests.viewer.test_field_walk import slide_file  # noqa: F401

PATIENCE_MS = 20_000
LEFT = Qt.MouseButton.LeftButton
AT = QPoint(300, 300)


def _send(canvas: SlideCanvas, kind: QEvent.Type, at: QPoint, button: Qt.MouseButton) -> None:
    spot = QPointF(at)
    event = QMouseEvent(kind, spot, QPointF(canvas.mapToGlobal(at)), button, LEFT, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, event)


def _second_press(canvas: SlideCanvas, at: QPoint) -> None:
    """As the window system tells it: a double click as soon as the button goes down again."""
    _send(canvas, QEvent.Type.MouseButtonDblClick, at, LEFT)


def _move(canvas: SlideCanvas, at: QPoint) -> None:
    _send(canvas, QEvent.Type.MouseMove, at, Qt.MouseButton.NoButton)


@pytest.fixture
def window(qtbot: QtBot, slide_file) -> Iterator[MainWindow]:  # noqa: F811
    made = MainWindow()
    made.controller.warm_up = lambda: None  # type: ignore[method-assign]
    qtbot.addWidget(made)
    made.resize(1200, 800)
    made.show()
    made.commanding.set_smooth(False)
    made.keeper.attach = lambda loaded: loaded.close()  # type: ignore[method-assign]
    made.open_slide(slide_file)
    qtbot.waitUntil(lambda: made.session.slide is not None, timeout=PATIENCE_MS)
    made.canvas.set_viewport(replace(made.canvas.viewport, downsample=4.0))
    yield made
    made.close()


@pytest.mark.parametrize("tool", ["select", ""])
def test_a_click_and_then_a_drag_moves_the_slide_and_does_not_zoom(window: MainWindow, tool: str) -> None:
    if not tool:
        window.canvas.set_tool(None)
    canvas, before = window.canvas, window.canvas.viewport
    QTest.mouseClick(canvas, LEFT, pos=AT)
    _second_press(canvas, AT)
    for step in (10, 30, 60):
        _move(canvas, AT + QPoint(step, 0))
    QTest.mouseRelease(canvas, LEFT, pos=AT + QPoint(60, 0))
    after = canvas.viewport
    assert after.downsample == before.downsample
    assert after.cx == pytest.approx(before.cx - 60 * before.downsample / before.dpr)


@pytest.mark.parametrize("tool", ["select", ""])
def test_a_double_click_in_place_zooms(window: MainWindow, tool: str) -> None:
    if not tool:
        window.canvas.set_tool(None)
    before = window.canvas.viewport.downsample
    QTest.mouseClick(window.canvas, LEFT, pos=AT)
    _second_press(window.canvas, AT)
    QTest.mouseRelease(window.canvas, LEFT, pos=AT)
    assert window.canvas.viewport.downsample < before
    # The mouse is free again: moving it moves nothing.
    view = window.canvas.viewport
    QTest.mouseMove(window.canvas, AT + QPoint(80, 0))
    assert window.canvas.viewport == view


def test_after_a_flick_a_quick_second_press_is_the_next_flick(window: MainWindow) -> None:
    canvas, before = window.canvas, window.canvas.viewport.downsample
    QTest.mousePress(canvas, LEFT, pos=AT)
    _move(canvas, AT + QPoint(40, 0))
    _move(canvas, AT)
    QTest.mouseRelease(canvas, LEFT, pos=AT)
    _second_press(canvas, AT)
    QTest.mouseRelease(canvas, LEFT, pos=AT)
    assert canvas.viewport.downsample == before
