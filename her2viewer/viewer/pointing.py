"""What the status bar says of the view and of the place under the pointer."""

from __future__ import annotations

from PySide6.QtCore import QObject

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.compare.grid import CompareGrid
from her2viewer.viewer.overlays.annotation_layer import AnnotationLayer
from her2viewer.viewer.overlays.evidence_layers import EvidenceLayers
from her2viewer.viewer.session import Session
from her2viewer.viewer.statusbar import StatusBar


class Pointing(QObject):
    """Follows the pointer over the canvas and over further views."""

    def __init__(
        self,
        parent: QObject,
        *,
        session: Session,
        canvas: SlideCanvas,
        compare: CompareGrid,
        evidence: EvidenceLayers,
        outlines: AnnotationLayer,
        status: StatusBar,
    ) -> None:
        super().__init__(parent)
        self._session, self._canvas, self._status = session, canvas, status
        self._evidence, self._outlines = evidence, outlines
        canvas.viewport_changed.connect(lambda _: self.show_view())
        canvas.cursor_moved.connect(lambda x, y: self._show(x, y, self._readout(x, y)))
        canvas.cursor_left.connect(self.clear)
        compare.cursor_moved.connect(self._show)
        compare.cursor_left.connect(self.clear)

    def show_view(self) -> None:
        """Magnification and pixel size."""
        slide = self._session.slide
        downsample = self._canvas.viewport.downsample if slide is not None else None
        self._status.set_view(downsample, self._session.pixel_size)

    def clear(self) -> None:
        """The pointer is over no tissue."""
        self._status.set_position(None, None)
        self._status.set_readout("")

    def _show(self, x: float, y: float, words: str) -> None:
        self._status.set_position((x, y), self._session.pixel_size)
        self._status.set_readout(words)

    def _readout(self, x: float, y: float) -> str:
        """What all visible layers say of a slide point: first what a scorer saw, then the outline around it."""
        view = self._canvas.viewport
        if self._session.slide is None or self._canvas.overlays_hidden:
            return ""
        words = (self._evidence.readout_at(x, y, view), self._outlines.readout(x, y, view) or "")
        return "  |  ".join(w for w in words if w)
