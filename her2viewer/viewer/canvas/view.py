"""The part of the canvas that shows a slide: tiles and frames. Layers come on top in layered.py, tool and input in
canvas.py.
"""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QCoreApplication, QElapsedTimer, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QImage, QPainter, QTransform
from PySide6.QtWidgets import QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.budget import Budget, default_budget
from her2viewer.viewer.canvas.grid import Pyramid, Scale, TileKey, aligned, view_box
from her2viewer.viewer.canvas.ground import Ground
from her2viewer.viewer.canvas.loader import LoadedTile, TileLoader
from her2viewer.viewer.canvas.lull import Lull
from her2viewer.viewer.canvas.movable import MovableView
from her2viewer.viewer.canvas.render import BROKEN, Transform
from her2viewer.viewer.canvas.requests import tiles_in_view, wanted
from her2viewer.viewer.canvas.retrying import Retrying
from her2viewer.viewer.canvas.store import TileStore
from her2viewer.viewer.canvas.tissue import Scene, TissuePainter
from her2viewer.viewer.canvas.viewport import Viewport

REST_MS = 60
"""After this long without another zoom what still stands in for tiles is scaled smoothly."""
PAINT_SHARE = 5
"""Until a jump is sharp painting takes no more than one part in so many of the time, since Python stands still in it:
a view of 4K was painted five times in a jump, which took half of it.
"""
MOST_BETWEEN_MS, JUMP_MS = 120, 500
"""But so much between two frames at most, and no longer than so much after the jump."""
FEW_PX = 24.0
"""A pan by less than this orders no tiles where all were at hand at the last order, those around the view as well."""
STOPPED_MS = 50
"""It is ordered for after all when the view has stayed for so long."""
LATER_PX = 96.0
"""After a pan by less than this, where all were at hand at the last order, the frame is painted before tiles are
ordered: nothing in it depends on them.
"""
PAUSE_MS = 100
"""A move of the view after this long is no step of many."""


class TiledView(MovableView):
    """A widget filled with tissue. Main thread; never reads the slide there."""

    sharpened = Signal()
    """Everything visible has arrived at the zoom of the screen."""
    tiles_changed = Signal()
    """Tiles have come."""

    def __init__(self, parent: QWidget | None = None, workers: int | None = None, cache: int | None = None) -> None:
        super().__init__(parent)
        self.store: TileStore[QImage] = TileStore(default_budget().screen if cache is None else cache)
        self.tissue = TissuePainter(self.store)
        self.ground = Ground()
        self.loader = TileLoader(workers, self)
        self.loader.tiles_ready.connect(self._take_tiles)
        self.glass_color = QColor(255, 255, 255)
        self.outside_color = QColor(38, 40, 45)
        self.tiles_version = 0
        """Changes whenever tiles come or go."""
        self.pyramid: Pyramid | None = None
        self._state = 0
        self._problems: set[str] = set()
        self._retrying = Retrying(self._read_again, self)
        self._transform: Transform | None = None
        self._orders_due = False
        self._ordered: Viewport | None = None
        """For this view tiles were ordered last."""
        self._complete = False
        """When tiles were ordered last everything was at hand."""
        self._stopped = QTimer(self)
        self._stopped.setSingleShot(True)
        self._stopped.setInterval(STOPPED_MS)
        self._stopped.timeout.connect(self._order_at_rest)
        self._sharp = False
        self._frame = QTimer(self)
        self._frame.setSingleShot(True)
        self._frame.setTimerType(Qt.TimerType.PreciseTimer)
        self._frame.timeout.connect(self._next_frame)
        self._since_frame = QElapsedTimer()
        self._since_move = QElapsedTimer()
        self._alone = False
        """The last move of the view came after a pause: there is time for one frame more."""
        self._paint_ms = 0.0
        """What the last frame took."""
        self._arriving = False
        """After a jump, until all of it is sharp."""
        self._rest = Lull(REST_MS, self)
        self._rest.come.connect(self._at_rest)
        self._dirty: QRect | None = None
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.shutdown)

    # -- slide ----------------------------------------------------------------------------------------------------

    def set_slide(self, slide: Slide | None, pixel_size: PixelSize | None = None) -> None:
        """Show another slide, fitted, or none. The one before is no longer read; whoever opened it closes it
        (``opening.close_slide``).
        """
        self.slide, self.pixel_size = slide, pixel_size
        self._transform = None
        self._problems.clear()
        # The same slide again is read afresh: its drive may answer now.
        self.loader.set_source(None)
        self.store.clear()
        self.tissue.forget()
        self.ground.forget()
        self._restart()
        if slide is not None:
            self.glass_color = QColor(*slide.background)
        self._viewport = replace(self._viewport, rotation=0.0)
        self.fit()
        # Its first view is a jump.
        self._since_move.invalidate()
        self._view_moved()

    def set_pixel_size(self, pixel_size: PixelSize | None) -> None:
        """The reader entered or confirmed the pixel size."""
        self.pixel_size = pixel_size
        self.schedule()

    def set_display_transform(self, transform: Transform | None) -> None:
        """Colours on the screen (an ICC profile), RGB to RGB, called in worker threads; None for raw pixels.

        What is on the screen stays until its successor is there.
        """
        self._transform = transform
        self._restart()
        self._view_moved()

    def set_budget(self, budget: Budget) -> None:
        """How much memory the tiles may take from now on; several views share what one of them had."""
        self.store.resize(budget.screen)
        self.loader.set_decoded_bytes(budget.decoded)

    def _restart(self) -> None:
        self._state += 1
        self._ordered = None
        self._retrying.clear()
        self.loader.set_source(self.slide, self._transform)
        self.pyramid = None if self.slide is None else Pyramid.of(self.slide, self._state)
        self.tiles_version += 1
        self._pyramid_changed()

    def read_again(self) -> None:
        """Ask anew for what could not be read, at once and not after a while."""
        self._retrying.now()

    def _read_again(self) -> None:
        self.loader.forget_failures()
        self._orders_due = True
        self.schedule()

    def _has(self, key: TileKey) -> bool:
        return key in self.store and not self._retrying.due(key)

    def _at_rest(self) -> None:
        """What was painted quickly is painted again smoothly."""
        self.ground.invalidate()
        self.schedule()

    def _pyramid_changed(self) -> None:
        """For the overview: another slide or another display transform."""

    def shutdown(self) -> None:
        """End the workers; the canvas shows nothing afterwards. Returns when they have let go of the slide."""
        self._frame.stop()
        self._rest.stop()
        self._stopped.stop()
        self._retrying.clear()
        self.loader.shutdown()
        self.slide = None
        self.pyramid = None
        self.store.clear()
        self.tissue.forget()
        self.ground.forget()
        self._pyramid_changed()

    def _view_moved(self) -> None:
        self.frame_view = aligned(self._viewport)
        self._alone = not self._since_move.isValid() or self._since_move.elapsed() > PAUSE_MS
        self._since_move.start()
        self._arriving = False
        self._orders_due = True
        self._sharp = False
        self.schedule()
        self.viewport_changed.emit(self._viewport)

    # -- tiles and frames -----------------------------------------------------------------------------------------

    @property
    def sharp(self) -> bool:
        """True when everything visible is there at the zoom of the screen."""
        if self.pyramid is None:
            return True
        aim = self.aim
        scale = self.pyramid.scale(aim.downsample)
        return aim == self.frame_view and all(key in self.store for key in tiles_in_view(aim, scale))

    def schedule(self, region: QRect | None = None) -> None:
        """Repaint ``region`` (logical px; default everything) in the next frame; calls within a frame are joined."""
        if region is None:
            self._dirty = self.rect()
        else:
            self._dirty = region if self._dirty is None else self._dirty.united(region)
        self.start_frame()

    def start_frame(self) -> None:
        """Have a next frame, even where nothing is to be painted anew."""
        if not self._frame.isActive():
            wait = 0
            if self._since_frame.isValid():
                screen = self.screen()
                rate = screen.refreshRate() if screen is not None else 60.0
                apart = max(round(1000 / max(30.0, rate)), self._pace())
                wait = max(0, apart - self._since_frame.elapsed())
            self._frame.start(wait)

    def _pace(self) -> int:
        """Ms that two frames are apart at least while the tiles of a jump arrive."""
        if not self._arriving or self._since_move.elapsed() > JUMP_MS:
            return 0
        return min(MOST_BETWEEN_MS, round(PAINT_SHARE * self._paint_ms))

    def _next_frame(self) -> None:
        self._since_frame.start()
        if self._orders_due and self._dirty is not None and self._complete and self._near(self.aim, LATER_PX):
            # Should nothing be painted, as in a hidden window.
            self._stopped.start()
        elif self._orders_due and self._order(may_wait=True) and self._alone:
            # After a jump the readers have the processor for one frame: mostly all is there then, and no stand-ins
            # were painted for nothing.
            self._alone = False
            self.start_frame()
            self._arriving = True
            return
        if self._dirty is not None:
            self.update(self._dirty)
            self._dirty = None

    def _order_at_rest(self) -> None:
        self._order()

    def _painted(self) -> None:
        """A frame is on the screen, and there is time."""
        if self._orders_due:
            self._order(may_wait=True)

    def _order(self, may_wait: bool = False) -> bool:
        """Order tiles; whether most of what is visible is missing. With ``may_wait`` in a pan not at each step."""
        self._orders_due = False
        if self.pyramid is None:
            self.loader.set_wanted([])
            return False
        view = self._ordered_view()
        if may_wait and self._complete and self._near(view, FEW_PX):
            self._prepare_layers(view)
            self._check_sharp()
            self._stopped.start()
            return False
        self._ordered = view
        keys, urgent = wanted(view, self.pyramid, self._has, self._expected_views())
        extra = [key for key in self._kept_tiles() if not self._has(key)]
        keys[urgent:urgent] = [key for key in extra if key not in keys]
        self.loader.set_wanted(keys, urgent)
        self._complete = not keys
        self._prepare_layers(view)
        self._check_sharp()
        return 2 * urgent > len(tiles_in_view(view, self.pyramid.scale(view.downsample)))

    def _leave_off(self, scale: Scale) -> None:
        """Another zoom is shown: what was ordered for the last one would come too late. To be ordered anew."""
        self._ordered = None
        self._stopped.stop()
        self.loader.keep_only({scale, *(key.scale for key in self._kept_tiles())})

    def _near(self, view: Viewport, px: float) -> bool:
        """Whether a view is less than so many px beside the one that tiles were ordered for."""
        last = self._ordered
        if last is None or (last.downsample, last.rotation) != (view.downsample, view.rotation):
            return False
        if (last.width, last.height, last.dpr) != (view.width, view.height, view.dpr):
            return False
        return max(abs(view.cx - last.cx), abs(view.cy - last.cy)) < px * view.downsample

    def _ordered_view(self) -> Viewport:
        """The view whose tiles are needed first."""
        return self.aim

    def _expected_views(self) -> list[Viewport]:
        """What will probably be shown next, the likeliest first."""
        return []

    def _kept_tiles(self) -> list[TileKey]:
        """Tiles that are loaded right after the visible ones and never dropped: those of the overview."""
        return []

    def _prepare_layers(self, view: Viewport) -> None:
        """For layers that order tiles of their own."""

    def _take_tiles(self, tiles: list[LoadedTile]) -> None:
        if self.pyramid is None:
            return
        pinned = {self.pyramid.base(), *(key.scale for key in self._kept_tiles())}
        scale = self.pyramid.scale(self.frame_view.downsample)
        region: QRect | None = None
        whole = False
        for loaded in tiles:
            tile = loaded.tile
            if tile.key.scale.state != self._state:
                continue
            self.store.put(tile, tile.pixels.nbytes, pinned=tile.key.scale in pinned)
            self._retrying.note(tile.key, loaded.broken)
            if self.zooms:
                # The picture at rest shows them: the main thread would compose parts of each frame anew.
                pass
            elif tile.key.scale == scale:
                area = self._area_of(tile.key)
                self.ground.invalidate(self.frame_view, self._device(area))
                region = area if region is None else region.united(area)
            elif not self._sharp:
                whole = True
            if loaded.problem is not None and loaded.problem not in self._problems:
                self._problems.add(loaded.problem)
                self.message.emit(loaded.problem)
        if not self._retrying.broken:
            # Should it happen again, it is said again.
            self._problems.discard(BROKEN)
        self.tiles_version += 1
        self.tiles_changed.emit()
        if whole:
            self.ground.invalidate()
            self.schedule()
        elif region is not None and region.intersects(self.rect()):
            self.schedule(region)
        self._check_sharp()

    @property
    def zooms(self) -> bool:
        """Whether frames of a zoom come from a worker."""
        return False

    def _check_sharp(self) -> None:
        if not self._sharp and self.sharp:
            self._sharp = True
            if self._arriving:
                self._arriving = False
                if self._frame.isActive():
                    self._frame.stop()
                    self.start_frame()
            # Nothing of an older display transform is needed any more.
            self.store.drop_states_before(self._state)
            self.sharpened.emit()

    def _area_of(self, key: TileKey) -> QRect:
        """Where a tile of the present zoom lies on the canvas, logical px, rounded outwards."""
        view = self.frame_view
        box, dpr = key.scale.box(key.column, key.row), view.dpr
        if view.rotation:
            corners = [view.to_screen(x * view.downsample, y * view.downsample) for x in box[::2] for y in box[1::2]]
            (left, *_, right), (top, *_, bottom) = (sorted(edges) for edges in zip(*corners, strict=True))
            # One more on each side: what is turned is interpolated.
            return QRectF(left, top, right - left, bottom - top).toAlignedRect().adjusted(-2, -2, 2, 2)
        origin = view_box(view, view.downsample)
        area = QRectF((box.x0 - origin.x0) / dpr, (box.y0 - origin.y0) / dpr, box.width / dpr, box.height / dpr)
        # One more on each side for fractional screen scalings.
        return area.toAlignedRect().adjusted(-1, -1, 1, 1)

    def _paint_tissue(self, painter: QPainter, rect: QRect, still: bool = False) -> None:
        """Fill ``rect`` (logical px); ``still`` for a picture that is kept."""
        if self.slide is None or self.pyramid is None:
            painter.fillRect(rect, self.outside_color)
            return
        painter.save()
        self._to_device(painter)
        self._paint_tiles(painter, self._device(rect), still)
        painter.restore()

    def _paint_tiles(
        self, painter: QPainter, dirty: QRect, still: bool = False, view: Viewport | None = None
    ) -> None:
        """Fill ``dirty`` of the view; it and the painter's coordinates in device px: tissue is blitted one to one."""
        assert self.pyramid is not None
        view = self.frame_view if view is None else view
        self.tissue.paint(painter, self.scene(self.pyramid.scale(view.downsample), view), dirty, still=still)
        if self.tissue.rough:
            self._rest.start()

    def _to_device(self, painter: QPainter) -> None:
        dpr = self.frame_view.dpr
        painter.setWorldTransform(QTransform.fromScale(1 / dpr, 1 / dpr), True)

    def _device(self, rect: QRect) -> QRect:
        """Logical px to device px, rounded outwards."""
        dpr = self.frame_view.dpr
        dirty = QRectF(rect.x() * dpr, rect.y() * dpr, rect.width() * dpr, rect.height() * dpr).toAlignedRect()
        if dpr != int(dpr):
            dirty.adjust(-1, -1, 1, 1)
        return dirty

    def scene(self, scale: Scale, view: Viewport | None = None) -> Scene:
        """What the tissue painter needs besides the tiles."""
        return Scene(
            self.frame_view if view is None else view, scale, self.glass_color, self.outside_color, self.tiles_version
        )
