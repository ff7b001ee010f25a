"""What was looked at closely: follows the view, keeps the map, knows its share of the region."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.domain.region import Region
from her2viewer.domain.region_squares import Raster, RegionSquares
from her2viewer.domain.reviewed import MAGNIFICATION, ReviewedMap
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.case_keeper import CaseKeeper
from her2viewer.viewer.session import Session

SEEN_MS = 500
"""A place counts as looked at when it was on the screen, close enough and sharp, for this time in all."""
REST_S = 0.25
"""A view that stands for this long is looked at, however far the next one is away."""
MOST_SPEED = 0.5
"""Views a second: what goes by faster is not read."""
LATE_S = 0.1
"""Tiles that come within this time after the view has moved: it was sharp all along."""
TELL_MS = 250
"""While the reader pans slowly the map changes with each frame; it is told no more often than this."""
REGION_MS = 150
"""The share follows a change of the region after this time."""
_SLACK = 0.99
"""20x by a key is not always 20x to the last digit."""


class Reviewing(QObject):
    """One slide at a time, on the main thread. Nothing runs while the view rests."""

    changed = Signal()
    """The map or its share of the region."""
    restarted = Signal()
    """A map with something on it was given up, because the pixel size is another one now."""

    def __init__(
        self,
        session: Session,
        canvas: SlideCanvas,
        keeper: CaseKeeper,
        parent: QObject | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._canvas = canvas
        self._keeper = keeper
        self.clock = clock
        self.map: ReviewedMap | None = None
        """None without a slide or without a pixel size: nobody knows then what is close enough."""
        self._dwell: NDArray[np.uint16] | None = None
        """For each square how long it was looked at, ms."""
        self._squares: RegionSquares | None = None
        self._squares_of: tuple[Region, Raster] | None = None
        """What ``_squares`` is of."""
        self._share: float | None = None
        self._share_due = False
        """It is computed when it is asked for."""
        self._untold = False
        self._view: Viewport | None = None
        """The close and sharp view whose time runs, since ``_opened``."""
        self._opened = 0.0
        self._moved = 0.0
        """When the view changed last."""
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(SEEN_MS)
        self._rest.timeout.connect(self._rested)
        self._region = QTimer(self)
        self._region.setSingleShot(True)
        self._region.setInterval(REGION_MS)
        self._region.timeout.connect(self._measure)
        self._told = QTimer(self)
        self._told.setSingleShot(True)
        self._told.setInterval(TELL_MS)
        self._told.timeout.connect(self._tell_later)
        canvas.viewport_changed.connect(self._view_changed)
        canvas.sharpened.connect(self._sharpened)
        session.slide_changed.connect(self._slide_changed)
        session.region_changed.connect(self._region_changed)
        session.pixel_size_changed.connect(self._pixel_size_changed)

    @property
    def share(self) -> float | None:
        """Share of the region that was looked at, 0 to 1; None without region or map."""
        if self._share_due:
            self._share_due = False
            squares, known = self._squares, self.map
            self._share = None if squares is None or known is None else squares.share(known.seen)
        return self._share

    @property
    def squares(self) -> RegionSquares | None:
        """The squares of the region on the map, up to date."""
        if self._region.isActive():
            self._region.stop()
            self._measure()
        return self._squares

    def begin(self, kept: ReviewedMap | None) -> None:
        """Another slide is shown, or none; ``kept`` is what its case knows."""
        self._stop()
        slide, size = self._session.slide, self._session.pixel_size
        fresh = None if slide is None or size is None else ReviewedMap.empty(slide.width, slide.height, size.mpp)
        if fresh is not None and kept is not None and _fits(kept, fresh):
            fresh = kept
        self._use(fresh)

    def reset(self) -> ReviewedMap | None:
        """Nothing was looked at; gives what was known before, for ``restore``."""
        before = self.map
        if before is not None and not before.nothing:
            self._use(ReviewedMap(before.step, before.mpp, np.zeros_like(before.seen)))
            self._keeper.keep_reviewed(self.map)
            self._keeper.log("map of what was looked at reset")
            # What is on the screen is looked at anew.
            if self._canvas.sharp:
                self._sharpened()
        return before

    def restore(self, before: ReviewedMap) -> None:
        """As it was before ``reset``, with what was looked at since."""
        if self.map is None or self.map.seen.shape != before.seen.shape:
            return
        everything = slice(None)
        self._use(before.with_squares(everything, everything, self.map.seen))
        self._keeper.keep_reviewed(self.map)
        self._keeper.log("map of what was looked at restored")

    # -- what changes ---------------------------------------------------------------------------------------------

    def _use(self, new: ReviewedMap | None) -> None:
        self.map = new
        self._dwell = None if new is None else np.where(new.seen, SEEN_MS, 0).astype(np.uint16)
        self._measure()

    def _slide_changed(self, _: object) -> None:
        # Until ``begin`` says what its case knows.
        self._stop()
        self._use(None)

    def _pixel_size_changed(self, size: PixelSize | None) -> None:
        slide = self._session.slide
        if slide is None or size is None or slide is not self._canvas.slide:
            return
        fresh = ReviewedMap.empty(slide.width, slide.height, size.mpp)
        if self.map is None or not _fits(self.map, fresh):
            given_up = self.map is not None and not self.map.nothing
            self._stop()
            self._use(fresh)
            if given_up:
                self._keeper.keep_reviewed(fresh)
                self.restarted.emit()

    def _region_changed(self, _: Region) -> None:
        if not self._region.isActive():
            self._region.start()

    def _measure(self) -> None:
        region, raster = self._session.region, None if self.map is None else self.map.raster
        before, of = self._squares, self._squares_of
        if raster is None:
            self._squares, self._squares_of = None, None
        elif before is not None and of is not None and of[1] == raster:
            # An edit of one among thousands of outlines must not raster all of them.
            self._squares, self._squares_of = before.updated(of[0], region, raster), (region, raster)
        else:
            self._squares, self._squares_of = RegionSquares.of(region, raster), (region, raster)
        self._share_due = True
        self.changed.emit()

    def _tell(self) -> None:
        self._share_due = True
        self._untold = self._told.isActive()
        if not self._untold:
            self._told.start()
            self.changed.emit()

    def _tell_later(self) -> None:
        if self._untold:
            self._tell()

    # -- the view -------------------------------------------------------------------------------------------------

    def _view_changed(self, view: Viewport) -> None:
        now = self.clock()
        self._close(now, view)
        self._moved = now
        self._rest.stop()

    def _sharpened(self) -> None:
        view, size = self._canvas.viewport, self._session.pixel_size
        if self.map is None or size is None or not self._canvas.isVisible():
            return
        if size.magnification / view.downsample < MAGNIFICATION * _SLACK:
            return
        now = self.clock()
        self._view = view
        self._opened = self._moved if now - self._moved < LATE_S else now
        self._rest.start()

    def _rested(self) -> None:
        self._close(self.clock(), None)

    def _close(self, now: float, following: Viewport | None) -> None:
        view, self._view = self._view, None
        if view is None:
            return
        # The timer of a view that rests may be a little early: its time is over all the same.
        time_on = max(now - self._opened, SEEN_MS / 1000 if following is None else 0.0)
        if following is not None and time_on < REST_S and _speed(view, following, time_on) > MOST_SPEED:
            return
        self._credit(view, round(1000 * time_on))

    def _credit(self, view: Viewport, ms: int) -> None:
        known, dwell = self.map, self._dwell
        if known is None or dwell is None or ms <= 0:
            return
        rows, columns, which = known.squares(view.corners())
        window = dwell[rows, columns]
        # Far below the end of uint16, whatever the clock says.
        window[which] = np.minimum(window[which] + min(ms, SEEN_MS), SEEN_MS)
        self.map = known.with_squares(rows, columns, which & (window >= SEEN_MS))
        if self.map is not known:
            self._keeper.keep_reviewed(self.map)
            self._tell()

    def _stop(self) -> None:
        self._view = None
        self._rest.stop()
        self._region.stop()
        self._told.stop()


def _fits(known: ReviewedMap, fresh: ReviewedMap) -> bool:
    """Whether a map is one of this slide with this pixel size."""
    return known.seen.shape == fresh.seen.shape and abs(known.mpp / fresh.mpp - 1) < 0.01


def _speed(before: Viewport, after: Viewport, seconds: float) -> float:
    """Views a second; a change of zoom counts as quick."""
    if (before.downsample, before.rotation) != (after.downsample, after.rotation):
        return math.inf
    x, y = before.to_screen(after.cx, after.cy)
    way = max(abs(x * before.dpr / before.width - 0.5), abs(y * before.dpr / before.height - 0.5))
    return way / max(seconds, 1e-3)
