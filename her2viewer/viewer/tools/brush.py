"""Brush: paints onto the region it touches or begins a new one; Shift (or Alt) erases."""

from __future__ import annotations

import time

from PySide6.QtCore import QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPen
from shapely import Polygon
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.annotation import Annotation, Role
from her2viewer.domain.editing import brush_stroke, drop_slivers, merge, subtract
from her2viewer.domain.region import polygonal
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.tools.drawing_tool import OFF_SLIDE, DrawingTool, distance, to_screen
from her2viewer.viewer.tools.preview import is_area, min_sliver

ERASING = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.AltModifier
STEP_SHARE = 0.05
"""Movements shorter than this share of the diameter change nothing that one could see."""
TOLERANCE_PX = 0.3
ERASE_COLOR = QColor(255, 255, 255)


class BrushTool(DrawingTool):
    """A round brush of constant size on the screen: zoom in to paint finer."""

    id = "brush"
    title = "Brush"
    undo_text = "Paint region"

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._points: list[tuple[float, float]] = []
        self._done = 0
        """How many points are part of ``_area`` already."""
        self._last = QPointF()
        self._erasing = False
        self._radius = 1.0
        self._scale = 1.0
        self._target: Annotation | None = None
        self._fresh: Annotation | None = None
        self._area: BaseGeometry = Polygon()
        self._next_flush = 0.0
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._flush)
        self._pointer: QPointF | None = None
        self._modifiers = Qt.KeyboardModifier.NoModifier
        self.state.changed.connect(self.repaint)

    # --- canvas ------------------------------------------------------------------------------------------------

    def deactivate(self) -> None:
        self._pointer = None
        super().deactivate()

    @property
    def busy(self) -> bool:
        return bool(self._points)

    def control_wheel(self, notches: float) -> bool:
        self.state.grow_brush(notches)
        return True

    def shape(self) -> BaseGeometry | None:
        return self._area if self._points else None

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        self._pointer, self._modifiers = event.screen, event.modifiers
        if self.refused():
            return True
        self._scale = event.viewport.scale
        self._radius = self.state.brush_px / 2 / self._scale
        self._erasing = bool(event.modifiers & ERASING)
        self._points, self._done, self._last = [(event.x, event.y)], 0, event.screen
        self._next_flush = 0.0
        self._target = self._touched(brush_stroke(self._points, self._radius))
        self._area = Polygon() if self._target is None else polygonal(self._target.geometry)
        self._fresh = None if self._erasing else self.state.annotation(self._area)
        self.previewer.start(() if self._target is None else (self._target.id,))
        self._flush()
        return True

    def move(self, event: ToolEvent) -> bool:
        self._pointer, self._modifiers = event.screen, event.modifiers
        if not self._points:
            self.repaint()
            return False
        if distance(event.screen, self._last) >= max(1.0, STEP_SHARE * self.state.brush_px):
            self._points.append((event.x, event.y))
            self._last = event.screen
            wait = self._next_flush - time.perf_counter()
            if wait <= 0:
                self._flush()
            elif not self._timer.isActive():
                self._timer.start(int(wait * 1000) + 1)
        self.repaint()
        return True

    def release(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton or not self._points:
            return False
        if (event.x, event.y) != self._points[-1]:
            self._points.append((event.x, event.y))
        self._flush()
        self._commit()
        return True

    def double_click(self, event: ToolEvent) -> bool:
        # The second click of two quick dabs arrives as a double click and is a dab like any other.
        return self.press(event)

    def key(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape:
            return self.cancel()
        if event.key() in (Qt.Key.Key_Comma, Qt.Key.Key_Period):
            self.state.grow_brush(1 if event.key() == Qt.Key.Key_Period else -1)
            return True
        return False

    def cancel(self) -> bool:
        if not self._points:
            return False
        self._points = []
        self._timer.stop()
        self.previewer.stop()
        self.repaint()
        return True

    # --- painting tissue ---------------------------------------------------------------------------------------

    def _touched(self, dab: BaseGeometry) -> Annotation | None:
        """What a stroke that begins with this dab works on; None for nothing there."""
        chosen = self.session.selection
        touched = [
            a
            for a in reversed(self.session.annotations.items)
            if a.role is not Role.NOTE and not a.locked and a.geometry.area > 0 and a.geometry.intersects(dab)
        ]
        same = [a for a in touched if self._same_kind(a)]
        order = [a for a in same if a.id in chosen] + same
        if self._erasing:
            order += [a for a in touched if a.id in chosen]
        return order[0] if order else None

    def _same_kind(self, annotation: Annotation) -> bool:
        if annotation.role is not self.state.role:
            return False
        return annotation.role is not Role.EXCLUDE or annotation.class_name == self.state.class_name

    def _flush(self) -> None:
        """Bring what was painted since the last time into the area, at a pace that keeps the pointer smooth."""
        if not self._points:
            return
        self._timer.stop()
        began = time.perf_counter()
        todo = self._points[max(0, self._done - 1) :]
        began_now = self._done == 0
        piece = brush_stroke(todo, self._radius, TOLERANCE_PX / self._scale)
        self._done = len(self._points)
        if self._erasing and self._target is None:
            # The eraser works on the first thing that it meets.
            self._target = self._touched(piece)
            if self._target is not None:
                self._area = polygonal(self._target.geometry)
                self.previewer.start((self._target.id,))
        if self._erasing:
            self._area = subtract(self._area, [piece])
            self._show()
        else:
            grown = merge([self._area, piece]) if began_now else piece
            self._area = merge([self._area, piece])
            self._show(grown)
        self._next_flush = began + 3 * (time.perf_counter() - began)

    def _show(self, grown: BaseGeometry | None = None) -> None:
        shown = self._target or self._fresh
        if shown is not None:
            self.previewer.show(shown.with_geometry(self._area), grown=grown)
        self.repaint()

    def _commit(self) -> None:
        stroke = brush_stroke(self._points, self._radius, TOLERANCE_PX / self._scale)
        crumbs = min_sliver(self._scale)
        target, erasing = self._target, self._erasing
        self._points = []
        if target is None:
            done = self.on_slide(drop_slivers(stroke, crumbs))
            self.previewer.stop(commit=not erasing and is_area(done))
            if erasing:
                self.state.message.emit("There is nothing to erase here.")
            elif is_area(done):
                self.session.add(self.state.annotation(done), self.undo_text_for(self.state.role))
            else:
                self.state.message.emit(OFF_SLIDE)
        else:
            base = polygonal(target.geometry)
            new = subtract(base, [stroke]) if erasing else merge([base, stroke])
            new = self.on_slide(drop_slivers(new, crumbs, near=stroke))
            self.previewer.stop(commit=True)
            annotations = self.session.annotations
            if is_area(new):
                text = "Erase part of a region" if erasing else self.undo_text_for(target.role)
                self.session.edit(text, annotations.replaced(target.with_geometry(new)), (target.id,))
            else:
                self.session.edit("Erase region", annotations.removed(target.id), ())
        self.repaint()

    # --- drawing -----------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        erasing = self._erasing if self._points else bool(self._modifiers & ERASING)
        color = ERASE_COLOR if erasing else self.state.color
        if self._points:
            radius = self._radius * viewport.scale
            self._paint_pending(painter, viewport, radius, color)
        else:
            radius = self.state.brush_px / 2
        if self._pointer is None or (self.canvas is not None and not self._points and not self.canvas.underMouse()):
            return
        paint_ring(painter, self._pointer, radius, color, minus=erasing)

    def _paint_pending(self, painter: QPainter, viewport: Viewport, radius: float, color: QColor) -> None:
        """The end of the stroke that is not in the area yet."""
        todo = self._points[max(0, self._done - 1) :]
        if len(todo) < 2:
            return
        tint = QColor(color)
        tint.setAlpha(70)
        pen = QPen(tint, 2 * radius)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        painter.setPen(pen)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(to_screen(todo, viewport))


def paint_ring(painter: QPainter, at: QPointF, radius: float, color: QColor, *, minus: bool) -> None:
    """The brush under the pointer, logical screen px; ``minus`` marks one that takes away."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for pen in (QPen(QColor(0, 0, 0, 160), 3.0), QPen(color, 1.5)):
        painter.setPen(pen)
        painter.drawEllipse(at, radius, radius)
        if minus:
            arm = min(4.0, radius / 2)
            painter.drawLine(at - QPointF(arm, 0), at + QPointF(arm, 0))
