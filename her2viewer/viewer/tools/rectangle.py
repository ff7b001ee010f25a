"""Rectangle: from corner to corner, parallel to the screen; Shift makes it a square."""

from __future__ import annotations

import math

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import outline
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.tools.drawing_tool import CLICK_PX, DrawingTool, paint_outline, to_screen


class RectangleTool(DrawingTool):
    """Drag from one corner to the other. On a turned slide the rectangle is turned with the screen."""

    id = "rectangle"
    title = "Rectangle"
    undo_text = "Draw rectangle"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._start: tuple[float, float] | None = None
        self._corners: list[tuple[float, float]] = []

    def shape(self) -> BaseGeometry | None:
        return outline(self._corners) if self._corners else None

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if self.refused():
            return True
        self._start, self._corners = (event.x, event.y), []
        self.begin()
        return True

    def move(self, event: ToolEvent) -> bool:
        if self._start is None:
            return False
        self._stretch(event)
        self.preview()
        return True

    def release(self, event: ToolEvent) -> bool:
        if self._start is None or event.button != Qt.MouseButton.LeftButton:
            return False
        width, height = self._stretch(event)
        if max(width, height) < CLICK_PX:
            self.cancel()
            return True
        self.commit(event.viewport.scale)
        self._start, self._corners = None, []
        self.repaint()
        return True

    def double_click(self, event: ToolEvent) -> bool:
        return event.button == Qt.MouseButton.LeftButton

    @property
    def busy(self) -> bool:
        return self._start is not None

    def key(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and self.cancel()

    def cancel(self) -> bool:
        if self._start is None:
            return False
        self._start, self._corners = None, []
        self.previewer.stop()
        self.repaint()
        return True

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._corners:
            paint_outline(painter, to_screen(self._corners, viewport), self.state.color)

    def _stretch(self, event: ToolEvent) -> tuple[float, float]:
        """Set the corners for the pointer; gives width and height in logical px."""
        if self._start is None:
            return 0.0, 0.0
        a = QPointF(*event.viewport.to_screen(*self._start))
        dx, dy = event.screen.x() - a.x(), event.screen.y() - a.y()
        if event.modifiers & Qt.KeyboardModifier.ShiftModifier:
            side = max(abs(dx), abs(dy))
            dx, dy = math.copysign(side, dx), math.copysign(side, dy)
        screen = [(a.x(), a.y()), (a.x() + dx, a.y()), (a.x() + dx, a.y() + dy), (a.x(), a.y() + dy)]
        self._corners = [event.viewport.to_slide(*p) for p in screen]
        return abs(dx), abs(dy)
