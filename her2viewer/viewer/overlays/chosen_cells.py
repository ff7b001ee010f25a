"""The cells that the reader has chosen, set off on the tissue, and among them the one that is looked at."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QObject, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPen

from her2viewer.domain.evidence import CellTable
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.cell_selection import CellSelection
from her2viewer.viewer.latest import LatestWork
from her2viewer.viewer.overlays.cell_index import Box, CellChunk, CellStore
from her2viewer.viewer.overlays.cell_raster import draw_marked
from her2viewer.viewer.overlays.raster_tiles import RasterTiles

_LEAST_RING_PX = 11.0
"""Radius of the ring around the cell that is looked at, logical px."""


class ChosenCellsLayer(Layer):
    """Draws what a ``CellSelection`` holds, above all evidence."""

    z = 41
    composed = True

    def __init__(self, chosen: CellSelection, parent: QObject | None = None) -> None:
        super().__init__("Chosen cells", parent)
        self._chosen = chosen
        self._tiles = RasterTiles(self)
        self._tiles.ready.connect(self.changed_in)
        self._tiles.ready_ahead.connect(self.drawn_ahead)
        self._work = LatestWork("index chosen cells", self)
        self._current: tuple[float, float] | None = None
        self._cell_size = 1.0
        chosen.changed.connect(self._take)

    @property
    def idle(self) -> bool:
        """True when all is drawn."""
        return self._tiles.idle and not self._work.busy

    @property
    def current(self) -> tuple[float, float] | None:
        """Centre of the cell that is looked at, level-0 px."""
        return self._current

    def set_current(self, place: tuple[float, float] | None) -> None:
        """Ring this one, or none."""
        if place != self._current:
            self._current = place
            self.changed.emit()

    def stop(self) -> None:
        """End the work in the background."""
        self._work.stop()
        self._tiles.stop()

    def viewport_changed(self, viewport: Viewport) -> None:
        # Also while nothing is chosen: tiles are ordered for the view of the moment in which something is.
        self._tiles.set_viewport(viewport)

    def leave_off(self) -> None:
        self._tiles.leave_off()

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        if not len(self._chosen):
            return
        self._tiles.paint(painter, viewport)
        if self._current is None:
            return
        radius = max(_LEAST_RING_PX, 0.9 * self._cell_size * viewport.scale)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(16, 16, 20), 4), QPen(QColor(255, 255, 255), 2)):
            painter.setPen(pen)
            painter.drawEllipse(QPointF(*viewport.to_screen(*self._current)), radius, radius)

    def rasters(self) -> LayerRasters | None:
        # The ring around the cell that is looked at is a line.
        return LayerRasters(self._tiles.shelf(), self.opacity) if self._current is None else None

    def _take(self) -> None:
        table, indices = self._chosen.table, self._chosen.indices
        if table is None:
            self._work.forget()
            self._tiles.set_render(None, keep=False)
            self._current = None
            self.changed.emit()
            return
        keep = np.zeros(len(table), dtype=bool)
        keep[indices] = True
        self._work.order(lambda: _indexed(table, keep), self._show)

    def _show(self, found: tuple[CellChunk, float]) -> None:
        chunk, self._cell_size = found
        cell_size = self._cell_size

        def render(box: Box, size: int, downsample: float) -> QImage | None:
            pixels = draw_marked(chunk, box, size=size, downsample=downsample, cell_size=cell_size)
            if pixels is None:
                return None
            return QImage(pixels.data, size, size, 4 * size, QImage.Format.Format_ARGB32_Premultiplied).copy()

        self._tiles.set_render(render, keep=False)
        self.changed.emit()


def _indexed(table: CellTable, keep: np.ndarray) -> tuple[CellChunk, float]:
    some = table.selected(keep)
    x1, y1 = float(table.x.max()) + 1, float(table.y.max()) + 1
    store = CellStore(table.scheme, x1, y1)
    cells = store.prepared(some)
    assert cells is not None
    store.append(cells)
    return cells.chunk, store.typical_size()
