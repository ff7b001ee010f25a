"""A jump to another place: the readers come first, what they bring is painted now and then."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from PySide6.QtGui import QPainter
from pytestqt.qtbot import QtBot

from her2viewer.slides.pixel_memory import SLAB, decoded
from her2viewer.slides.slide import RGBImage
from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.view import PAINT_SHARE, PAUSE_MS
from her2viewer.viewer.canvas.viewport import Viewport
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle, wait_sharp
from tests.helpers.gated_slide import GatedSlide

PAINTING_S = 0.02


class SlowLayer(Layer):
    """Takes a while in each frame and notes when."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.frames: list[tuple[float, float]] = []

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        begun = time.monotonic()
        time.sleep(PAINTING_S)
        self.frames.append((begun, time.monotonic()))


class SlowSlide(GatedSlide):
    """A read takes 10 ms."""

    def read(self, level: int, x: int, y: int, width: int, height: int) -> RGBImage:
        time.sleep(0.01)
        return super().read(level, x, y, width, height)


def jumped(canvas: SlideCanvas, qtbot: QtBot) -> None:
    qtbot.wait(2 * PAUSE_MS)
    canvas.set_viewport(replace(canvas.viewport, cx=9000, cy=6000, downsample=1.0))


def test_until_a_jump_is_sharp_most_of_the_time_is_left_to_the_readers(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    slide = SlowSlide(16_000, 12_000, (1, 4, 16))
    canvas = make_canvas(slide, 1800, 1000)
    wait_idle(qtbot, canvas)
    layer = SlowLayer()
    canvas.add_layer(layer)
    jumped(canvas, qtbot)
    begun, sharp = time.monotonic(), []
    canvas.sharpened.connect(lambda: sharp.append(time.monotonic()))
    wait_sharp(qtbot, canvas)
    qtbot.waitUntil(lambda: bool(layer.frames) and layer.frames[-1][0] > sharp[-1])
    frames = [frame for frame in layer.frames if begun < frame[0]]
    meanwhile = [frame for frame in frames if frame[0] < sharp[-1]]
    # One comes one frame after the jump, with what stands in; the next ones leave the readers their time.
    gaps = np.diff([at for at, _ in meanwhile])
    assert len(meanwhile) >= 1
    assert (gaps > (PAINT_SHARE - 1) * PAINTING_S).all(), gaps
    assert not canvas._arriving
    whole = rgb(canvas.grab_view(layers=False, scale_bar=False))
    view = canvas.frame_view
    truth = slide.pixels(0, round(view.cx - 900), round(view.cy - 500), 1800, 1000)
    assert np.array_equal(whole, truth)


def test_a_step_of_a_pan_is_painted_at_once_though_a_jump_is_not_sharp_yet(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    slide = GatedSlide(16_000, 12_000, (1, 4, 16))
    canvas = make_canvas(slide, 900, 600)
    wait_idle(qtbot, canvas)
    slide.hold()
    jumped(canvas, qtbot)
    qtbot.waitUntil(lambda: canvas._arriving)
    canvas._paint_ms = 1000.0
    assert canvas._pace() > 0
    canvas.set_viewport(canvas.viewport.panned(20, 0))
    assert canvas._pace() == 0
    slide.gate.set()
    wait_sharp(qtbot, canvas)


def test_memory_for_the_next_tiles_is_ready_when_the_readers_have_rested(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = make_canvas(GatedSlide(4000, 3000, (1, 4)), 600, 400)
    wait_idle(qtbot, canvas)
    while decoded._spare:
        decoded._spare.pop()
    # Any work is followed by rest.
    canvas.set_viewport(replace(canvas.viewport, cx=2000, cy=1500, downsample=1.0))
    qtbot.waitUntil(lambda: len(decoded._spare) >= 2)
    assert decoded.held >= 2 * SLAB
