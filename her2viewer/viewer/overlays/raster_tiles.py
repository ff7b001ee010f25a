"""Raster tiles of an overlay, drawn in a worker thread at exactly the zoom of the screen; the main thread blits.

A tile is ``TILE`` device px wide and lies on a grid anchored at the slide's origin, so that a pan reuses it. At
another zoom the tiles at hand are scaled until their successors are there; new evidence marks only the tiles it
touches as stale, and a stale tile stays on the screen until it is drawn again.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QTransform

from her2viewer.turns import Turn
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.cell_index import Box
from her2viewer.viewer.overlays.tile_shelf import TILE, Key, TileShelf, stand_ins

_LOG = logging.getLogger(__name__)

CACHE_BYTES = 96 << 20
SETTLE_MS = 40
"""Zooming passes through many zooms; tiles are ordered for the one that stays this long."""
AHEAD_MS = 150
"""A view that stays this long has coarser tiles drawn around it, for a zoom out."""
COARSER = 4.0
"""The zooms of these are powers of it, so that many views share them."""
WIDER = 1.25
"""And they reach further by this: a zoom is composed ahead with something to spare."""

Render = Callable[[Box, int, float], QImage | None]
"""(box in level-0 px, side in device px, downsample) to an image, or None for an empty tile. Runs in the worker."""


@dataclass
class _Tile:
    image: QImage | None
    fresh: bool


class RasterTiles(QObject):
    """Cache, worker and painting of one overlay's tiles."""

    ready = Signal(object)
    """New tiles are there; repaint these bounds (x0, y0, x1, y1 in level-0 px)."""
    ready_ahead = Signal()
    """New tiles of another zoom are there, for when the view changes."""
    _drawn = Signal()

    def __init__(self, parent: QObject | None = None, *, ahead: bool = True) -> None:
        """With ``ahead`` coarser tiles around a view that stays are drawn, too."""
        super().__init__(parent)
        self._tiles: OrderedDict[Key, _Tile] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._wanted: list[Key] = []
        self._render: Render | None = None
        self._version = 0
        self._thread: threading.Thread | None = None
        self._turn = Turn()
        self._results: deque[tuple[int, Key, QImage | None]] = deque()
        self._viewport: Viewport | None = None
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(SETTLE_MS)
        self._settle.timeout.connect(self._order)
        self._left_off = False
        """No view stays for the moment: nothing is ordered."""
        self._ahead = ahead
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(AHEAD_MS)
        self._later.timeout.connect(self._order_ahead)
        # Queued: the worker only leaves results in the deque, the main thread takes them up.
        self._drawn.connect(self._collect, Qt.ConnectionType.QueuedConnection)

    # -- what is drawn --------------------------------------------------------------------------------------------

    def set_render(self, render: Render | None, keep: bool = True) -> None:
        """Draw with another function (a snapshot of the evidence and the style); all tiles become stale.

        With ``keep`` false what is on the screen is dropped at once; what is not, in any case.
        """
        with self._lock:
            self._render = render
            self._version += 1
            self._wanted = []
        shown = self._viewport.downsample if self._viewport is not None else None
        if not keep or any(key[0] == shown for key in self._tiles):
            # Others would stand in with a look of before.
            for key in [key for key in self._tiles if not keep or key[0] != shown]:
                self._drop(key)
        for tile in self._tiles.values():
            tile.fresh = False
        self._order()

    def update_render(self, render: Render, box: Box, margin: float) -> None:
        """More evidence in ``box`` (level-0 px): only tiles within ``margin`` of it are drawn again."""
        with self._lock:
            self._render = render
            self._version += 1
            self._wanted = []
        x0, y0, x1, y1 = box
        for (downsample, column, row), tile in self._tiles.items():
            span = TILE * downsample
            left, top = column * span - margin, row * span - margin
            if left <= x1 and left + span + 2 * margin >= x0 and top <= y1 and top + span + 2 * margin >= y0:
                tile.fresh = False
        if not self._left_off and not self._settle.isActive():
            self._settle.start()

    def set_viewport(self, viewport: Viewport) -> None:
        """The canvas shows another part; orders the missing tiles, at once for a pan, settled for a zoom."""
        before, self._viewport = self._viewport, viewport
        self._left_off = False
        if before is not None and before.downsample != viewport.downsample:
            self._settle.start()
        elif not self._settle.isActive():
            self._order()
        if self._ahead:
            self._later.start()

    def leave_off(self) -> None:
        """A zoom goes on: nothing is ordered until a view stays. What is drawn ahead is of use to it."""
        self._left_off = True
        self._settle.stop()
        self._later.stop()
        seen = None if self._viewport is None else self._viewport.downsample
        with self._lock:
            self._wanted = [key for key in self._wanted if key[0] != seen]

    @property
    def idle(self) -> bool:
        """True when nothing is ordered and all results were taken up."""
        with self._lock:
            working = bool(self._wanted) or self._thread is not None or bool(self._results)
        return not working and not self._settle.isActive() and not self._later.isActive()

    def stop(self) -> None:
        """Forget all orders, for good; the worker ends after its present tile."""
        self._settle.stop()
        self._later.stop()
        with self._lock:
            # What is still to be taken up must order no more: the object goes, and a worker that tells of a tile
            # while it goes takes the program down.
            self._wanted, self._render, self._viewport = [], None, None
            self._version += 1
            thread = self._thread
        if thread is not None:
            thread.join(2.0)

    # -- orders and results ---------------------------------------------------------------------------------------

    def _order(self) -> None:
        viewport = self._viewport
        if viewport is None or self._render is None or self._left_off:
            return
        missing = self._missing(_visible(viewport), viewport)
        with self._lock:
            self._wanted = missing
            self._set_to_work()

    def _order_ahead(self) -> None:
        viewport = self._viewport
        if viewport is None or self._render is None:
            return
        zoom = COARSER ** math.ceil(math.log(2 * viewport.downsample, COARSER))
        middle = (viewport.cx, viewport.cy)
        width, height = round(WIDER * viewport.width), round(WIDER * viewport.height)
        wide = _visible(replace(viewport, downsample=zoom, width=width, height=height))
        around = sorted(wide, key=lambda key: _distance(key, middle))
        # They may not drive out what is seen, or both would be drawn for ever.
        room = 3 * CACHE_BYTES // (4 * 4 * TILE * TILE) - len(_visible(viewport))
        missing = self._missing(around[: max(0, room)], viewport)
        with self._lock:
            self._wanted = missing + self._wanted
            self._set_to_work()

    def _missing(self, keys: list[Key], viewport: Viewport) -> list[Key]:
        """Those that are to be drawn, what is nearest to the middle last."""
        missing = []
        for key in keys:
            tile = self._tiles.get(key)
            if tile is None or not tile.fresh:
                missing.append(key)
            else:
                self._tiles.move_to_end(key)
        middle = (viewport.cx, viewport.cy)
        return sorted(missing, key=lambda key: -_distance(key, middle))

    def _set_to_work(self) -> None:
        if self._wanted and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="overlay tiles", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        self._turn.begin()
        while True:
            with self._lock:
                if not self._wanted or self._render is None:
                    self._thread = None
                    break
                key = self._wanted.pop()
                render, version = self._render, self._version
            downsample, column, row = key
            span = TILE * downsample
            try:
                image = render((column * span, row * span, (column + 1) * span, (row + 1) * span), TILE, downsample)
            except Exception:
                # An overlay that cannot be drawn must not take the tissue away; the log says why.
                _LOG.exception("A tile of an overlay could not be drawn")
                image = None
            self._results.append((version, key, image))
            self._turn.next()
            try:
                self._drawn.emit()
            except RuntimeError:  # the layer is gone
                return

    def _collect(self) -> None:
        took: list[Key] = []
        while self._results:
            version, key, image = self._results.popleft()
            self._drop(key)
            # A tile drawn from older evidence is better than none, and is drawn again.
            self._tiles[key] = _Tile(image, fresh=version == self._version)
            if image is not None:
                self._bytes += image.sizeInBytes()
            took.append(key)
        if not took:
            return
        while self._bytes > CACHE_BYTES and len(self._tiles) > 1:
            self._drop(next(iter(self._tiles)))
        with self._lock:
            waiting = bool(self._wanted) or self._thread is not None
        if not waiting and not self._settle.isActive():
            self._order()
        if self._viewport is not None and all(key in self._tiles for key in _visible(self._viewport)):
            # What was drawn ahead is not to be seen yet.
            seen = [key for key in took if key[0] == self._viewport.downsample]
            if len(seen) < len(took):
                self.ready_ahead.emit()
            if not seen:
                return
            took = seen
        edges = [(d * TILE * column, d * TILE * row, d * TILE) for d, column, row in took]
        self.ready.emit(
            (
                min(x for x, _, _ in edges),
                min(y for _, y, _ in edges),
                max(x + span for x, _, span in edges),
                max(y + span for _, y, span in edges),
            )
        )

    def _drop(self, key: Key) -> None:
        dropped = self._tiles.pop(key, None)
        if dropped is not None and dropped.image is not None:
            self._bytes -= dropped.image.sizeInBytes()

    def shelf(self) -> TileShelf:
        """All tiles at hand, for a worker."""
        return TileShelf({key: tile.image for key, tile in self._tiles.items()})

    # -- painting -------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        """Blit what is at hand, in logical screen coordinates."""
        keys = _visible(viewport)
        here = [key for key in keys if key in self._tiles]
        if len(here) < len(keys):
            missing = [key for key in keys if key not in self._tiles]
            self._paint_scaled(painter, viewport, missing, none=not here)
        painter.save()
        turned = viewport.rotation % 90 != 0
        if viewport.rotation == 0:
            self._paint_straight(painter, viewport, here)
        else:
            painter.setTransform(slide_to_screen(viewport), True)
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, turned)
            for key in here:
                self._draw(painter, key)
        painter.restore()
        for key in here:
            self._tiles.move_to_end(key)

    def _paint_straight(self, painter: QPainter, viewport: Viewport, keys: list[Key]) -> None:
        # One rounding for all tiles: they stay on whole device pixels and meet without seams.
        left = round(viewport.width / 2 - viewport.cx / viewport.downsample)
        top = round(viewport.height / 2 - viewport.cy / viewport.downsample)
        for key in keys:
            image = self._tiles[key].image
            if image is None:
                continue
            x, y = left + key[1] * TILE, top + key[2] * TILE
            if viewport.dpr == 1.0:
                painter.drawImage(x, y, image)
            else:
                side = TILE / viewport.dpr
                painter.drawImage(QRectF(x / viewport.dpr, y / viewport.dpr, side, side), image)

    def _paint_scaled(self, painter: QPainter, viewport: Viewport, missing: list[Key], *, none: bool) -> None:
        """Tiles of another zoom where those of this one are missing; ``none`` of them is there."""
        # A zoom asks for strips beside what is kept.
        x0, y0, x1, y1 = seen(painter, viewport)
        visible = QRectF(x0, y0, x1 - x0, y1 - y0)
        painter.save()
        painter.setTransform(slide_to_screen(viewport), True)
        span = TILE * viewport.downsample
        view = (visible.left(), visible.top(), visible.right(), visible.bottom())
        squares = [(c * span, r * span, (c + 1) * span, (r + 1) * span) for _, c, r in missing]
        # Whole tiles in the middle of a zoom: cut at each hole they would be many.
        holes = [view] if none else [hole for hole in squares if QRectF(*hole[:2], span, span).intersects(visible)]
        others = [key for key in self._tiles if key[0] != viewport.downsample]
        for key, (left, top, right, bottom) in stand_ins(others, holes, viewport.downsample):
            image = self._tiles[key].image
            if image is None:
                continue
            d = key[0]
            source = QRectF(left / d - key[1] * TILE, top / d - key[2] * TILE, (right - left) / d, (bottom - top) / d)
            painter.drawImage(QRectF(left, top, right - left, bottom - top), image, source)
        painter.restore()

    def _draw(self, painter: QPainter, key: Key) -> None:
        image = self._tiles[key].image
        if image is not None:
            span = TILE * key[0]
            painter.drawImage(
                QRectF(key[1] * span, key[2] * span, span, span), image, QRectF(QRect(0, 0, TILE, TILE))
            )


def seen(painter: QPainter, viewport: Viewport) -> Box:
    """Bounds of what is painted now, level-0 px: a part of the view where the painter is clipped to one."""
    if not painter.hasClipping():
        return viewport.bounds()
    part = painter.clipBoundingRect()
    corners = (part.topLeft(), part.topRight(), part.bottomLeft(), part.bottomRight())
    x, y = zip(*(viewport.to_slide(c.x(), c.y()) for c in corners), strict=True)
    return min(x), min(y), max(x), max(y)


def slide_to_screen(viewport: Viewport) -> QTransform:
    """Slide (level-0 px) to logical screen px."""
    origin = QPointF(*viewport.to_screen(0.0, 0.0))
    along = QPointF(*viewport.to_screen(1.0, 0.0)) - origin
    return QTransform(along.x(), along.y(), -along.y(), along.x(), origin.x(), origin.y())


def _visible(viewport: Viewport) -> list[Key]:
    span = TILE * viewport.downsample
    x0, y0, x1, y1 = viewport.bounds()
    return [
        (viewport.downsample, column, row)
        for row in range(math.floor(y0 / span), math.floor(y1 / span) + 1)
        for column in range(math.floor(x0 / span), math.floor(x1 / span) + 1)
    ]


def _distance(key: Key, middle: tuple[float, float]) -> float:
    span = TILE * key[0]
    return max(abs((key[1] + 0.5) * span - middle[0]), abs((key[2] + 0.5) * span - middle[1]))
