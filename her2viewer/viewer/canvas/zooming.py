"""Pictures of a zoom, made by a worker thread; the main thread copies the newest one to the screen.

The worker scales what was on the screen when the zoom began, overlays included, and puts tiles at hand around it,
with what layers have at hand as images. Between two frames it composes what the zoom will need next, and while the
view rests what one out of it will need first. A frame is a
whole picture of the view and becomes what is kept of it, see ``ground.py``: tiles that come are drawn onto it. OpenCV
lets the main thread run meanwhile; Qt's painter would hold it up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QRect, Qt, Signal

from her2viewer.turns import Turn
from her2viewer.viewer.canvas.grid import Pyramid
from her2viewer.viewer.canvas.ground import Ground, Kept, Look, screen_memory
from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.scaling import one_thread_each
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.tissue import Scene
from her2viewer.viewer.canvas.zoom_picture import Source, ZoomPainter, shown_box

log = logging.getLogger(__name__)

IDLE_S = 2.0
"""The worker ends when nothing was zoomed for this long."""
SPARE_FRAMES = 3
SPARE_BYTES = 104 << 20
"""So much of their memory is kept when a zoom is over, three frames of 4K: touching fresh memory takes longer than
drawing one.
"""
TOUCH = 1024
"""Px from one place to the next in order to touch all pages of memory."""
LEAST_AHEAD_S, LEAST_AHEAD = 0.012, 1.5
"""So long the worker composes ahead though a frame is asked for, or so many times what the last one took, where
frames have to be put together from tiles until that is done: they would never leave it the time.
"""


class Order(NamedTuple):
    """A frame to be made."""

    scene: Scene
    look: Look
    kept: Source | None
    overlays: tuple[LayerRasters, ...]
    pyramid: Pyramid
    around: Source | None = None
    """Composed while the view rested."""


class ZoomFrame(NamedTuple):
    """A finished frame."""

    scene: Scene
    look: Look
    memory: NDArray[np.uint8]
    """(pixels, 4) BGRA, row after row: the view with its rim."""
    bare: list[QRect]
    """Where layers that are no images are still to be painted, device px of the view."""
    laid: int
    """So many of the layers that are kept lie on all of it, the lowest ones."""
    afresh: bool
    """Composed of tiles alone."""


class Zooming(QObject):
    """Orders and hands out the frames of a zoom, the newest first. Main thread but for ``_work``."""

    ready = Signal()
    """A frame can be taken; in the main thread."""
    _made = Signal()

    def __init__(self, store: TileStore[Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._painter = ZoomPainter(store)
        self._kept: Kept | None = None
        self._source: Source | None = None
        self.active = False
        """From the first order until ``end``."""
        self._lock = threading.Condition()
        self._order: Order | None = None
        self._drawing = False
        self._stale = False
        """What is being drawn is no longer wanted."""
        self._done: ZoomFrame | None = None
        self._resting: Order | None = None
        """Of this view the picture around it is to be composed."""
        self._composing: Order | None = None
        """Of this one it is being composed; None where that would be of no use any more."""
        self._around: tuple[Look, Source] | None = None
        """Of that look."""
        self._spare: list[NDArray[np.uint8]] = []
        self._thread: threading.Thread | None = None
        self._turn = Turn()
        self._stopping = False
        # Queued: the slot runs in the main thread, where this object lives.
        self._made.connect(self.ready, Qt.ConnectionType.QueuedConnection)

    @property
    def pending(self) -> bool:
        """Whether a frame is to come or to be taken."""
        with self._lock:
            return self._order is not None or self._done is not None or (self._drawing and not self._stale)

    def ask(
        self, scene: Scene, look: Look, pyramid: Pyramid, ground: Ground, overlays: Sequence[LayerRasters] = ()
    ) -> None:
        """Have a frame made, in place of one that was not begun; ``overlays`` are laid over what is composed anew."""
        if not self.active or not self._like(look) or self._overtaken(ground):
            self.keep(ground)
            self.active = True
        alike = self._like(look)
        with self._lock:
            if self._stopping:
                return
            kept, around = (self._source, self._around_it()) if alike else (None, None)
            self._order = Order(scene, look, kept, tuple(overlays), pyramid, around)
            self._resting = self._composing = None
            self._set_to_work()

    def expect(self, scene: Scene, look: Look, pyramid: Pyramid, overlays: Sequence[LayerRasters]) -> None:
        """A view that is kept rests: have composed what a zoom out of it will need first."""
        with self._lock:
            if not (self._stopping or self.active):
                self._resting = Order(scene, look, None, tuple(overlays), pyramid)
                self._set_to_work()

    def outdate(self) -> None:
        """The view that rested is another one, or looks otherwise."""
        with self._lock:
            self._resting = self._composing = self._around = None

    def _set_to_work(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="zoom", daemon=True)
            self._thread.start()
        self._lock.notify_all()

    def _around_it(self) -> Source | None:
        """What was composed of the view that is kept now."""
        if self._around is None or self._kept is None or self._around[0] != self._kept.look:
            return None
        return self._around[1]

    def _like(self, look: Look) -> bool:
        kept = self._kept
        return kept is not None and kept.look.rest == look.rest and kept.look.scale.state == look.scale.state

    def _overtaken(self, ground: Ground) -> bool:
        """Whether something else lies in the memory by now, as after a pan."""
        kept, now = self._kept, ground.kept()
        if kept is None or not ground.uses(kept.ring):
            return False
        return now is None or (now.look, now.area) != (kept.look, kept.area)

    def take(self) -> ZoomFrame | None:
        """The newest frame, once."""
        with self._lock:
            frame, self._done = self._done, None
            return frame

    def keep(self, ground: Ground) -> None:
        """Scale what is kept there from now on."""
        self._kept = kept = ground.kept()
        self._source = None if kept is None else Source.of(kept)

    def reuse(self, memory: NDArray[np.uint8] | None) -> None:
        """For a later frame: memory that nothing is shown from any more."""
        if memory is None or (self._kept is not None and self._kept.ring is memory):
            return
        with self._lock:
            if len(self._spare) < SPARE_FRAMES:
                self._spare.append(memory)

    def prepare(self, pixels: int) -> None:
        """Before a zoom of views of so many px (with the rim): have memory for its frames, touched by a thread."""
        with self._lock:
            self._spare = [memory for memory in self._spare if len(memory) == pixels]
            most = min(SPARE_FRAMES, SPARE_BYTES // (4 * pixels))
            if self._stopping or len(self._spare) >= most:
                return
        threading.Thread(target=self._touch, args=(pixels, most), name="zoom memory", daemon=True).start()

    def _touch(self, pixels: int, most: int) -> None:
        while len(self._spare) < most and not self._stopping:
            memory = screen_memory(pixels)
            memory[::TOUCH] = 0
            with self._lock:
                if not self._stopping and len(self._spare) < SPARE_FRAMES:
                    self._spare.append(memory)

    def drop(self) -> None:
        """Another view is shown: frames that are under way are of no use."""
        with self._lock:
            self._order = self._done = None
            self._stale = self._drawing

    def end(self) -> None:
        """The zoom is over: give the memory back but for what the next one begins with."""
        self.drop()
        self.active = False
        self._kept = self._source = None
        with self._lock:
            self._resting = self._composing = self._around = None
            if self._spare:
                del self._spare[SPARE_BYTES // max(1, self._spare[0].nbytes) :]

    def forget(self) -> None:
        """There is nothing to be zoomed: give all the memory back."""
        self.end()
        with self._lock:
            self._spare.clear()

    def stop(self) -> None:
        """End the worker."""
        self.end()
        with self._lock:
            self._stopping = True
            self._spare.clear()
            thread = self._thread
            self._lock.notify_all()
        if thread is not None:
            thread.join(2.0)

    # -- the worker -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        one_thread_each()
        self._turn.begin()
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping or bool(self._order or self._resting), IDLE_S)
                if self._stopping or not (self._order or self._resting):
                    self._thread = None
                    self._painter.forget()
                    return
                resting = self._composing = self._resting
                self._resting = None
            if resting is not None:
                self._look_around(resting)
            with self._lock:
                if self._order is None:
                    continue
                order, self._order = self._order, None
                self._drawing, self._stale = True, False
                memory = self._spare.pop() if self._spare else None
            frame, begun = None, time.perf_counter()
            try:
                frame = self._drawn(order, memory)
            except Exception:
                # The picture at rest is painted without a worker.
                log.exception("a frame of a zoom could not be made")
            took = time.perf_counter() - begun
            self._turn.next()
            with self._lock:
                self._drawing = False
                if frame is None or self._stale:
                    continue
                if self._done is not None:
                    self._spare.append(self._done.memory)
                self._done = frame
            try:
                self._made.emit()
            except RuntimeError:  # the window was deleted without shutdown()
                return
            self._look_ahead(order, took)

    def _look_ahead(self, order: Order, took: float) -> None:
        """Compose what the zoom will need next, until another frame is asked for; the last one took so many s."""
        least = time.perf_counter() + (max(LEAST_AHEAD_S, LEAST_AHEAD * took) if self._painter.behind else 0.0)
        try:
            for _ in self._painter.ahead(order.scene, order.overlays, order.pyramid):
                asked = self._order is not None and time.perf_counter() >= least
                if asked or self._stopping or not self.active:
                    return
        except Exception:
            log.exception("a picture for a zoom could not be made")

    def _look_around(self, resting: Order) -> None:
        """Compose what a zoom out of a view that rests will need first, unless something else is asked for."""
        try:
            source, steps = self._painter.around(resting.scene, resting.overlays, resting.pyramid)
            for _ in steps:
                if self._composing is not resting or self._resting is not None or self._stopping:
                    return
                self._turn.next()
        except Exception:
            log.exception("a picture for a zoom could not be made")
            return
        with self._lock:
            if self._composing is not resting:
                return
            if self._around is not None:
                self._painter.reuse(self._around[1])
            self._around = (resting.look, source)

    def _drawn(self, order: Order, memory: NDArray[np.uint8] | None) -> ZoomFrame:
        shown, view = shown_box(order.scene), order.scene.view
        if memory is None or len(memory) != shown.width * shown.height:
            memory = screen_memory(shown.width * shown.height)
        out = memory.reshape(shown.height, shown.width, 4)
        bare, afresh = self._painter.paint(order.scene, order.kept, order.overlays, out, order.around)
        left, top = shown.x0 + (shown.width - view.width) // 2, shown.y0 + (shown.height - view.height) // 2
        rects = [QRect(box.x0 - left, box.y0 - top, box.width, box.height) for box in bare]
        return ZoomFrame(order.scene, order.look, memory, rects, len(order.overlays), afresh)
