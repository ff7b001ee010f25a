"""The tissue with its layers: what is kept of it, what is painted anew, and zooms that a worker paints."""

from __future__ import annotations

import math
import time
from collections.abc import Hashable
from itertools import takewhile

from PySide6.QtCore import QObject, QPointF, QRect, QRectF, QTimer, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from her2viewer.domain.pixelsize import PixelSize
from her2viewer.slides.slide import Slide
from her2viewer.viewer.canvas.grid import Pyramid, Scale
from her2viewer.viewer.canvas.ground import Look, rim_of
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.lull import Lull
from her2viewer.viewer.canvas.rasters import LayerRasters
from her2viewer.viewer.canvas.requests import tiles_in_view
from her2viewer.viewer.canvas.scalebar import ScaleBar
from her2viewer.viewer.canvas.view import TiledView
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.canvas.zooming import Zooming

PAUSE_MS = 30
"""Tiles are ordered for a zoom that stays this long: those of one that is shown for a frame would come too late."""

RESTING_MS = 400
"""A zoom is prepared so long after a view became sharp, when nothing else is to be done."""


class LayeredView(TiledView):
    """A view of tissue with layers and scale bar. Main thread."""

    overlays_hidden_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None, workers: int | None = None, cache: int | None = None) -> None:
        super().__init__(parent, workers, cache)
        self._layers: list[Layer] = []
        self._overlays_hidden = False
        self._rasters: tuple[Hashable, tuple[LayerRasters, ...]] | None = None
        """What the composed layers have at hand as images, and of which look that is."""
        self._scale_bar = ScaleBar()
        self._scale_bar_visible = True
        self._zooming = Zooming(self.store, self)
        self._zooming.ready.connect(self._zoom_came)
        self._resting = QTimer(self)
        self._resting.setSingleShot(True)
        self._resting.setInterval(RESTING_MS)
        self._resting.timeout.connect(self._prepare_zoom)
        self.sharpened.connect(self._resting.start)
        self.tiles_changed.connect(self._resting_soon)
        self._pause = Lull(PAUSE_MS, self)
        self._pause.come.connect(self._order_paused)
        self._between = QTimer(self)
        self._between.setSingleShot(True)
        self._between.setInterval(0)
        self._between.timeout.connect(self._work_ahead)

    def shutdown(self) -> None:
        self._pause.stop()
        self._between.stop()
        self._resting.stop()
        self._zooming.stop()
        super().shutdown()

    def set_slide(self, slide: Slide | None, pixel_size: PixelSize | None = None) -> None:
        if slide is None:
            self._resting.stop()
            self._zooming.forget()
        super().set_slide(slide, pixel_size)

    # -- layers ---------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[Layer, ...]:
        """From the lowest to the highest."""
        return tuple(self._layers)

    def add_layer(self, layer: Layer) -> None:
        """Show a layer above those of the same or a lower ``z``. The canvas does not own it."""
        if layer in self._layers:
            return
        self._layers.append(layer)
        self._layers.sort(key=lambda each: each.z)
        layer.changed.connect(self._layer_changed)
        layer.changed_in.connect(self._layer_changed_in)
        layer.drawn_ahead.connect(self._resting_soon)
        if self.slide is not None:
            layer.viewport_changed(self.frame_view)
        self.schedule()

    def remove_layer(self, layer: Layer) -> None:
        """Take a layer away; nothing happens where it is not there."""
        if layer in self._layers:
            self._layers.remove(layer)
            self.ground.leave_off()
            layer.changed.disconnect(self._layer_changed)
            layer.changed_in.disconnect(self._layer_changed_in)
            layer.drawn_ahead.disconnect(self._resting_soon)
            self.schedule()

    def _prepare_layers(self, view: Viewport) -> None:
        for layer in self._layers:
            layer.viewport_changed(view)

    def _layer_changed(self) -> None:
        self._changed_all(self.sender())

    def _changed_all(self, layer: QObject) -> None:
        if not isinstance(layer, Layer) or layer.composed:
            self._rasters = None
            self._expect_anew()
            if self._zooming.active and _rest_of(self.frame_view, self._kept_layers()) == self.ground.rest:
                # The next frames show what was kept; all is painted anew when the zoom is over.
                if not self._rest.isActive():
                    self._rest.start()
                return
            self.ground.invalidate()
        self.schedule()

    def _layer_changed_in(self, bounds: tuple[float, float, float, float]) -> None:
        view, layer = self.frame_view, self.sender()
        if isinstance(layer, Layer) and not self._shows(layer):
            return
        if view.rotation or self._zooming.active:
            self._changed_all(layer)
            return
        corners = QPointF(*view.to_screen(*bounds[:2])), QPointF(*view.to_screen(*bounds[2:]))
        area = QRectF(*corners).toAlignedRect().adjusted(-1, -1, 1, 1).intersected(self.rect())
        if not isinstance(layer, Layer) or layer.composed:
            self._rasters = None
            # What was composed for a zoom lacks no more than a part that has just come.
            self._resting_soon()
            self.ground.invalidate(view, self._device(area))
        if not area.isEmpty():
            self.schedule(area)

    def _kept_layers(self) -> list[Layer]:
        """Those that are kept with the tissue below them."""
        return list(takewhile(lambda layer: layer.composed, self._shown_layers()))

    @property
    def overlays_hidden(self) -> bool:
        """One switch over all layers but those that are ``always_visible``; their own settings stay."""
        return self._overlays_hidden

    @overlays_hidden.setter
    def overlays_hidden(self, hidden: bool) -> None:
        if hidden != self._overlays_hidden:
            self._overlays_hidden = hidden
            self.overlays_hidden_changed.emit(hidden)
            # What changes while it is hidden is not followed.
            self._rasters = None
            self._expect_anew()
            self.schedule()

    @property
    def scale_bar_visible(self) -> bool:
        """Whether the scale bar is drawn."""
        return self._scale_bar_visible

    @scale_bar_visible.setter
    def scale_bar_visible(self, visible: bool) -> None:
        self._scale_bar_visible = visible
        self.schedule()

    def readout(self, x: float, y: float) -> str | None:
        """What the highest visible layer has to say about a slide point (level-0 px)."""
        for layer in reversed(self._layers):
            if self._shows(layer):
                words = layer.readout(x, y, self._viewport)
                if words:
                    return words
        return None

    def _shows(self, layer: Layer) -> bool:
        return layer.visible and (layer.always_visible or not self._overlays_hidden)

    def _shown_layers(self) -> list[Layer]:
        return [layer for layer in self._layers if self._shows(layer)]

    # -- zooms that a worker paints -------------------------------------------------------------------------------

    def zoom_soon(self, view: Viewport) -> None:
        """As ``set_viewport`` for one step of many: shown when a worker has made its picture, some ms later.

        Meanwhile the last picture stays. What no worker can do, and a mere pan, is shown at once.
        """
        view = self.limited(self._sized(view))
        if view == self._viewport:
            return
        turned = view.rotation or self.frame_view.rotation
        panned = view.downsample == self._viewport.downsample and not self._zooming.pending
        if self.pyramid is None or turned or panned or not self.isVisible():
            super().set_viewport(view)
            return
        self._fitted = False
        self._viewport = view
        self._sharp = False
        if self._ordered != self._ordered_view():
            if self._ordered is not None:
                self._leave_off(self.pyramid.scale(view.downsample))
            self._pause.start()
        self.viewport_changed.emit(view)
        # At last: the worker is not to take Python away from what is done here.
        if self._viewport is view:
            self._order_zoom(self.pyramid)

    def _leave_off(self, scale: Scale) -> None:
        super()._leave_off(scale)
        for layer in self._layers:
            layer.leave_off()

    def _order_paused(self) -> None:
        if self._zooming.pending:
            # On a busy machine the last step is not even shown, and the next one may be waiting already. What readers
            # and overlays do now would hold up both.
            self._pause.start()
            return
        self._order_soon()

    def _order_soon(self) -> None:
        self._orders_due = True
        self.start_frame()

    def _order_zoom(self, pyramid: Pyramid) -> None:
        aim = self.aim
        scale = pyramid.scale(aim.downsample)
        look, images = self._images(aim, scale)
        self._zooming.ask(self.scene(scale, aim), look, pyramid, self.ground, images)
        if not self._rest.isActive():
            # Should the worker fail, the picture at rest is painted all the same.
            self._rest.start()

    def _prepare_zoom(self) -> None:
        """A view rests: the first frames of a zoom out of it should not have to be put together."""
        view, rim = self.frame_view, rim_of(self.frame_view)
        if self.pyramid is None or self._zooming.active or view.rotation or not (self._sharp and self.isVisible()):
            return
        self._zooming.prepare((view.width + 2 * rim) * (view.height + 2 * rim))
        scale = self.pyramid.scale(view.downsample)
        look, images = self._images(view, scale)
        self._zooming.expect(self.scene(scale, view), look, self.pyramid, images)
        # Tiles that are drawn for other zooms come unnoticed.
        self._rasters = None

    def _resting_soon(self) -> None:
        if not self._resting.isActive():
            self._resting.start()

    def _expect_anew(self) -> None:
        """What was composed for a zoom looks otherwise now."""
        self._zooming.outdate()
        self._resting_soon()

    def _images(self, view: Viewport, scale: Scale) -> tuple[Look, tuple[LayerRasters, ...]]:
        kept = self._kept_layers()
        look = _look(view, scale, kept)
        if self._rasters is None or self._rasters[0] != look.rest:
            # Those that lie on one that is no image are painted after it.
            images = takewhile(lambda each: each is not None, (layer.rasters() for layer in kept))
            self._rasters = (look.rest, tuple(each for each in images if each is not None))
        return look, self._rasters[1]

    def _zoom_came(self) -> None:
        frame = self._zooming.take()
        if frame is None or self.pyramid is None:
            return
        scene, look = frame.scene, frame.look
        self.frame_view = view = scene.view
        self._zooming.reuse(self.ground.adopt(frame.memory, view, look))
        kept = self._kept_layers()
        above = kept[frame.laid :]
        if above and look.rest == _rest_of(view, kept):

            def overlays(painter: QPainter) -> None:
                painter.scale(view.dpr, view.dpr)
                _paint_layers(painter, above, view)

            self.ground.paint_over(frame.bare, overlays)
        if frame.afresh:
            self._zooming.keep(self.ground)
        self.tissue.begin(scene)
        self._rest.start()
        self._dirty = None
        self.update()

    def _view_moved(self) -> None:
        if self._zooming.active:
            # What is kept of its frames is rough.
            self._rest.start()
        self._zooming.end()
        # Until it is sharp.
        self._resting.stop()
        super()._view_moved()

    def _at_rest(self) -> None:
        if self._zooming.pending:
            self._rest.start()
            return
        self._zooming.end()
        self._rasters = None
        self.frame_view = self.aim
        super()._at_rest()
        self._check_sharp()

    @property
    def sharp(self) -> bool:
        """See ``TiledView``; not before the picture at rest."""
        return not self._zooming.active and super().sharp

    @property
    def zooms(self) -> bool:
        """From the first step of a zoom that a worker paints until a moment after the last."""
        return self._zooming.active

    # -- painting -------------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        begun = time.perf_counter()
        painter = QPainter(self)
        if event.rect() != self.rect():
            # Layers and tool see what they need not draw: under a legend that changes lies little of them.
            painter.setClipRect(event.rect())
        self._paint(painter, event.rect())
        painter.end()
        self._paint_ms = 1000 * (time.perf_counter() - begun)
        self._between.start()

    def _work_ahead(self) -> None:
        self._painted()
        if not self._zooming.active and self.ground.work_ahead():
            self._between.start()

    def grab_view(self, layers: bool = True, scale_bar: bool = True, tool: bool = False) -> QImage:
        """The view as an image in device px, from the tiles at hand (see ``sharp``), without the overview map."""
        view = self.frame_view
        image = QImage(view.width, view.height, QImage.Format.Format_RGB32)
        image.setDevicePixelRatio(view.dpr)
        painter = QPainter(image)
        painter.setFont(self.font())
        self._paint(painter, self.rect(), layers=layers, scale_bar=scale_bar, tool=tool, still=True)
        painter.end()
        return image

    def _paint(
        self,
        painter: QPainter,
        rect: QRect,
        *,
        layers: bool = True,
        scale_bar: bool = True,
        tool: bool = True,
        still: bool = False,
    ) -> None:
        # At fractional screen scalings a widget may begin between two device pixels, and Qt rounds the halves of
        # positive and negative positions to different sides: begin on a whole one.
        device = painter.deviceTransform()
        dpr = self.frame_view.dpr
        painter.translate(
            (math.floor(device.dx() + 0.5) - device.dx()) / dpr, (math.floor(device.dy() + 0.5) - device.dy()) / dpr
        )
        shown = self._shown_layers() if layers else []
        if self.slide is None or still:
            self._paint_tissue(painter, rect, still)
        else:
            shown = self._paint_ground(painter, rect, shown)
        if self.slide is None:
            return
        view = self.frame_view
        _paint_layers(painter, shown, view)
        if tool:
            self._paint_tool(painter, view)
        if scale_bar and self._scale_bar_visible:
            self._scale_bar.paint(painter, view, self.pixel_size)

    def _paint_tool(self, painter: QPainter, view: Viewport) -> None:
        """For the tool, above all layers."""

    def _paint_ground(self, painter: QPainter, rect: QRect, layers: list[Layer]) -> list[Layer]:
        """Tissue and the composed layers right above it, from what is kept; returns the layers that are left."""
        assert self.pyramid is not None
        view = self.frame_view
        scale = self.pyramid.scale(view.downsample)
        if self.tissue.begin(self.scene(scale)):
            # Each frame is another picture: keeping it would be a copy for nothing.
            self.ground.invalidate()
            self._paint_tissue(painter, rect)
            return layers
        kept = list(takewhile(lambda layer: layer.composed, layers))

        def compose(target: QPainter, around: Viewport, part: QRect) -> None:
            self._paint_tiles(target, part, view=around)
            target.scale(around.dpr, around.dpr)
            _paint_layers(target, kept, around)

        painter.save()
        self._to_device(painter)
        look = _look(view, scale, kept)
        self.ground.paint(painter, view, look, self._device(rect), compose, at_hand=self._all_there)
        painter.restore()
        return layers[len(kept) :]

    def _all_there(self, part: Viewport) -> bool:
        assert self.pyramid is not None
        return all(key in self.store for key in tiles_in_view(part, self.pyramid.scale(part.downsample)))


def _look(view: Viewport, scale: Scale, kept: list[Layer]) -> Look:
    return Look(scale, _rest_of(view, kept))


def _rest_of(view: Viewport, kept: list[Layer]) -> Hashable:
    return (view.rotation, view.dpr, tuple((id(layer), layer.opacity) for layer in kept))


def _paint_layers(painter: QPainter, layers: list[Layer], view: Viewport) -> None:
    for layer in layers:
        painter.save()
        painter.setOpacity(layer.opacity)
        layer.paint(painter, view)
        painter.restore()
