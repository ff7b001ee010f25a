"""Mouse, wheel, gestures and keys of the canvas: what moves the view, and what goes to the tool."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QElapsedTimer, QEvent, QPointF, Qt
from PySide6.QtGui import QCursor, QGuiApplication, QKeyEvent, QMouseEvent, QNativeGestureEvent, QWheelEvent
from PySide6.QtWidgets import QGestureEvent, QPinchGesture

from her2viewer.viewer.canvas.motion import Trace
from her2viewer.viewer.canvas.tool import ToolEvent

if TYPE_CHECKING:
    from her2viewer.viewer.canvas.canvas import SlideCanvas

OCTAVES_A_NOTCH = 0.4
"""A notch of the wheel zooms by 2 ** 0.4 = 1.32: 15 notches from a whole slide to its pixels."""
PIXELS_A_NOTCH = 60
"""Of a trackpad that scrolls by pixels."""
ARROW_SHARE = 0.1
_ARROWS = {
    Qt.Key.Key_Left: (1, 0),
    Qt.Key.Key_Right: (-1, 0),
    Qt.Key.Key_Up: (0, 1),
    Qt.Key.Key_Down: (0, -1),
}


class Navigator:
    """Turns input events of one canvas into views; the tool is asked first where it has a say."""

    def __init__(self, canvas: SlideCanvas) -> None:
        self._canvas = canvas
        self._space = False
        self._press: QPointF | None = None
        """Where the button went down that may become a pan."""
        self._grabbed: tuple[float, float] | None = None
        """Slide point that sticks to the pointer while panning."""
        self._pan_button = Qt.MouseButton.NoButton
        self._tool_button = Qt.MouseButton.NoButton
        self._trace = Trace()
        self._native = QElapsedTimer()
        self.pointer: QPointF | None = None
        """Where the pointer is, logical px; None outside the canvas."""

    @property
    def panning(self) -> bool:
        """True while the tissue sticks to the pointer."""
        return self._grabbed is not None

    # -- pointer --------------------------------------------------------------------------------------------------

    def press(self, event: QMouseEvent) -> None:
        button = event.button()
        self.pointer = event.position()
        # A hand on the slide stops it.
        self._canvas.motion.settle()
        if self._canvas.slide is None or self._pan_button or self._tool_button:
            return
        if button == Qt.MouseButton.MiddleButton or (self._space and button == Qt.MouseButton.LeftButton):
            self._begin(event.position(), button)
            self._grab()
            return
        tool = self._canvas.tool
        if tool is not None and tool.press(self.tool_event(event)):
            self._tool_button = button
            return
        if button == Qt.MouseButton.LeftButton:
            self._begin(event.position(), button)

    def move(self, event: QMouseEvent) -> None:
        position = event.position()
        self.pointer = position
        canvas = self._canvas
        if canvas.slide is None:
            return
        # A click with a trembling hand is no pan.
        threshold = QGuiApplication.styleHints().startDragDistance()
        if self._press is not None and self._grabbed is None and _distance(position, self._press) >= threshold:
            self._grab()
        if self._grabbed is not None:
            self._follow(self._grabbed, position)
        elif canvas.tool is not None and self._press is None:
            canvas.tool.move(self.tool_event(event))
        canvas.cursor_moved.emit(*canvas.viewport.to_slide(position.x(), position.y()))

    def release(self, event: QMouseEvent) -> None:
        self.pointer = event.position()
        if event.button() == self._pan_button:
            gliding = self.panning and self._canvas.motion.enabled
            self._end_pan()
            if gliding:
                motion = self._canvas.motion
                motion.glide(*self._trace.speed(motion.clock()))
        elif event.button() == self._tool_button:
            self._tool_button = Qt.MouseButton.NoButton
            if self._canvas.tool is not None:
                self._canvas.tool.release(self.tool_event(event))

    def double_click(self, event: QMouseEvent) -> None:
        canvas = self._canvas
        if canvas.slide is None:
            return
        tool = canvas.tool
        if tool is not None and tool.double_click(self.tool_event(event)):
            # The release that follows belongs to the tool as well.
            self._tool_button = event.button()
            return
        if event.button() == Qt.MouseButton.LeftButton and (tool is None or tool.id == "pan") and not self._space:
            canvas.zoom_by(1.0, event.position())
            return
        self.press(event)

    def leave(self) -> None:
        self.pointer = None
        self._canvas.cursor_left.emit()

    def drop(self) -> None:
        """Forget buttons and keys that are held: focus went elsewhere, or the tool or the slide changed."""
        self._space = False
        self._tool_button = Qt.MouseButton.NoButton
        self._end_pan()

    def tool_event(self, event: QMouseEvent) -> ToolEvent:
        """The event as tools get it."""
        view = self._canvas.viewport
        x, y = view.to_slide(event.position().x(), event.position().y())
        moved = event.type() == QEvent.Type.MouseMove
        return ToolEvent(
            x,
            y,
            event.position(),
            Qt.MouseButton.NoButton if moved else event.button(),
            event.buttons(),
            event.modifiers(),
            view,
        )

    def _begin(self, position: QPointF, button: Qt.MouseButton) -> None:
        self._press = position
        self._pan_button = button
        self._trace.clear()

    def _grab(self) -> None:
        assert self._press is not None
        self._grabbed = self._canvas.viewport.to_slide(self._press.x(), self._press.y())
        self.update_cursor()

    def take_over(self, start: QPointF, now: QPointF) -> None:
        """A drag that was the tool's is a pan from here on: what lay under ``start`` sticks to the pointer."""
        button, self._tool_button = self._tool_button, Qt.MouseButton.NoButton
        self._begin(start, button or Qt.MouseButton.LeftButton)
        self._grab()
        assert self._grabbed is not None
        self._follow(self._grabbed, now)

    def _follow(self, grabbed: tuple[float, float], position: QPointF) -> None:
        canvas = self._canvas
        self._trace.add(canvas.motion.clock(), position.x(), position.y())
        x, y = canvas.viewport.to_slide(position.x(), position.y())
        view = canvas.viewport
        canvas.set_viewport(view.centred(view.cx + grabbed[0] - x, view.cy + grabbed[1] - y))

    def _end_pan(self) -> None:
        self._press = self._grabbed = None
        self._pan_button = Qt.MouseButton.NoButton
        self.update_cursor()

    def update_cursor(self) -> None:
        """Closed hand while panning, open hand while Space is held, else what the tool wants."""
        canvas = self._canvas
        if self._grabbed is not None:
            cursor = QCursor(Qt.CursorShape.ClosedHandCursor)
        elif canvas.slide is None:
            cursor = QCursor(Qt.CursorShape.ArrowCursor)
        elif self._space or canvas.tool is None:
            cursor = QCursor(Qt.CursorShape.OpenHandCursor)
        else:
            cursor = QCursor(canvas.tool.cursor)
        canvas.setCursor(cursor)

    # -- zoom -----------------------------------------------------------------------------------------------------

    def wheel(self, event: QWheelEvent) -> None:
        pixels = event.pixelDelta().y()
        notches = pixels / PIXELS_A_NOTCH if pixels else event.angleDelta().y() / 120
        if notches:
            # A trackpad sends many small steps: it is smooth already.
            self._canvas.zoom_by(OCTAVES_A_NOTCH * notches, event.position(), smooth=not pixels)
        event.accept()

    def native_gesture(self, event: QNativeGestureEvent) -> bool:
        if event.gestureType() != Qt.NativeGestureType.ZoomNativeGesture:
            return False
        self._native.start()
        self._zoom_factor(1 + event.value(), event.position())
        return True

    def gesture(self, event: QGestureEvent) -> bool:
        pinch = event.gesture(Qt.GestureType.PinchGesture)
        if not isinstance(pinch, QPinchGesture):
            return False
        event.accept(pinch)
        # Where the system sends both kinds, the native one is the finer.
        if self._native.isValid() and self._native.elapsed() < 300:
            return True
        if pinch.changeFlags() & QPinchGesture.ChangeFlag.ScaleFactorChanged:
            centre = self._canvas.mapFromGlobal(pinch.centerPoint())
            self._zoom_factor(pinch.scaleFactor(), centre)
        return True

    def _zoom_factor(self, factor: float, at: QPointF) -> None:
        if factor > 0:
            self._canvas.zoom_by(math.log2(factor), at, smooth=False)

    # -- keys -----------------------------------------------------------------------------------------------------

    def key_press(self, event: QKeyEvent) -> bool:
        canvas = self._canvas
        if canvas.slide is None:
            return False
        if not canvas.motion.zooming:
            # Any key stops a glide; steps of a zoom add up.
            canvas.motion.cancel()
        if event.key() == Qt.Key.Key_Space and not event.modifiers() & ~Qt.KeyboardModifier.ShiftModifier:
            if not event.isAutoRepeat():
                self._space = True
                self.update_cursor()
            return True
        if canvas.tool is not None and canvas.tool.key(event):
            return True
        key = Qt.Key(event.key())
        command = event.modifiers() & (
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.AltModifier | Qt.KeyboardModifier.MetaModifier
        )
        if command:
            return False
        if key in _ARROWS:
            share = 1.0 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else ARROW_SHARE
            dx, dy = _ARROWS[key]
            canvas.motion.settle()
            view = canvas.viewport
            canvas.set_viewport(view.panned(dx * share * view.width / view.dpr, dy * share * view.height / view.dpr))
            return True
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            canvas.zoom_in()
            return True
        if key == Qt.Key.Key_Minus:
            canvas.zoom_out()
            return True
        return False

    def key_release(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Space and self._space:
            if not event.isAutoRepeat():
                self._space = False
                self.update_cursor()
            return True
        return False


def _distance(a: QPointF, b: QPointF) -> float:
    return math.hypot(a.x() - b.x(), a.y() - b.y())
