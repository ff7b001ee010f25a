"""What linked views draw over tissue: landmarks, the outlines of the main slide, the pointer of another view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPen

from her2viewer.domain.alignment import Point
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport

_ARM = 9.0
_DARK, _BRIGHT, _HALF = QColor(0, 0, 0, 200), QColor(255, 214, 64), QColor(255, 140, 60)
_GHOST = 13


class LandmarkLayer(Layer):
    """Numbered crosses; a landmark that waits for its fellow has another colour."""

    always_visible = True
    z = 200

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("Landmarks", parent)
        self._points: tuple[Point, ...] = ()
        self._pending: Point | None = None

    @property
    def points(self) -> tuple[Point, ...]:
        """Where the crosses are, level-0 px of the slide that is displayed."""
        return self._points if self._pending is None else (*self._points, self._pending)

    def set_points(self, points: Sequence[Point], pending: Point | None = None) -> None:
        """Show these, level-0 px of the slide that is displayed."""
        if (tuple(points), pending) != (self._points, self._pending):
            self._points, self._pending = tuple(points), pending
            self.changed.emit()

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if not self.points:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for number, point in enumerate(self.points, start=1):
            color = _BRIGHT if number <= len(self._points) else _HALF
            _cross(painter, QPointF(*viewport.to_screen(*point)), str(number), color)


def _cross(painter: QPainter, at: QPointF, text: str, color: QColor) -> None:
    metrics = QFontMetricsF(painter.font())
    plate = QRectF(0, 0, metrics.horizontalAdvance(text) + 8, metrics.height() + 2)
    plate.moveBottomLeft(at + QPointF(5, -5))
    for pen in (QPen(_DARK, 4), QPen(color, 2)):
        painter.setPen(pen)
        painter.drawLine(at - QPointF(_ARM, 0), at + QPointF(_ARM, 0))
        painter.drawLine(at - QPointF(0, _ARM), at + QPointF(0, _ARM))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_DARK)
    painter.drawRoundedRect(plate, 3, 3)
    painter.setPen(color)
    painter.drawText(plate, Qt.AlignmentFlag.AlignCenter, text)


class MappedLayer(Layer):
    """Draws a layer of the main slide at its places on the slide shown here."""

    def __init__(self, inner: Layer, mapped: Callable[[Viewport], Viewport], parent: QObject | None = None) -> None:
        """``mapped`` gives the view of the main slide that shows what a view of this one shows."""
        super().__init__(inner.title, parent)
        self.z = inner.z
        self._inner = inner
        self._mapped = mapped
        inner.changed.connect(self.changed)
        inner.changed_in.connect(self.changed)

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._inner.visible:
            painter.setOpacity(painter.opacity() * self._inner.opacity)
            self._inner.paint(painter, self._mapped(viewport))


class GhostLayer(Layer):
    """A thin cross where the pointer of another view is."""

    always_visible = True
    z = 210

    def __init__(self, canvas: SlideCanvas) -> None:
        super().__init__("Pointer", canvas)
        self._canvas = canvas
        self._point: Point | None = None
        canvas.add_layer(self)

    @property
    def point(self) -> Point | None:
        """Level-0 px of the slide that is displayed; None while the pointer is in no other view."""
        return self._point

    def set_point(self, point: Point | None) -> None:
        """Only the two places are painted again, not the view."""
        if point == self._point:
            return
        view = self._canvas.viewport
        before, self._point = self._point, point
        for place in (before, point):
            if place is not None:
                x, y = view.to_screen(*place)
                if abs(x) < 1e6 and abs(y) < 1e6:
                    self._canvas.schedule(QRect(round(x) - _GHOST, round(y) - _GHOST, 2 * _GHOST, 2 * _GHOST))

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._point is None:
            return
        at = QPointF(*viewport.to_screen(*self._point))
        for pen in (QPen(QColor(255, 255, 255, 200), 3), QPen(QColor(30, 30, 30), 1)):
            painter.setPen(pen)
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                painter.drawLine(at + QPointF(dx, dy) * 4, at + QPointF(dx, dy) * 10)
