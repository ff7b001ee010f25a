"""A widget with a view of a slide, and the methods that move it. Nothing is painted here."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QPointF, Qt, Signal
from PySide6.QtWidgets import QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.grid import aligned
from her2viewer.viewer.canvas.viewport import Viewport

STEP_OCTAVES = 0.5
"""Zoom of the + and - keys."""


class MovableView(QWidget):
    """Which part of which slide is shown. Main thread."""

    viewport_changed = Signal(object)
    """Viewport, at once."""
    message = Signal(str)
    """A sentence for the reader: something cannot be done or shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.slide: Slide | None = None
        self.pixel_size: PixelSize | None = None
        self._viewport = Viewport(0.0, 0.0, 1.0, 1, 1)
        self.frame_view = self._viewport
        """The view as it is painted: moved by at most half a device pixel onto the pixels of the screen."""
        self._fitted = True
        """The whole slide is shown and stays so when the canvas changes its size."""

    @property
    def viewport(self) -> Viewport:
        """What is shown."""
        return self._viewport

    @property
    def goal(self) -> Viewport:
        """What will be shown when nothing moves any more."""
        return self._viewport

    @property
    def aim(self) -> Viewport:
        """The viewport as it is to be painted: ``frame_view``, unless a worker is still making that picture."""
        return aligned(self._viewport)

    def set_viewport(self, view: Viewport) -> None:
        """Show another part; size and screen scaling are the canvas' own, the rest is limited to the slide."""
        self._fitted = False
        self._show_view(view)

    def _show_view(self, view: Viewport) -> None:
        view = self._sized(view)
        view = self.limited(view)
        if view != self._viewport:
            self._viewport = view
            self._view_moved()

    def limited(self, view: Viewport) -> Viewport:
        """The view as it can be shown: within the slide."""
        return view if self.slide is None else view.limited(self.slide.width, self.slide.height)

    def _sized(self, view: Viewport) -> Viewport:
        dpr = self.devicePixelRatioF()
        return view.resized(round(self.width() * dpr), round(self.height() * dpr), dpr)

    def fit(self) -> None:
        """The whole slide."""
        if self.slide is not None:
            self._show_view(self._sized(self._viewport).fitted(0, 0, self.slide.width, self.slide.height))
        self._fitted = True

    def fit_region(self, x0: float, y0: float, x1: float, y1: float, margin: float = 0.1) -> None:
        """A level-0 rectangle, with a margin as a share of the view."""
        self.set_viewport(self._sized(self._viewport).fitted(x0, y0, x1, y1, margin))

    def one_to_one(self) -> None:
        """One level-0 px on one px of the screen."""
        self._zoom_to(1.0)

    @property
    def magnification(self) -> float | None:
        """Of the present zoom, by the convention 10 um/px = 1x; None where the pixel size is unknown."""
        if self.pixel_size is None:
            return None
        return self.pixel_size.magnification / self._viewport.downsample

    def set_magnification(self, power: float) -> None:
        """Zoom to 2.5x, 5x, ... about the middle; without a pixel size a sentence says why not."""
        if self.slide is None:
            return
        if self.pixel_size is None:
            self.message.emit(
                f"{power:g}x cannot be set because the pixel size of this slide is not known. Enter it first."
            )
            return
        self._zoom_to(self.pixel_size.magnification / power)

    def zoom_by(self, octaves: float, at: QPointF | None = None, smooth: bool = True) -> None:
        """Zoom in by ``2 ** octaves`` with the point ``at`` (logical px; default the middle) kept in place.

        ``smooth`` lets a step ease in where the reader wants that; a gesture of many small steps does not need it.
        """
        if self.slide is None:
            return
        # Limited first: at the end of the range the view must not slide sideways.
        target = replace(self._viewport, downsample=self.goal.downsample / 2**octaves)
        self._zoom_to(self.limited(target).downsample, at, smooth)

    def zoom_in(self) -> None:
        """One step about the middle of the view."""
        self.zoom_by(STEP_OCTAVES)

    def zoom_out(self) -> None:
        """One step about the middle of the view."""
        self.zoom_by(-STEP_OCTAVES)

    def rotate(self, degrees: float) -> None:
        """Turn the slide clockwise by ``degrees`` about the middle of the view."""
        if self.slide is not None:
            fitted = self._fitted
            self.set_viewport(self._viewport.rotated(degrees))
            if fitted:
                self.fit()

    def _zoom_to(self, downsample: float, at: QPointF | None = None, smooth: bool = True) -> None:
        if self.slide is not None:
            self.set_viewport(self._viewport.zoomed(downsample, *self._point(at)))

    def _point(self, at: QPointF | None) -> tuple[float, float]:
        view = self._viewport
        return (view.width / view.dpr / 2, view.height / view.dpr / 2) if at is None else (at.x(), at.y())

    def _view_moved(self) -> None:
        """For whoever paints: another part is to be shown."""
