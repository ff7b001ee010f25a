"""The middle of the window: the main view, and up to three further ones that move with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication, QGridLayout, QVBoxLayout, QWidget

from her2viewer.domain.alignment import Point
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.budget import Budget, default_budget
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.loader import TileLoader
from her2viewer.viewer.compare.header import ViewHeader, zoom_text
from her2viewer.viewer.compare.layers import GhostLayer, LandmarkLayer
from her2viewer.viewer.compare.view import FurtherView, Kind
from her2viewer.viewer.opening import SlideExtras, SlideOpener

MOST = 3
"""Further views at most: four in all."""


class CompareGrid(QWidget):
    """Owns the further views and what connects them. The main canvas stays the one that is drawn and scored on."""

    views_changed = Signal()
    """A view came, went, or shows another slide now."""
    arrived = Signal(object, object, object)
    """FurtherView, Slide, SlideExtras: another slide was opened for a view; ``FurtherView.show_other`` shows it."""
    message = Signal(str)
    cursor_moved = Signal(float, float, str)
    """The pointer is in a further view: the place on the main slide, level-0 px, and what lies there."""
    cursor_left = Signal()

    def __init__(self, canvas: SlideCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.main = canvas
        self._linked = True
        self._views: list[FurtherView] = []
        self._openers: dict[SlideOpener, FurtherView | None] = {}
        self._left: list[TileLoader] = []
        """Of views that are gone but whose workers may still hold the slide."""
        self._header = ViewHeader(main=True)
        self._header.hide()
        self._name = ""
        self._cell = QWidget()
        column = QVBoxLayout(self._cell)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._header)
        column.addWidget(canvas, 1)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(3)
        self._grid.addWidget(self._cell, 0, 0)
        self._ghost: GhostLayer | None = None
        self.landmarks = LandmarkLayer(self)
        canvas.add_layer(self.landmarks)
        canvas.viewport_changed.connect(lambda _: self._show_zoom())
        canvas.overlays_hidden_changed.connect(self._hide_overlays)

    # -- views ----------------------------------------------------------------------------------------------------

    @property
    def views(self) -> tuple[FurtherView, ...]:
        """Further views, in reading order."""
        return tuple(self._views)

    @property
    def full(self) -> bool:
        """No further view can be added."""
        return len(self._views) >= MOST

    @property
    def active(self) -> SlideCanvas:
        """The canvas that has the focus, or the main one."""
        focused = QApplication.focusWidget()
        return next((v.canvas for v in self._views if v.canvas is focused), self.main)

    @property
    def pointed(self) -> SlideCanvas | None:
        """The canvas under the pointer."""
        return next((c for c in self.canvases if c.pointer is not None), None)

    @property
    def canvases(self) -> tuple[SlideCanvas, ...]:
        """All of them, the main one first."""
        return (self.main, *(v.canvas for v in self._views))

    @property
    def aligning(self) -> FurtherView | None:
        """The view with another slide whose landmarks are set: the one that has the focus, else the first."""
        others = [v for v in self._views if v.aligner is not None]
        return next((v for v in others if v.canvas is self.active), others[0] if others else None)

    @property
    def linked(self) -> bool:
        """Whether all views move together."""
        return self._linked

    @linked.setter
    def linked(self, linked: bool) -> None:
        self._linked = linked
        for view in self._views:
            view.set_linked(linked)

    def add(self, kind: Kind) -> FurtherView:
        """One more view, still empty. There must be room (``full``)."""
        view = FurtherView(kind, self.main, self)
        self._views.append(view)
        if self._ghost is None:
            self._ghost = GhostLayer(self.main)
        view.close_clicked.connect(lambda: self.remove(view))
        view.message.connect(self.message)
        view.canvas.cursor_moved.connect(lambda x, y: self._further_moved(view, (x, y)))
        view.canvas.cursor_left.connect(lambda: self._point_at(view.canvas, None))
        view.canvas.cursor_left.connect(self.cursor_left)
        view.set_linked(self._linked)
        if len(self._views) == 1:
            self.main.cursor_moved.connect(self._main_moved)
            self.main.cursor_left.connect(self._main_left)
        self._arrange()
        return view

    def open_other(self, view: FurtherView, path: Path) -> None:
        """Begin to open another slide for a view; ``arrived`` follows."""
        view.show_opening(path)
        opener = next((o for o, user in self._openers.items() if user in (None, view)), None)
        if opener is None:
            opener = SlideOpener(parent=self)
            opener.opened.connect(partial(self._opened, opener))
            opener.failed.connect(partial(self._failed, opener))
        self._openers[opener] = view
        opener.open(path)

    def remove(self, view: FurtherView) -> None:
        """Close one further view."""
        if view not in self._views:
            return
        self._views.remove(view)
        other, faces = view.leave()
        self._left = [loader for loader in self._left if loader.outstanding]
        self._left.append(view.canvas.loader)
        for opener in [o for o, user in self._openers.items() if user is view]:
            opener.cancel()
            self._openers[opener] = None
            if other is not None:
                opener.close_slide(other, faces)
        if not self._views:
            self.main.cursor_moved.disconnect(self._main_moved)
            self.main.cursor_left.disconnect(self._main_left)
            self._point_at(None, None)
        had_focus = view.canvas.hasFocus()
        self._grid.removeWidget(view)
        view.hide()
        view.deleteLater()
        self._arrange()
        if had_focus or not self._views:
            self.main.setFocus()

    def clear(self) -> None:
        """Close all further views."""
        for view in self.views:
            self.remove(view)

    def readers(self) -> tuple[TileLoader, ...]:
        """Who may still read the slide of the main view; it is closed after they have let go of it."""
        return (*self._left, *(v.canvas.loader for v in self._views))

    def shutdown(self) -> None:
        """End all workers and threads; the window closes."""
        self.clear()
        for opener in self._openers:
            opener.shutdown()

    # -- how they look --------------------------------------------------------------------------------------------

    def set_name(self, name: str) -> None:
        """Name of the slide in the main view."""
        self._header.set_text(name)

    def set_outside_color(self, color: QColor) -> None:
        """Beside the slides."""
        for canvas in self.canvases:
            canvas.outside_color = color
            canvas.update()

    def show_landmarks(self) -> None:
        """Crosses on the main slide: those of the view that is being aligned."""
        view = self.aligning
        if view is None or view.aligner is None:
            self.landmarks.set_points(())
            return
        marks = [mark.here for mark in view.aligner.alignment.landmarks]
        self.landmarks.set_points(marks, view.aligner.pending_here)

    # -- inside ---------------------------------------------------------------------------------------------------

    def _arrange(self) -> None:
        several = bool(self._views)
        self._header.setVisible(several)
        # With three further ones a square of four, else one beside the other.
        places = ((0, 1), (1, 0), (1, 1)) if len(self._views) > 1 else ((0, 1),)
        for view, (row, column) in zip(self._views, places, strict=False):
            self._grid.addWidget(view, row, column)
        two_rows = len(self._views) > 1
        wide = len(self._views) == 2
        if wide:
            # Three views: the last one is as wide as two.
            self._grid.addWidget(self._views[1], 1, 0, 1, 2)
        for index in (0, 1):
            self._grid.setColumnStretch(index, int(index == 0 or several))
            self._grid.setRowStretch(index, int(index == 0 or two_rows))
        self._share_memory()
        self._show_zoom()
        self.show_landmarks()
        self.views_changed.emit()

    def _share_memory(self) -> None:
        whole = default_budget()
        each = Budget.of((whole.screen + whole.decoded) // (1 + len(self._views)))
        for canvas in self.canvases:
            canvas.set_budget(each)

    def _show_zoom(self) -> None:
        if self._views and self.main.slide is not None:
            self._header.set_zoom(zoom_text(self.main.magnification, self.main.viewport.downsample))

    def _hide_overlays(self, hidden: bool) -> None:
        for view in self._views:
            view.hide_overlays(hidden)

    def _main_moved(self, x: float, y: float) -> None:
        self._point_at(self.main, (x, y))

    def _further_moved(self, view: FurtherView, point: Point) -> None:
        self._point_at(view.canvas, point)
        if view.canvas.slide is not None:
            x, y = view.canvas.alignment.inverse().apply(*point)
            self.cursor_moved.emit(x, y, view.canvas.readout(*point) or "")

    def _main_left(self) -> None:
        self._point_at(self.main, None)

    def _point_at(self, source: SlideCanvas | None, point: Point | None) -> None:
        """Show in all views but ``source`` where its pointer is."""
        on_main = point
        for view in self._views:
            if view.canvas is source and point is not None:
                on_main = view.canvas.alignment.inverse().apply(*point)
        for view in self._views:
            there = None if on_main is None or view.canvas is source else view.canvas.alignment.apply(*on_main)
            view.ghost.set_point(there)
        if self._ghost is not None:
            self._ghost.set_point(None if source is self.main else on_main)

    def _opened(self, opener: SlideOpener, slide: Slide, extras: SlideExtras) -> None:
        view = self._openers.get(opener)
        if view is None or self.main.slide is None:
            opener.close_slide(slide)
            return
        self.arrived.emit(view, slide, extras)
        self.views_changed.emit()

    def _failed(self, opener: SlideOpener, text: str, path: Path) -> None:
        view = self._openers.get(opener)
        if view is not None:
            view.show_failure(text)
