"""A layer over the tissue: annotations, cells, class maps, heatmaps."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QPainter

from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.viewport import Viewport


class Layer(QObject):
    """Draws on the canvas after the tissue. Painting happens on the main thread and must only use what is at hand."""

    changed = Signal()
    """The canvas repaints (coalesced to one a frame)."""
    changed_in = Signal(object)
    """Only what lies in these bounds (x0, y0, x1, y1 in level-0 px)."""
    drawn_ahead = Signal()
    """There is more for other zooms; nothing of what is seen changes."""
    always_visible = False
    """Stays when all overlays are hidden with one switch."""
    composed = False
    """Paints the same for the same view until it says ``changed``, and any part of the view alone: may be kept with
    the tissue below it instead of being painted in every frame."""
    z = 0
    """Layers with a higher value are painted later; equal ones in the order in which they were added."""

    def __init__(self, title: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.title = title
        self._visible = True
        self._opacity = 1.0

    @property
    def visible(self) -> bool:
        """Whether the reader wants to see this layer."""
        return self._visible

    @visible.setter
    def visible(self, value: bool) -> None:
        if value != self._visible:
            self._visible = value
            self.changed.emit()

    @property
    def opacity(self) -> float:
        """0 to 1."""
        return self._opacity

    @opacity.setter
    def opacity(self, value: float) -> None:
        value = min(1.0, max(0.0, value))
        if value != self._opacity:
            self._opacity = value
            self.changed.emit()

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        """Draw in logical screen coordinates; the canvas has set the opacity and antialiasing is off."""
        raise NotImplementedError

    def rasters(self) -> LayerRasters | None:
        """What ``paint`` would paint, as images: a snapshot for frames of a zoom that a worker makes. None where only
        a painter can draw it.
        """
        return None

    def viewport_changed(self, viewport: Viewport) -> None:
        """Called before a frame with a new view, to order raster tiles from workers. Must be quick."""

    def leave_off(self) -> None:
        """A zoom goes on: what was ordered for the view before is of no use any more. When a view stays,
        ``viewport_changed`` is called.
        """

    def readout(self, x: float, y: float, viewport: Viewport) -> str | None:
        """A few words on what lies at a slide point (level-0 px), for the status bar; None for nothing."""
        return None
