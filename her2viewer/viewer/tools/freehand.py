"""Freehand: an outline drawn in one drag, closed where it ends."""

from __future__ import annotations

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QKeyEvent, QPainter, QPen
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import outline, simplify
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.tools.drawing_tool import CLICK_PX, DrawingTool, distance, paint_outline, to_screen

STEP_PX = 1.5
"""Pointer movements shorter than this add no point, logical px."""
TOLERANCE_PX = 0.75
"""How far the kept outline may be from the drawn one, logical px."""


class FreehandTool(DrawingTool):
    """Draw round the tissue with the button held."""

    id = "freehand"
    title = "Freehand"
    undo_text = "Draw freehand region"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.points: list[tuple[float, float]] = []
        """The line so far, level-0 px."""
        self._last = QPointF()
        self._scale = 1.0
        self._shape: tuple[int, BaseGeometry] | None = None

    def shape(self) -> BaseGeometry | None:
        if len(self.points) < 3:
            return None
        if self._shape is None or self._shape[0] != len(self.points):
            drawn = outline(self.points)
            self._shape = (len(self.points), simplify(drawn, TOLERANCE_PX / self._scale))
        return self._shape[1]

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if self.refused():
            return True
        self.points = [(event.x, event.y)]
        self._last, self._scale, self._shape = event.screen, event.viewport.scale, None
        self.begin()
        return True

    def move(self, event: ToolEvent) -> bool:
        if not self.points:
            return False
        if distance(event.screen, self._last) >= STEP_PX:
            self.points.append((event.x, event.y))
            self._last = event.screen
            self.preview()
        return True

    def release(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton or not self.points:
            return False
        x, y = zip(*self.points, strict=True)
        if max(max(x) - min(x), max(y) - min(y)) * event.viewport.scale < CLICK_PX:
            self.cancel()
            return True
        self.commit(event.viewport.scale)
        self.points = []
        self.repaint()
        return True

    def double_click(self, event: ToolEvent) -> bool:
        return event.button == Qt.MouseButton.LeftButton

    @property
    def busy(self) -> bool:
        return bool(self.points)

    def key(self, event: QKeyEvent) -> bool:
        return event.key() == Qt.Key.Key_Escape and self.cancel()

    def cancel(self) -> bool:
        if not self.points:
            return False
        self.points = []
        self.previewer.stop()
        self.repaint()
        return True

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self.points:
            line = to_screen(self.points, viewport)
            paint_outline(painter, line, self.state.color, closed=False)
            painter.setPen(QPen(self.state.color, 1.0, Qt.PenStyle.DashLine))
            painter.drawLine(line[0], line[-1])
