"""A canvas that shows the places that another one shows, and leads it when it is moved itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QPointF
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QWidget

from her2viewer.domain.alignment import Similarity
from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.grid import aligned
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.compare.follow import followed, same_view


class FollowingCanvas(SlideCanvas):
    """Linked with the canvas of the main view, the leader: each shows the same tissue at the same size and angle.

    The leader alone is limited to its slide: this one may show what lies beside its own.
    """

    def __init__(self, leader: SlideCanvas, parent: QWidget | None = None, workers: int | None = None) -> None:
        super().__init__(parent, workers)
        self._leader = leader
        self._alignment = Similarity()
        self._linked = True
        self._quiet = False
        """A move of this canvas that the leader is not to make."""
        self._along = False
        """The last move was a step of a zoom of the leader."""
        self.loader.share_with(leader.loader)
        # What is dropped here is meant for the window.
        self.setAcceptDrops(False)
        self.overview.shown = False
        self.overview.place()
        # Methods, not lambdas: Qt forgets them with this canvas, and the leader lives on.
        leader.viewport_changed.connect(self._leader_moved)
        self.viewport_changed.connect(self._lead)

    @property
    def linked(self) -> bool:
        """Whether the two move together."""
        return self._linked

    @linked.setter
    def linked(self, linked: bool) -> None:
        self._linked = linked
        self.follow()

    @property
    def alignment(self) -> Similarity:
        """From the leader's slide to the one shown here; never flips (a flipped slide is shown mirrored)."""
        return self._alignment

    @alignment.setter
    def alignment(self, transform: Similarity) -> None:
        self._alignment = transform
        self.follow()

    def set_slide(self, slide: Slide | None, pixel_size: PixelSize | None = None) -> None:
        with self._silent():
            super().set_slide(slide, pixel_size)
        self.follow()

    def follow(self) -> None:
        """Show what the leader shows."""
        if not self._linked or self._quiet or self.slide is None or self._leader.slide is None:
            return
        view = followed(self._leader.viewport, self._alignment)
        zooming, self._along = self._along, self._leader.motion.zooming
        # Tiles are ordered for the very last digit of the end of a zoom: the steps before it come close, no more.
        if same_view(view, self._viewport) and not (zooming or self._along):
            return
        with self._silent():
            if zooming or self._along or self._leader.zooms:
                self.zoom_soon(view)
            else:
                super().set_viewport(view)

    def leading_view(self, view: Viewport | None = None) -> Viewport:
        """The view of the leader's slide with the size of this canvas that shows the same places."""
        return followed(self._viewport if view is None else view, self._alignment.inverse())

    def limited(self, view: Viewport) -> Viewport:
        return view if self._linked else super().limited(view)

    @property
    def goal(self) -> Viewport:
        if self._led_by_zoom:
            return self._sized(followed(self._leader.goal, self._alignment))
        return super().goal

    def _ordered_view(self) -> Viewport:
        # Each frame of the leader's zoom has a scale of its own: tiles are made for the last one alone.
        return aligned(self.goal) if self._led_by_zoom else super()._ordered_view()

    @property
    def _led_by_zoom(self) -> bool:
        return self._linked and self.slide is not None and self._leader.motion.zooming

    def _zoom_to(self, downsample: float, at: QPointF | None = None, smooth: bool = True) -> None:
        if not self._linked or self.slide is None or self._navigator.panning:
            super()._zoom_to(downsample, at, smooth)
            return
        # The leader eases in and is limited; equal points lie equally far from the middle of both.
        sx, sy = self._point(at)
        own, main = self._viewport, self._leader.viewport
        there = QPointF(
            main.width / main.dpr / 2 + sx - own.width / own.dpr / 2,
            main.height / main.dpr / 2 + sy - own.height / own.dpr / 2,
        )
        self._leader._zoom_to(downsample / self._alignment.scale, there, smooth)

    def resizeEvent(self, event: QResizeEvent) -> None:
        with self._silent():
            super().resizeEvent(event)
        self.follow()

    def fit(self) -> None:
        super().fit()
        if self._linked:
            # The leader is fitted to its own slide when the window changes, not this one.
            self._fitted = False

    def _leader_moved(self, _: object) -> None:
        self.follow()

    def _lead(self, _: object) -> None:
        if not self._linked or self._quiet or self.slide is None or self._leader.slide is None:
            return
        view = self.leading_view()
        if same_view(view, self._leader.viewport):
            return
        with self._silent():
            self._leader.set_viewport(view)
        # Where the leader was limited, this one is too.
        self.follow()

    @contextmanager
    def _silent(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before
