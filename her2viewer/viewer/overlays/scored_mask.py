"""What of the region no scorer has looked at yet: hatched, so that nobody takes it for negative."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QBrush, QColor, QPainter, QPainterPath, QPen, QPixmap

from her2viewer.domain.region import Region
from her2viewer.viewer.canvas.rasters import RasterSource
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.base import EvidenceLayer
from her2viewer.viewer.overlays.clip import region_path
from her2viewer.viewer.overlays.raster_tiles import slide_to_screen
from her2viewer.viewer.overlays.tile_shelf import StillRasters

_HATCH = 14


class ScoredMaskLayer(EvidenceLayer):
    """Hatches the part of the ROI that is not yet scored; while a scorer runs that part shrinks."""

    # Above the outlines: what is not kept may not lie below what is.
    z = 101

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__("Not yet scored", parent)
        self._path = QPainterPath()
        self._missing = Region.of(())
        self._brush: QBrush | None = None

    @property
    def composed(self) -> bool:  # type: ignore[override]
        """The hatch stands still on the screen while the slide moves; nothing can be kept with what lies below."""
        return self._missing.empty

    def set_missing(self, missing: Region) -> None:
        """The part of the ROI without evidence; empty hatches nothing."""
        if missing.geometry == self._missing.geometry:
            return
        self._missing = missing
        self._path = region_path(missing.geometry)
        self.changed.emit()

    def _raster_source(self) -> RasterSource | None:
        return StillRasters() if self._missing.empty else None

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        if self._missing.empty:
            return None
        from shapely import contains_xy

        return "not yet scored" if contains_xy(self._missing.geometry, x, y) else None

    def _paint(self, painter: QPainter, viewport: Viewport) -> None:
        if self._missing.empty:
            return
        path = slide_to_screen(viewport).map(self._path)
        # The hatch lies on the screen, not on the slide: it neither crawls nor thickens with the zoom.
        painter.fillPath(path, self._hatch())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
        pen = QPen(QColor(20, 20, 20, 170), 1)
        pen.setStyle(Qt.PenStyle.DashLine)
        painter.strokePath(path, pen)

    def _hatch(self) -> QBrush:
        if self._brush is None:
            tile = QPixmap(_HATCH, _HATCH)
            tile.fill(Qt.GlobalColor.transparent)
            painter = QPainter(tile)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
            # Dark beside light: visible on white glass and on dark tissue alike.
            for color, shift in ((QColor(255, 255, 255, 110), 1.0), (QColor(40, 40, 40, 110), 0.0)):
                painter.setPen(QPen(color, 1.2))
                for start in (-_HATCH, 0, _HATCH):
                    painter.drawLine(int(start + shift) - 1, _HATCH + 1, int(start + shift) + _HATCH + 1, -1)
            painter.end()
            self._brush = QBrush(tile)
        return self._brush
