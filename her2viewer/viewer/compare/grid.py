"""The middle of the window: the main view, and up to three further ones that move with it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QResizeEvent
from PySide6.QtWidgets import QApplication, QSplitter, QVBoxLayout, QWidget

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
_HANDLE = 5
"""Logical px of a divider: what a mouse can grab."""
_LEAST = 0.1
"""Share of the room that each side of a divider keeps."""


class CompareGrid(QWidget):
    """Owns the further views and what connects them. The main canvas stays the one that is drawn and scored on."""

    views_changed = Signal()
    """A view came, went, or shows another slide now."""
    arrived = Signal(object, object, object)
    """FurtherView, Slide, SlideExtras: another slide was opened for a view; ``FurtherView.show_other`` shows it."""
    arranged = Signal()
    """The reader moved a divider, or put two views the other way."""
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
        self._stacked = False
        self._across = self._down = 0.5
        """Where the dividers stand, as shares of the room."""
        self._rows = QSplitter(Qt.Orientation.Vertical)
        self._top, self._bottom = QSplitter(Qt.Orientation.Horizontal), QSplitter(Qt.Orientation.Horizontal)
        for splitter in (self._rows, self._top, self._bottom):
            splitter.setChildrenCollapsible(False)
            splitter.setHandleWidth(_HANDLE)
            splitter.splitterMoved.connect(self._divider_moved)
        self._top.addWidget(self._cell)
        self._rows.addWidget(self._top)
        self._rows.addWidget(self._bottom)
        self._bottom.hide()
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.addWidget(self._rows)
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

    @property
    def stacked(self) -> bool:
        """Whether two views stand one above the other instead of side by side."""
        return self._stacked

    @stacked.setter
    def stacked(self, stacked: bool) -> None:
        if stacked != self._stacked:
            self._stacked = stacked
            self._arrange()
            self.arranged.emit()

    @property
    def dividers(self) -> tuple[float, float]:
        """Share of the width of the left views, share of the height of the upper ones."""
        return (self._across, self._down)

    @dividers.setter
    def dividers(self, places: tuple[float, float]) -> None:
        self._across, self._down = (min(max(p, _LEAST), 1 - _LEAST) for p in places)
        self._place_dividers()

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
        view.hide()
        # Out of its splitter, which counts what is hidden, too.
        view.setParent(None)
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
        self._header.setVisible(bool(self._views))
        # The main view never moves; with three further ones there is a square of four.
        beside = [] if self._stacked and len(self._views) == 1 else self._views[:1]
        below = self._views[len(beside) :]
        for splitter, views, first in ((self._top, beside, 1), (self._bottom, below, 0)):
            for index, view in enumerate(views, first):
                if splitter.indexOf(view) != index:
                    splitter.insertWidget(index, view)
        self._bottom.setVisible(bool(below))
        self._place_dividers()
        self._share_memory()
        self._show_zoom()
        self.show_landmarks()
        self.views_changed.emit()

    def _place_dividers(self) -> None:
        places = ((self._rows, self.height(), self._down), (self._top, self.width(), self._across))
        for splitter, room, share in (*places, (self._bottom, self.width(), self._across)):
            # Views whose sizes differ by an odd number have their middles half a pixel apart: linked ones would not
            # show the same pixels.
            splitter.setHandleWidth(_HANDLE - (room - _HANDLE) % 2)
            if splitter.count() > 1:
                # In proportion: the splitter makes pixels of them.
                before = round(share * (room - splitter.handleWidth()))
                splitter.setSizes([before, room - splitter.handleWidth() - before])

    def _divider_moved(self, _position: int, _index: int) -> None:
        moved = self.sender()
        assert isinstance(moved, QSplitter)
        before, after = moved.sizes()
        share = before / max(1, before + after)
        # In a square of four both rows are divided at one place.
        self.dividers = (self._across, share) if moved is self._rows else (share, self._down)
        self.arranged.emit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._place_dividers()

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
