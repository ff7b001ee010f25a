"""Brush on the tumour mask of a scorer: adds tumour or removes it; Shift (or Alt) does the other."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QPointF, Qt, QTimer
from PySide6.QtGui import QColor, QKeyEvent, QPainter
from shapely.geometry.base import BaseGeometry

from her2viewer.domain.editing import brush_stroke
from her2viewer.domain.region import Region, polygonal
from her2viewer.viewer.canvas.tool import ToolEvent
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.session import Session
from her2viewer.viewer.tools.brush import ERASING, STEP_SHARE, TOLERANCE_PX, paint_ring
from her2viewer.viewer.tools.drawing_state import DrawingState
from her2viewer.viewer.tools.drawing_tool import SessionTool, distance
from her2viewer.viewer.tools.preview import is_area

ADD_COLOR, REMOVE_COLOR = QColor(0, 150, 120), QColor(225, 60, 60)
NO_MASK = "There is no tumour mask to correct here: run a scorer that finds the tumour first."
OUTSIDE = "The tumour mask can be corrected in the scored part of the region only."


class MaskBrushTool(SessionTool):
    """A round brush of constant size on the screen: zoom in to paint finer. The last stroke counts."""

    cursor = Qt.CursorShape.CrossCursor

    def __init__(self, session: Session, state: DrawingState, *, adds: bool) -> None:
        super().__init__(session, state)
        self.id = "tumour_add" if adds else "tumour_remove"
        self.title = "Add tumour" if adds else "Remove tumour"
        self.correctable: Callable[[], Region] = lambda: Region.of(())
        """Where there is a mask that can be corrected, level-0 px."""
        self._adds = adds
        self._points: list[tuple[float, float]] = []
        self._done = 0
        """How many points the mask follows already."""
        self._allowed = Region.of(())
        self._adding = adds
        self._radius = self._scale = 1.0
        self._last = QPointF()
        self._pointer: QPointF | None = None
        self._modifiers = Qt.KeyboardModifier.NoModifier
        self._next_flush = 0.0
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._flush)
        self.state.changed.connect(self.repaint)

    @property
    def label(self) -> str:
        """What the next stroke does, for the tool bar."""
        return "adds tumour" if self._adds else "removes tumour"

    @property
    def color(self) -> QColor:
        """Of the brush."""
        return ADD_COLOR if self._adds else REMOVE_COLOR

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

    def press(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton:
            return False
        self._pointer, self._modifiers = event.screen, event.modifiers
        if self.refused():
            return True
        self._allowed = self.correctable()
        if self._allowed.empty:
            self.state.message.emit(NO_MASK)
            return True
        self._scale = event.viewport.scale
        self._radius = self.state.brush_px / 2 / self._scale
        self._adding = self._adds != bool(event.modifiers & ERASING)
        self._points, self._done, self._last = [(event.x, event.y)], 0, event.screen
        self._next_flush = 0.0
        self._flush()
        return True

    def move(self, event: ToolEvent) -> bool:
        self._pointer, self._modifiers = event.screen, event.modifiers
        self.repaint()
        if not self._points:
            return False
        if distance(event.screen, self._last) >= max(1.0, STEP_SHARE * self.state.brush_px):
            self._points.append((event.x, event.y))
            self._last = event.screen
            wait = self._next_flush - time.perf_counter()
            if wait <= 0:
                self._flush()
            elif not self._timer.isActive():
                self._timer.start(int(wait * 1000) + 1)
        return True

    def release(self, event: ToolEvent) -> bool:
        if event.button != Qt.MouseButton.LeftButton or not self._points:
            return False
        if (event.x, event.y) != self._points[-1]:
            self._points.append((event.x, event.y))
        self._timer.stop()
        stroke = self._clipped(self._points)
        self._points = []
        if not is_area(stroke):
            self.session.drop_correction()
            self.state.message.emit(OUTSIDE)
        else:
            text = "Add tumour" if self._adding else "Remove tumour"
            self.session.correct(text, self.session.corrections.after(stroke, self._adding))
        self.repaint()
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
        self.session.drop_correction()
        self.repaint()
        return True

    # --- painting ----------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Let the mask follow what was painted since the last time, at a pace that keeps the pointer smooth."""
        if not self._points:
            return
        self._timer.stop()
        began = time.perf_counter()
        piece = self._clipped(self._points[max(0, self._done - 1) :])
        self._done = len(self._points)
        if is_area(piece):
            self.session.preview_correction(piece, self._adding)
        self.repaint()
        self._next_flush = began + 3 * (time.perf_counter() - began)

    def _clipped(self, points: list[tuple[float, float]]) -> BaseGeometry:
        stroke = brush_stroke(points, self._radius, TOLERANCE_PX / self._scale)
        return polygonal(stroke.intersection(self._allowed.geometry))

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._pointer is None or (self.canvas is not None and not self._points and not self.canvas.underMouse()):
            return
        adding = self._adding if self._points else self._adds != bool(self._modifiers & ERASING)
        radius = self._radius * viewport.scale if self._points else self.state.brush_px / 2
        paint_ring(painter, self._pointer, radius, ADD_COLOR if adding else REMOVE_COLOR, minus=not adding)
