"""Frames of a zoom come from a worker: whole, in their place, the newest one, never in the way of what follows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QColor, QPainter
from pytestqt.qtbot import QtBot

from her2viewer.viewer.canvas.canvas import SlideCanvas
from her2viewer.viewer.canvas.layer import Layer
from her2viewer.viewer.canvas.viewport import Viewport
from her2viewer.viewer.canvas.zooming import SPARE_BYTES, SPARE_FRAMES
from tests.helpers.canvases import MakeCanvas, rgb, wait_idle
from tests.helpers.gated_slide import GatedSlide


class Marks(Layer):
    """A composed layer: small squares on a grid of the slide."""

    composed = True
    painted = 0

    def paint(self, painter: QPainter, viewport: Viewport) -> None:
        self.painted += 1
        x0, y0, x1, y1 = viewport.bounds()
        for column in range(int(x0 // 300), int(x1 // 300) + 1):
            for row in range(int(y0 // 300), int(y1 // 300) + 1):
                x, y = viewport.to_screen(column * 300, row * 300)
                painter.fillRect(QRectF(round(x), round(y), 9, 7), QColor(200, 30, 30))


def shown(canvas: SlideCanvas) -> np.ndarray:
    return rgb(canvas.grab().toImage())


def wait_frame(qtbot: QtBot, canvas: SlideCanvas) -> None:
    """Until the picture of the last step is there."""
    qtbot.waitUntil(lambda: canvas.frame_view == canvas.aim)


def settled(make_canvas: MakeCanvas, qtbot: QtBot, slide: GatedSlide, downsample: float) -> SlideCanvas:
    canvas = make_canvas(slide, 600, 420)
    canvas.overview.shown = False
    canvas.scale_bar_visible = False
    middle = replace(canvas.viewport, downsample=downsample, cx=slide.width / 2, cy=slide.height / 2)
    canvas.set_viewport(middle)
    wait_idle(qtbot, canvas)
    canvas.repaint()
    return canvas


@pytest.mark.parametrize("step", [0.08, -0.08, 0.31, -0.31, 0.013])
def test_no_frame_of_a_zoom_has_a_seam_or_a_hole(make_canvas: MakeCanvas, qtbot: QtBot, step: float) -> None:
    colour = (180, 120, 60)
    slide = GatedSlide(60_000, 50_000, (1, 4, 16), colour=colour)
    canvas = settled(make_canvas, qtbot, slide, 6.0 if step > 0 else 1.1)
    canvas.set_viewport(canvas.viewport.panned(37, -21))
    canvas.repaint()
    for number in range(min(24, int(4 / abs(step)))):
        canvas.zoom_by(step, QPointF(100 + 13 * number, 300 - 11 * number), smooth=False)
        wait_frame(qtbot, canvas)
        assert (shown(canvas) == colour).all(), number
        if number % 5 == 0:
            canvas.set_viewport(canvas.viewport.panned(-3.3, 8.1))
            canvas.repaint()
            assert (shown(canvas) == colour).all(), number


@pytest.mark.parametrize("at", [QPointF(200, 300), QPointF(0, 0), QPointF(599, 210)])
def test_a_frame_of_a_zoom_shows_what_lies_there_and_rest_makes_it_sharp(
    make_canvas: MakeCanvas, qtbot: QtBot, at: QPointF
) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    canvas.add_layer(Marks("marks"))
    canvas.repaint()
    for step in (0.1, 0.1, -0.15, -0.15, -0.4, -0.4, 0.3, 0.9, 0.3, -0.3, -0.3):
        canvas.zoom_by(step, at, smooth=False)
        wait_frame(qtbot, canvas)
        moving = shown(canvas)
        still = rgb(canvas.grab_view(scale_bar=False))
        # Marks are small and move by a pixel: the tissue is to be seen between them.
        assert np.median(np.abs(moving.astype(int) - still)) <= 2, step
    wait_idle(qtbot, canvas)

    def afresh() -> np.ndarray:
        canvas.ground.invalidate()
        canvas.tissue.forget()
        return shown(canvas)

    qtbot.waitUntil(lambda: np.array_equal(shown(canvas), afresh()))


def test_until_the_picture_of_a_step_is_there_the_last_one_stays(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    before, view = shown(canvas), canvas.frame_view
    canvas.zoom_by(0.3, smooth=False)
    assert canvas.viewport.downsample == pytest.approx(2.0 / 2**0.3)
    assert canvas.frame_view == view
    assert not canvas.sharp
    assert np.array_equal(shown(canvas), before)
    wait_frame(qtbot, canvas)
    assert not np.array_equal(shown(canvas), before)


def test_many_steps_at_once_end_at_the_last(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    for _ in range(20):
        canvas.zoom_by(0.05, smooth=False)
    wait_frame(qtbot, canvas)
    assert canvas.frame_view.downsample == pytest.approx(1.0)
    wait_idle(qtbot, canvas)
    assert canvas.sharp


def test_a_pan_in_the_middle_of_a_zoom_is_shown_at_once_and_no_older_frame_after_it(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    seen: list[Viewport] = []
    canvas.zoom_by(0.3, smooth=False)
    canvas.set_viewport(canvas.viewport.panned(40, 0))
    last = canvas.aim
    assert canvas.frame_view == last
    canvas.sharpened.connect(lambda: seen.append(canvas.frame_view))
    wait_idle(qtbot, canvas)
    qtbot.wait(50)
    assert canvas.frame_view == last
    assert set(seen) <= {last}


def test_another_slide_in_the_middle_of_a_zoom_shows_nothing_of_the_first(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4), colour=(180, 120, 60)), 2.0)
    canvas.zoom_by(0.3, smooth=False)
    other = GatedSlide(8000, 6000, (1, 4), colour=(60, 120, 180))
    canvas.set_slide(other, other.pixel_size)
    canvas.set_viewport(replace(canvas.viewport, downsample=3.0))
    wait_idle(qtbot, canvas)
    for step in (0.2, 0.2, -0.5):
        canvas.zoom_by(step, smooth=False)
        wait_frame(qtbot, canvas)
        assert (shown(canvas) == (60, 120, 180)).all()


def test_a_zoom_paints_layers_anew_only_beside_what_is_kept(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    layer = Marks("marks")
    canvas.add_layer(layer)
    canvas.repaint()
    layer.painted = 0
    for _ in range(5):
        canvas.zoom_by(0.1, smooth=False)
        wait_frame(qtbot, canvas)
        red = (shown(canvas) == (200, 30, 30)).all(axis=2)
        assert red.any(), "overlays are enlarged with the tissue"
    assert layer.painted == 0
    canvas.zoom_by(-1.2, smooth=False)
    wait_frame(qtbot, canvas)
    # Further from the middle than what was in view when the zoom began.
    edge = (shown(canvas)[:, :110] == (200, 30, 30)).all(axis=2)
    assert edge.any(), "what came into view has its overlay"
    layer.opacity = 0.5
    layer.painted = 0
    canvas.zoom_by(0.1, smooth=False)
    wait_frame(qtbot, canvas)
    shown(canvas)
    assert layer.painted > 0, "what is kept shows it with another opacity"


def test_a_layer_that_changes_while_zooming_is_shown_when_the_zoom_is_over(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    layer = Marks("marks")
    canvas.add_layer(layer)
    canvas.repaint()
    canvas.zoom_by(0.2, smooth=False)
    wait_frame(qtbot, canvas)
    layer.painted = 0
    layer.changed.emit()
    canvas.repaint()
    assert layer.painted == 0
    qtbot.waitUntil(lambda: layer.painted > 0)


def test_the_view_can_go_in_the_middle_of_a_zoom(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4)), 2.0)
    canvas.zoom_by(0.2, smooth=False)
    canvas.shutdown()
    qtbot.wait(20)
    assert canvas.slide is None


def test_memory_for_the_first_frames_is_there_before_a_zoom_and_after_it_and_goes_with_the_slide(
    make_canvas: MakeCanvas, qtbot: QtBot
) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(8000, 6000, (1, 4, 16)), 2.0)
    zooming = canvas._zooming
    pixels = canvas.viewport.width * canvas.viewport.height
    qtbot.waitUntil(lambda: [len(memory) for memory in zooming._spare] == [pixels] * SPARE_FRAMES)
    ready = {memory.ctypes.data for memory in zooming._spare}
    canvas.zoom_by(0.1, smooth=False)
    wait_frame(qtbot, canvas)
    kept = canvas.ground.kept()
    assert kept is not None
    assert kept.ring.ctypes.data in ready
    qtbot.waitUntil(lambda: not zooming.active)
    wait_idle(qtbot, canvas)
    assert 1 <= len(zooming._spare) <= SPARE_FRAMES
    assert not any(canvas.ground.uses(memory) for memory in zooming._spare)
    canvas.resize(500, 300)
    canvas.repaint()
    canvas.set_viewport(canvas.viewport.panned(300, 200))
    wait_idle(qtbot, canvas)
    smaller = canvas.viewport.width * canvas.viewport.height
    assert smaller < pixels
    qtbot.waitUntil(lambda: [len(memory) for memory in zooming._spare] == [smaller] * SPARE_FRAMES)
    canvas.set_slide(None)
    assert not zooming._spare


def test_of_a_huge_view_no_memory_is_kept(make_canvas: MakeCanvas, qtbot: QtBot) -> None:
    canvas = settled(make_canvas, qtbot, GatedSlide(4000, 3000, (1, 4)), 2.0)
    qtbot.waitUntil(lambda: bool(canvas._zooming._spare))
    canvas._zooming.prepare(SPARE_BYTES // 4 + 1)
    assert not canvas._zooming._spare
