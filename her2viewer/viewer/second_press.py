"""A quick second press is a double click only when it is let go in place; with the mouse moving it is a drag."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtWidgets import QApplication

from her2viewer.viewer.canvas.canvas import SlideCanvas

_MOVING = ("pan", "select")
"""Tools with which a double click zooms; those that draw need it at once."""


class SecondPress(QObject):
    """Stands before one canvas.

    Qt calls the second of two quick presses a double click before anybody knows whether the mouse will move: who
    clicks and then drags within that time would zoom. Here it is a press first, and a double click when it is
    released where it was pressed.
    """

    def __init__(self, canvas: SlideCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._first: QPointF | None = None
        """Where the left button was pressed last."""
        self._moved = False
        """The mouse was dragged since."""
        self._second = False
        """The button is down for the second time."""
        self._sending = False
        canvas.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if self._sending or not isinstance(event, QMouseEvent):
            return False
        kind = event.type()
        if kind == QEvent.Type.MouseMove:
            threshold = QGuiApplication.styleHints().startDragDistance()
            if self._first is not None and event.buttons() & Qt.MouseButton.LeftButton:
                way = event.position() - self._first
                self._moved = self._moved or abs(way.x()) + abs(way.y()) >= threshold
            return False
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        if kind == QEvent.Type.MouseButtonPress:
            self._first, self._moved, self._second = event.position(), False, False
        elif kind == QEvent.Type.MouseButtonDblClick and self._moves:
            # After a flick the next press is the next flick.
            self._second = not self._moved
            self._first, self._moved = event.position(), False
            self._send(event, QEvent.Type.MouseButtonPress, event.buttons())
            return True
        elif kind == QEvent.Type.MouseButtonRelease:
            second, self._second = self._second and not self._moved, False
            if second:
                self._send(event, QEvent.Type.MouseButtonRelease, event.buttons())
                self._send(event, QEvent.Type.MouseButtonDblClick, event.buttons() | Qt.MouseButton.LeftButton)
                self._send(event, QEvent.Type.MouseButtonRelease, event.buttons())
                return True
        return False

    @property
    def _moves(self) -> bool:
        tool = self._canvas.tool
        return tool is None or tool.id in _MOVING

    def _send(self, like: QMouseEvent, kind: QEvent.Type, buttons: Qt.MouseButton) -> None:
        event = QMouseEvent(
            kind, like.position(), like.globalPosition(), Qt.MouseButton.LeftButton, buttons, like.modifiers()
        )
        self._sending = True
        try:
            QApplication.sendEvent(self._canvas, event)
        finally:
            self._sending = False
