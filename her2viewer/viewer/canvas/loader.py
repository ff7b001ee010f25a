"""Worker threads that decode tiles and hand them over at the size of the screen."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QImage

from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.cores import Place
from her2viewer.viewer.canvas.grid import Scale, TileKey
from her2viewer.viewer.canvas.render import Abandoned, Rendered, TileRenderer, Transform
from her2viewer.viewer.canvas.scaling import one_thread_each
from her2viewer.viewer.canvas.store import Tile

log = logging.getLogger(__name__)

COALESCE_MS = 16
"""Tiles that become ready within this time are painted together: the screen shows no more pictures than that."""
MOST_WORKERS = 6
MOST_WAITING = 64
"""Tiles that may wait for the main thread; readers pause then, or a busy moment would fill the memory."""
JUMP_TILES = 10
"""So many missing tiles are a jump to elsewhere and no pan: all that is asked for is to be quick now."""
IDLE_S = 0.1
"""After so long without work a reader touches memory for the next tiles."""
STOP_S = 5.0


def worker_count() -> int:
    """One core is left to the main thread: readers on all cores make the window stutter. After a jump nothing moves
    that could stutter: one reader more helps then, see ``TileLoader``.
    """
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 2) - 1))


@dataclass(frozen=True)
class LoadedTile:
    """A tile ready to be blitted."""

    tile: Tile[QImage]
    problem: str | None
    broken: bool = False
    """A part of it could not be read."""


_loaders: weakref.WeakSet[TileLoader] = weakref.WeakSet()


def _stop_all() -> None:
    for loader in list(_loaders):
        loader.stop()


# Python ends threads that still run at its exit in the middle of C++ code, which aborts the process.
atexit.register(_stop_all)


class TileLoader(QObject):
    """Loads tiles of one slide at a time. All methods are for the main thread.

    ``set_wanted`` replaces the queue, so nothing ever needs cancelling; what a worker holds at that moment is
    finished and kept if the slide is still the same.

    After a jump, and only until its tiles are there, one more reader than ``worker_count()`` is at work.
    """

    tiles_ready = Signal(list)
    """list[LoadedTile], in the main thread, at most one signal in ``COALESCE_MS``."""
    _arrived = Signal(bool)
    """From a worker: something lies in the tray; True when nothing urgent is outstanding."""

    def __init__(self, workers: int | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lock = threading.Condition()
        self._queue: deque[TileKey] = deque()
        self._urgent: set[TileKey] = set()
        """Of the last wanted list: needed for the present frame and not yet rendered."""
        self._wanted: set[TileKey] = set()
        self._busy: dict[TileKey, TileRenderer] = {}
        self._renderer: TileRenderer | None = None
        self._generation = 0
        """Changes with the slide and with the display transform."""
        self._crew = 0
        """Changes with the slide only."""
        self._tray: list[tuple[int, TileKey, Rendered, QImage]] = []
        self._told = False
        self._stopping = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(COALESCE_MS)
        self._timer.timeout.connect(self._deliver)
        # Queued: the slot runs in the main thread, where this object lives.
        self._arrived.connect(self._on_arrived, Qt.ConnectionType.QueuedConnection)
        self._threads: list[threading.Thread] = []
        self._workers = worker_count() if workers is None else workers
        self._helpers = 1 if workers is None and (os.cpu_count() or 1) > 1 else 0
        """Readers that are there for jumps only."""
        self._jumped = False
        self._decoded: int | None = None
        self._peer: TileLoader | None = None
        _loaders.add(self)

    # -- what is loaded -------------------------------------------------------------------------------------------

    def set_source(self, slide: Slide | None, transform: Transform | None = None) -> None:
        """Load from this slide from now on; results for the one before are dropped."""
        with self._lock:
            same = slide is not None and self._renderer is not None and self._renderer.slide is slide
            if same and self._renderer is not None:
                self._renderer = self._renderer.with_transform(transform)
            else:
                self._renderer = None if slide is None else self._new_renderer(slide, transform)
                self._crew += 1
            self._generation += 1
            self._queue.clear()
            self._urgent.clear()
            self._wanted.clear()
            self._tray.clear()
            self._lock.notify_all()
        if not same and slide is not None and not self._stopping:
            self._start()

    def share_with(self, peer: TileLoader) -> None:
        """Decode a slide that ``peer`` reads, too, once for both; to be called before ``set_source``."""
        self._peer = peer

    def _new_renderer(self, slide: Slide, transform: Transform | None) -> TileRenderer:
        theirs = self._peer._renderer if self._peer is not None else None
        if theirs is not None and theirs.slide is slide:
            return theirs.with_transform(transform)
        return TileRenderer(slide, transform, self._decoded)

    def set_wanted(self, keys: Sequence[TileKey], urgent: int | None = None) -> None:
        """Replace the queue: these tiles in this order, the first ``urgent`` of them needed for the present frame."""
        with self._lock:
            waiting = {key for generation, key, *_ in self._tray if generation == self._generation}
            self._queue = deque(key for key in keys if key not in self._busy and key not in waiting)
            self._wanted = set(keys)
            self._urgent = {key for key in keys[: len(keys) if urgent is None else urgent] if key not in waiting}
            self._jumped = len(self._urgent) >= JUMP_TILES or (self._jumped and bool(self._urgent))
            self._lock.notify_all()

    def keep_only(self, kept: Collection[Scale]) -> None:
        """Give up the wanted tiles of other zooms than these."""
        with self._lock:
            self._queue = deque(key for key in self._queue if key.scale in kept)
            self._wanted = {key for key in self._wanted if key.scale in kept}
            self._urgent = {key for key in self._urgent if key.scale in kept}
            self._jumped = self._jumped and bool(self._urgent)
            self._lock.notify_all()

    def set_decoded_bytes(self, max_bytes: int) -> None:
        """Keep so many bytes of decoded blocks at most, from now on."""
        with self._lock:
            self._decoded = max_bytes
            if self._renderer is not None:
                self._renderer.resize(max_bytes)

    def forget_failures(self) -> None:
        """Read anew what could not be read, the next time that it is wanted."""
        if self._renderer is not None:
            self._renderer.forget_failures()

    @property
    def outstanding(self) -> int:
        """Tiles queued, being rendered or not yet handed over."""
        with self._lock:
            return len(self._queue) + len(self._busy) + len(self._tray)

    def wait_released(self, slide: Slide, timeout: float | None = None) -> bool:
        """Block until no worker reads from ``slide``; for the thread that closes it. False after the timeout."""

        def released() -> bool:
            current = self._renderer is not None and self._renderer.slide is slide
            return not current and all(r.slide is not slide for r in self._busy.values())

        with self._lock:
            return self._lock.wait_for(released, timeout)

    def shutdown(self) -> None:
        """End the workers after what they hold; to be called before the loader goes."""
        self._timer.stop()
        self.stop()

    def stop(self) -> None:
        """As ``shutdown``, but touches nothing of Qt."""
        with self._lock:
            self._stopping = True
            self._renderer = None
            self._generation += 1
            self._queue.clear()
            self._tray.clear()
            self._lock.notify_all()
        deadline = time.monotonic() + STOP_S
        for thread in self._threads:
            # A drive that does not answer must not keep the window open; the threads are daemons.
            thread.join(max(0.0, deadline - time.monotonic()))
        self._threads.clear()

    # -- workers --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """New threads for a new slide: those of the last one may hang on a drive that does not answer."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        crew = [
            threading.Thread(target=self._work, args=(self._crew, i), name=f"tile reader {i + 1}", daemon=True)
            for i in range(self._workers + self._helpers)
        ]
        self._threads += crew
        for thread in crew:
            thread.start()

    def _work(self, crew: int, index: int) -> None:
        helper = index >= self._workers

        def due() -> bool:
            if len(self._tray) >= MOST_WAITING:
                return False
            return bool(self._queue) and (not helper or (self._jumped and self._queue[0] in self._urgent))

        one_thread_each()
        place = Place(index, self._workers + self._helpers)
        # One of them is enough, and one that sees all work: it knows when there is none.
        prepares = index == 0
        while True:
            with self._lock:
                wait = IDLE_S if prepares else None
                begins = self._lock.wait_for(lambda: self._stopping or crew != self._crew or due(), wait)
                if self._stopping or crew != self._crew:
                    return
                renderer, generation = self._renderer, self._generation
                assert renderer is not None
                if begins:
                    key = self._queue.popleft()
                    self._busy[key] = renderer
                    jumped = self._jumped and key in self._urgent
            if not begins:
                prepares = self._prepare(renderer, due)
                continue
            prepares = index == 0
            place.keep(jumped)
            again = False
            try:
                again = self._render(renderer, generation, key)
            finally:
                with self._lock:
                    self._busy.pop(key, None)
                    # Not before: another worker that took it up would be struck off with this one.
                    if again and generation == self._generation and key in self._wanted and key not in self._queue:
                        self._queue.append(key)
                    self._lock.notify_all()

    def _prepare(self, renderer: TileRenderer, due: Callable[[], bool]) -> bool:
        """Touch memory until there is something better to do; whether there is more to be touched."""
        while renderer.prepare():
            with self._lock:
                if self._stopping or self._renderer is not renderer or due():
                    return True
        return False

    def _render(self, renderer: TileRenderer, generation: int, key: TileKey) -> bool:
        """One tile into the tray; True where it gave way to others and is to be taken up again."""

        def check() -> None:
            with self._lock:
                stale = generation != self._generation or key not in self._wanted
                # A tile that takes seconds gives way to those that the reader is waiting for.
                overtaken = key not in self._urgent and any(k in self._urgent for k in self._queue)
            if stale or overtaken:
                raise Abandoned

        try:
            done = renderer.render(key, check)
        except Abandoned:
            return True
        except Exception:
            log.exception("tile %s failed", key)
            done = _blank(key)
        image = QImage(
            done.pixels.data,
            done.pixels.shape[1],
            done.pixels.shape[0],
            done.pixels.strides[0],
            QImage.Format.Format_RGB32,
        )
        with self._lock:
            if generation != self._generation or self._stopping:
                return False
            self._tray.append((generation, key, done, image))
            had_urgent = key in self._urgent
            self._urgent.discard(key)
            complete = had_urgent and not self._urgent
            tell, self._told = complete or not self._told, True
        if tell:
            try:
                self._arrived.emit(complete)
            except RuntimeError:  # the window was deleted without shutdown()
                self._stopping = True
        return False

    # -- main thread ----------------------------------------------------------------------------------------------

    def _on_arrived(self, complete: bool) -> None:
        if complete:
            self._deliver()
        elif not self._timer.isActive():
            self._timer.start()

    def _deliver(self) -> None:
        self._timer.stop()
        with self._lock:
            tray, self._tray = self._tray, []
            self._told = False
            self._lock.notify_all()
            generation = self._generation
        tiles = [
            LoadedTile(Tile(key, key.scale.box(key.column, key.row), image, done.pixels), done.problem, done.broken)
            for made, key, done, image in tray
            if made == generation
        ]
        if tiles:
            self.tiles_ready.emit(tiles)


def _blank(key: TileKey) -> Rendered:
    """Stands in where rendering itself failed: grey, so that it is not taken for glass."""
    import numpy as np

    box = key.scale.box(key.column, key.row)
    pixels = np.full((max(1, box.height), max(1, box.width), 4), 190, dtype=np.uint8)
    return Rendered(pixels, "A part of this slide cannot be shown and is grey; the rest can be used.", True)
