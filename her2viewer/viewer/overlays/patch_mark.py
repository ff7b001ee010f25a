"""A frame around the patch that was gone to, so that one sees which one is meant."""

from __future__ import annotations

from PySide6.QtCore import QObject, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from her2viewer.scoring.certainty import DecidingPatch
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.tile_shelf import StillRasters


class PatchMarkLayer(Layer):
    """Draws one square."""

    z = 40
    composed = True

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("Patch", parent)
        self._patch: DecidingPatch | None = None

    @property
    def patch(self) -> DecidingPatch | None:
        """The one that is framed."""
        return self._patch

    def set_patch(self, patch: DecidingPatch | None) -> None:
        """Frame this one, or none."""
        if patch != self._patch:
            self._patch = patch
            self.changed.emit()

    def rasters(self) -> LayerRasters | None:
        # The frame is a line. Without one nothing keeps the layers above from the worker.
        return LayerRasters(StillRasters(), self.opacity) if self._patch is None else None

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        patch = self._patch
        if patch is None:
            return
        half = patch.side / 2
        corners = ((-half, -half), (half, -half), (half, half), (-half, half))
        frame = QPolygonF([QPointF(*viewport.to_screen(patch.x + dx, patch.y + dy)) for dx, dy in corners])
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for pen in (QPen(QColor(255, 255, 255, 220), 4), QPen(QColor(20, 20, 30), 1.5)):
            pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
            painter.setPen(pen)
            painter.drawPolygon(frame)
