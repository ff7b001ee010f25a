"""While a view rests, what a zoom out of it needs first is composed; it is used only while it is true."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.slides.slide import BGRAImage
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.rasters import LayerRasters, Raster
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.overlays.tile_shelf import StillRasters
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide

TISSUE = (180, 120, 60)


class Sheet(Layer):
    """One colour over all, as an image."""

    composed = True

    def __init__(self, colour: tuple[int, int, int]) -> None:
        super().__init__("sheet")
        self.colour = colour

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        painter.fillRect(QRectF(*viewport.to_screen(0, 0), 1e5, 1e5), QColor(*self.colour))

    def rasters(self) -> LayerRasters:
        pixel: BGRAImage = np.array([[[*reversed(self.colour), 255]]], dtype=np.uint8)
        return LayerRasters(StillRasters([Raster(pixel, 0, 0, 1e5)]), self.opacity)


def resting(make_canvas: MakeCanvas, qtbot: QtBot, *layers: Layer) -> SlideCanvas:
    canvas = make_canvas(GatedSlide(60_000, 50_000, (1, 4, 16), colour=TISSUE), 600, 420)
    canvas.overview.shown = canvas.scale_bar_visible = False
    for layer in layers:
        canvas.add_layer(layer)
    canvas.set_viewport(replace(canvas.viewport, downsample=3.0, cx=30_000, cy=25_000))
    wait_idle(qtbot, canvas)
    qtbot.waitUntil(lambda: canvas._zooming._around is not None)
    return canvas


def shown(canvas: SlideCanvas) -> np.ndarray:
    return rgb(canvas.grab().toImage())


@pytest.mark.parametrize("at", [QPointF(300, 210), QPointF(0, 0), QPointF(599, 30)])
def test_the_first_frames_of_a_zoom_out_need_no_tiles(make_canvas: MakeCanvas, qtbot: QtBot, at: QPointF) -> None:
    canvas = resting(make_canvas, qtbot)
    for _ in range(6):
        canvas.zoom_by(0.1, at, smooth=False)
        qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
        assert not canvas._zooming._painter.behind
        assert (shown(canvas) == TISSUE).all()


def test_what_was_composed_before_a_layer_changed_is_not_shown(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    sheet = Sheet((10, 200, 30))
    canvas = resting(make_canvas, qtbot, sheet)
    sheet.colour = (200, 10, 90)
    sheet.changed.emit()
    assert canvas._zooming._around is None
    canvas.repaint()
    canvas.zoom_by(0.4, smooth=False)
    qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
    assert (shown(canvas) == sheet.colour).all()


def test_a_layer_that_changes_while_its_picture_is_composed_has_it_composed_anew(
    make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = Sheet((10, 200, 30))
    canvas = resting(make_canvas, qtbot, sheet)
    held, go = threading.Event(), threading.Event()
    around = canvas._zooming._painter.around

    def slowly(*given: Any) -> Any:
        source, steps = around(*given)

        def one_by_one() -> Iterator[None]:
            for step in steps:
                held.set()
                go.wait(10)
                yield step

        return source, one_by_one()

    monkeypatch.setattr(canvas._zooming._painter, "around", slowly)
    sheet.changed.emit()
    qtbot.waitUntil(held.is_set)
    canvas._resting.stop()
    canvas._zooming.outdate()
    go.set()
    qtbot.wait(200)
    assert canvas._zooming._around is None, "it shows what was there before"


def test_hidden_overlays_are_not_in_what_was_composed(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = resting(make_canvas, qtbot, Sheet((10, 200, 30)))
    canvas.overlays_hidden = True
    canvas.repaint()
    canvas.zoom_by(0.4, smooth=False)
    qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
    assert (shown(canvas) == TISSUE).all()


def test_another_place_is_composed_anew(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = resting(make_canvas, qtbot)
    canvas.set_viewport(canvas.viewport.panned(400, 0))
    assert canvas._zooming._around is None
    wait_idle(qtbot, canvas)
    qtbot.waitUntil(lambda: canvas._zooming._around is not None)
    area = canvas._zooming._around[1].area
    assert abs((area.x0 + area.x1) / 2 * 6.0 - canvas.viewport.cx) < 12


def test_nothing_is_composed_for_a_turned_view(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = resting(make_canvas, qtbot)
    canvas.set_viewport(replace(canvas.viewport, rotation=30.0))
    wait_idle(qtbot, canvas)
    qtbot.wait(700)
    assert canvas._zooming._around is None


def test_a_part_of_a_hidden_layer_that_changes_has_nothing_painted(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    sheet = Sheet((10, 200, 30))
    canvas = resting(make_canvas, qtbot, sheet)
    sheet.visible = False
    qtbot.waitUntil(lambda: canvas._dirty is None)
    sheet.changed_in.emit((0, 0, 60_000, 50_000))
    assert canvas._dirty is None
    sheet.visible = True
    qtbot.waitUntil(lambda: canvas._dirty is None)
    sheet.changed_in.emit((0, 0, 60_000, 50_000))
    assert canvas._dirty is not None


def test_tiles_that_come_in_a_zoom_are_shown_when_it_is_over(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = resting(make_canvas, qtbot)
    canvas.zoom_by(-0.5, smooth=False)
    qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)
    assert not canvas.sharp, "the frame was scaled"
    with qtbot.waitSignal(canvas.sharpened):
        pass
    assert not canvas.zooms
    assert canvas.sharp


def test_a_pan_ends_a_zoom(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = resting(make_canvas, qtbot)
    canvas.zoom_by(0.4, smooth=False)
    canvas.set_viewport(canvas.viewport.panned(50, 0))
    assert not canvas.zooms
    wait_idle(qtbot, canvas)
    assert canvas.sharp


def test_where_no_frame_can_be_made_the_view_at_rest_is_shown(
    make_canvas: MakeCanvas, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = resting(make_canvas, qtbot)

    def fails(*given: object) -> None:
        raise MemoryError

    monkeypatch.setattr(canvas._zooming._painter, "paint", fails)
    canvas.zoom_by(0.7, smooth=False)
    qtbot.waitUntil(lambda: canvas.sharp)
    assert canvas.frame_view == canvas.aim
    assert (shown(canvas) == TISSUE).all()
