"""Membrane OD against completeness of the tumour cells; drawing around points chooses their cells.

Imported when the plot is first looked at: pyqtgraph takes its time.
"""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QPainterPath, QWheelEvent
from PySide6.QtWidgets import QGraphicsPathItem, QWidget

from her2viewer.domain.palette import DEFAULT_PALETTE, her2_colors
from her2viewer.viewer import theme
from her2viewer.viewer.panels.cells_points import COLUMNS, ROWS, CellPoints, density_picture

_REACH_PX = 8.0
_DOT_PX = 4
_MOST_RINGS = 3_000
"""Chosen points that are ringed one by one; more are drawn as squares."""


class _Box(pg.ViewBox):
    """Neither zooms nor pans: a drag draws around points."""

    drawn = Signal(object, bool)
    """(k, 2) outline in the units of the axes, and whether it adds to what is chosen."""
    clicked = Signal(float, float, bool)

    def __init__(self) -> None:
        super().__init__(enableMenu=False, enableMouse=False)
        self._corners: list[tuple[float, float]] = []
        self._line = QGraphicsPathItem()
        self._line.setZValue(100)
        self.addItem(self._line, ignoreBounds=True)

    def mouseDragEvent(self, ev, axis=None) -> None:
        if ev.button() != Qt.MouseButton.LeftButton:
            ev.ignore()
            return
        ev.accept()
        place = self.mapSceneToView(ev.scenePos())
        start = self.mapSceneToView(ev.buttonDownScenePos())
        if ev.isStart():
            self._corners = [(start.x(), start.y())]
        if ev.modifiers() & Qt.KeyboardModifier.ControlModifier:
            x0, y0, x1, y1 = start.x(), start.y(), place.x(), place.y()
            self._corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        else:
            self._corners.append((place.x(), place.y()))
        self._show_line()
        if ev.isFinish():
            outline, self._corners = np.asarray(self._corners), []
            self._show_line()
            self.drawn.emit(outline, bool(ev.modifiers() & Qt.KeyboardModifier.ShiftModifier))

    def mouseClickEvent(self, ev) -> None:
        if ev.button() != Qt.MouseButton.LeftButton:
            return
        ev.accept()
        place = self.mapSceneToView(ev.scenePos())
        self.clicked.emit(place.x(), place.y(), bool(ev.modifiers() & Qt.KeyboardModifier.ShiftModifier))

    def _show_line(self) -> None:
        path = QPainterPath()
        if len(self._corners) > 1:
            path.moveTo(*self._corners[0])
            for corner in self._corners[1:]:
                path.lineTo(*corner)
            path.closeSubpath()
        pen = pg.mkPen(theme.tokens().text, width=1.5, style=Qt.PenStyle.DashLine)
        pen.setCosmetic(True)
        self._line.setPen(pen)
        self._line.setPath(path)


class _Points(pg.ScatterPlotItem):
    """Leaves clicks to the box, which looks for the nearest of all points."""

    def mouseClickEvent(self, ev) -> None:
        ev.ignore()


class CellPlot(pg.PlotWidget):
    """Shows ``CellPoints``, those chosen and the one that is looked at."""

    drawn = Signal(object, bool)
    """Cells (indices into the table) that were drawn around, and whether to add them to those chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self._box = _Box()
        super().__init__(parent, viewBox=self._box, background=None)
        self.setObjectName("cellPlot")
        self.setAccessibleName("Membrane OD against completeness of the tumour cells")
        self.setFixedHeight(236)
        self.setToolTip(
            "Drag around points to choose their cells; Ctrl drags a rectangle, Shift adds to those chosen.\n"
            "Click a point to choose its cell; J goes there."
        )
        self.hideButtons()
        self._palette = DEFAULT_PALETTE
        self.points: CellPoints | None = None
        self._chosen: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._image = pg.ImageItem(axisOrder="row-major")
        self._dots = _Points(pen=None, size=_DOT_PX)
        self._squares = pg.ImageItem(axisOrder="row-major")
        self._rings = _Points(size=7, brush=None)
        self._current = _Points(size=14, brush=None)
        for z, item in enumerate((self._image, self._dots, self._squares, self._rings, self._current)):
            item.setZValue(z)
            self.addItem(item)
        self._box.drawn.connect(self._on_drawn)
        self._box.clicked.connect(self._on_clicked)
        self._dress()
        theme.notifier().changed.connect(self._dress)

    @property
    def density(self) -> bool:
        """Whether squares are drawn in place of points."""
        return self.points is not None and self.points.counts is not None

    @property
    def ringed(self) -> int:
        """Chosen cells whose points are set off."""
        return len(self._chosen)

    @property
    def marked(self) -> tuple[float, float] | None:
        """Membrane OD and completeness of the point that is marked as looked at."""
        x, y = self._current.getData()
        return (float(x[0]), float(y[0])) if len(x) else None

    def place_of(self, x: float, y: float) -> QPointF:
        """Where a membrane OD and a completeness lie on this widget, logical px."""
        return QPointF(self.mapFromScene(self._box.mapViewToScene(QPointF(x, y))))

    def set_palette(self, palette: str) -> None:
        """Class colours by the id of a palette."""
        if palette != self._palette:
            self._palette = palette
            self._draw()

    def set_points(self, points: CellPoints | None) -> None:
        """Show these, or none."""
        self.points = points
        self._chosen = np.zeros(0, dtype=np.int64)
        self._draw()

    def set_chosen(self, indices: NDArray[np.int64], current: int | None) -> None:
        """Set off the points of these cells (sorted indices into the table), and mark one of them."""
        points = self.points
        self._chosen = np.zeros(0, dtype=np.int64) if points is None else points.of(indices)
        self._draw_chosen()
        mark: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        if points is not None and current is not None:
            mark = points.of(np.array([current]))
        x, y = self._places(mark)
        self._current.setData(x, y)

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Left to the column around it."""
        event.ignore()

    def _places(self, at: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        points = self.points
        if points is None or not len(at):
            return np.zeros(0), np.zeros(0)
        return np.minimum(points.x[at], points.right).astype(np.float64), points.y[at].astype(np.float64)

    def _draw(self) -> None:
        points = self.points
        self._image.clear()
        self._dots.clear()
        if points is None:
            self._draw_chosen()
            self._current.clear()
            return
        self._box.setRange(QRectF(0, 0, points.right, 100), padding=0.02, disableAutoRange=True)
        colors = her2_colors(self._palette)
        if points.counts is not None:
            self._image.setImage(density_picture(points.counts, np.asarray(colors, dtype=np.uint8)))
            self._image.setRect(QRectF(0, 0, points.right, 100))
        else:
            # Shuffled, so that no class lies on top of all others.
            order = np.random.default_rng(0).permutation(len(points))
            x, y = self._places(order)
            brushes = np.array([pg.mkBrush(*color, 190) for color in colors], dtype=object)
            self._dots.setData(x, y, brush=brushes[points.her2[order]])
        self._draw_chosen()

    def _draw_chosen(self) -> None:
        points = self.points
        self._squares.clear()
        if points is None or not len(self._chosen):
            self._rings.clear()
        elif len(self._chosen) <= _MOST_RINGS:
            self._rings.setData(*self._places(self._chosen))
        else:
            self._rings.clear()
            counts = np.bincount(points.squares(self._chosen), minlength=ROWS * COLUMNS).reshape(ROWS, COLUMNS)
            rgba = np.zeros((ROWS, COLUMNS, 4), dtype=np.uint8)
            color = theme.tokens().color("text")
            rgba[..., :3] = (color.red(), color.green(), color.blue())
            rgba[..., 3] = np.where(counts > 0, 200, 0)
            self._squares.setImage(rgba)
            self._squares.setRect(QRectF(0, 0, points.right, 100))

    def _on_drawn(self, outline: NDArray[np.float64], add: bool) -> None:
        if self.points is not None:
            self.drawn.emit(self.points.within(outline), add)

    def _on_clicked(self, x: float, y: float, add: bool) -> None:
        if self.points is None:
            return
        pixel = self._box.viewPixelSize()
        found = self.points.nearest(x, y, (_REACH_PX * pixel[0], _REACH_PX * pixel[1]))
        self.drawn.emit(np.array([] if found is None else [found], dtype=np.int64), add)

    def _dress(self, *_: object) -> None:
        t = theme.tokens()
        font = self.font()
        font.setPixelSize(t.font_small)
        for side, words in (("bottom", "Membrane OD"), ("left", "Complete, %")):
            axis = self.getAxis(side)
            axis.setPen(pg.mkPen(t.line))
            axis.setTextPen(pg.mkPen(t.muted))
            axis.setStyle(tickFont=font, tickLength=-4)
            axis.setLabel(words, **{"color": t.muted, "font-size": f"{t.font_small}px"})
            axis.enableAutoSIPrefix(False)
        self._box.setBackgroundColor(t.field)
        self._rings.setPen(pg.mkPen(t.text, width=1))
        self._current.setPen(pg.mkPen(t.accent, width=2.5))
        self._draw()
