"""Polygon: a click a corner; double click, Enter or a click on the first corner closes."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QKeyEvent, QKeySequence, QPainter, QPen
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import outline
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.tools.drawing_tool import CLICK_PX, DrawingTool, distance, paint_outline, to_screen

_KEYS = (
    Qt.Key.Key_Return,
    Qt.Key.Key_Enter,
    Qt.Key.Key_Backspace,
    Qt.Key.Key_Delete,
    Qt.Key.Key_Escape,
)
CLOSE_PX = 9.0
"""A click this near to the first corner closes the polygon, logical px."""


class PolygonTool(DrawingTool):
    """Corners by clicks, with a line to the pointer."""

    id = "polygon"
    title = "Polygon"
    undo_text = "Draw polygon"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.points: list[tuple[float, float]] = []
        """Corners set so far, level-0 px."""
        self._pointer: tuple[float, float] | None = None
        self._on_first = False

    def shape(self) -> BaseGeometry | None:
        points = self.points if self._pointer is None or self._on_first else [*self.points, self._pointer]
        return outline(points) if self.points and len(points) >= 3 else None

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if not self.points:
            if self.refused():
                return True
            self.begin()
        self._viewport = event.viewport
        if self._closes(event):
            self._close()
            return True
        # A second press at the same place is a click too many, not a corner.
        if not self.points or self._screen_distance(self.points[-1], event) >= CLICK_PX:
            self.points.append((event.x, event.y))
            if len(self.points) == 1:
                self.state.begun_changed.emit()
        self._pointer = None
        self.preview()
        return True

    def move(self, event: ToolEvent) -> bool:
        self._viewport = event.viewport
        if not self.points or event.buttons not in (Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton):
            return False
        self._pointer = (event.x, event.y)
        self._on_first = self._closes(event)
        self.preview()
        return True

    def release(self, event: ToolEvent) -> bool:
        return event.button == Qt.MouseButton.LeftButton and bool(self.points)

    def double_click(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        if not self.points:
            # Closed by the first of the two clicks: the second must not zoom.
            return True
        self._viewport = event.viewport
        if self._screen_distance(self.points[-1], event) >= CLICK_PX:
            self.points.append((event.x, event.y))
        self._close()
        return True

    @property
    def busy(self) -> bool:
        return bool(self.points)

    def wants_key(self, event: QKeyEvent) -> bool:
        return self.busy and (event.key() in _KEYS or event.matches(QKeySequence.StandardKey.Undo))

    def key(self, event: QKeyEvent) -> bool:
        if not self.wants_key(event):
            return False
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.finish()
        elif event.key() == Qt.Key.Key_Escape:
            self.cancel()
        else:
            self.delete()
        return True

    def finish(self) -> bool:
        if not self.points:
            return False
        self._close()
        return True

    def delete(self) -> bool:
        """Take the last corner back."""
        if not self.points:
            return False
        self.points.pop()
        if self.points:
            self.preview()
        else:
            self.cancel()
        return True

    def cancel(self) -> bool:
        if not self.points:
            return False
        self._reset()
        self.previewer.stop()
        self.repaint()
        return True

    def deactivate(self) -> None:
        # Choosing another tool is no reason to lose an outline that is as good as closed; Undo takes it away.
        if len(self.points) >= 3:
            self._close()
        super().deactivate()

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if not self.points:
            return
        self._viewport = viewport
        pointer = [] if self._pointer is None or self._on_first else [self._pointer]
        corners = to_screen(self.points, viewport)
        line = to_screen(self.points + pointer, viewport)
        color = self.state.color
        paint_outline(painter, line, color, closed=self._on_first or len(line) >= 3)
        for i, corner in enumerate(corners):
            half = 6.0 if i == 0 and self._on_first else 3.0
            painter.setPen(QPen(color, 1.5))
            painter.setBrush(QColor("white"))
            painter.drawRect(QRectF(corner.x() - half, corner.y() - half, 2 * half, 2 * half))

    def readout(self) -> str | None:
        area = super().readout()
        if area is None and self.points:
            return "Click the corners; double click or Enter closes, Backspace takes one back, Esc drops it"
        return area

    def _close(self) -> None:
        self._pointer = None
        if len(self.points) < 3:
            self.state.message.emit("A polygon needs three corners.")
            return
        scale = self._viewport.scale if self._viewport is not None else 1.0
        x, y = zip(*self.points, strict=True)
        if max(max(x) - min(x), max(y) - min(y)) * scale < CLICK_PX:
            self.cancel()
            return
        self.commit(scale)
        self._reset()
        self.repaint()

    def _reset(self) -> None:
        self.points = []
        self._pointer = None
        self._on_first = False
        self.state.begun_changed.emit()

    def _closes(self, event: ToolEvent) -> bool:
        return len(self.points) >= 3 and self._screen_distance(self.points[0], event) <= CLOSE_PX

    def _screen_distance(self, point: tuple[float, float], event: ToolEvent) -> float:
        return distance(QPointF(*event.viewport.to_screen(*point)), event.screen)
